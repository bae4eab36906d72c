"""Named checks: what would go wrong with a deployment, or is wrong already. Pure: values in, findings out."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from certwright.domain.deployment import Finding, Severity
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.judgement.checks import certificate, mail, organisation, servers
from certwright.exchange.judgement.checks.case import Case, Check, Context
from certwright.exchange.snapshot import Snapshot

__all__ = ["CHECKS", "Check", "Context", "check", "made"]

CHECKS: Mapping[str, Check] = MappingProxyType(
    {check.id: check for check in (*organisation.CHECKS, *certificate.CHECKS, *mail.CHECKS, *servers.CHECKS)}
)
_ORDER = tuple(Severity)


def check(snapshot: Snapshot, wish: Wish | None, now: datetime, **context: Any) -> tuple[Finding, ...]:
    """Every finding, the gravest first.

    Args:
        snapshot: the organisation.
        wish: what is to be deployed; None looks at the organisation alone.
        now: the time, in UTC.
        context: what else is known, see `Context`.
    """
    case = Case(snapshot, wish, now, Context(**context))
    findings = [finding.model_copy(update={"check": one.id}) for one in CHECKS.values() for finding in one.run(case)]
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))


def made(snapshot: Snapshot, wish: Wish | None, now: datetime, **context: Any) -> Mapping[Check, tuple[str, ...]]:
    """The checks that apply, each with the servers of which it does not know enough; arguments as for `check`."""
    case = Case(snapshot, wish, now, Context(**context))
    return {one: tuple(one.unseen(case)) for one in CHECKS.values() if one.applies(case)}
