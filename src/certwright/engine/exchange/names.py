"""The names that an organisation needs on its certificate, each with where it comes from and how it stands."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import dns.exception
import dns.resolver

from certwright.domain.certificates import CertificateFacts
from certwright.engine.context import Engine
from certwright.engine.exchange.discovery import discover
from certwright.engine.exchange.reach import progress
from certwright.engine.material import current_version, version_facts
from certwright.exchange.connection import Connection
from certwright.exchange.judgement.doctor import in_use
from certwright.exchange.judgement.names import NameVerdict, asks_public, judge, proposed_names, required_names

_PATIENCE = 4.0  # seconds for one name: a name server that is silent must not hold up the list


@dataclass(frozen=True, slots=True)
class Names:
    """Each needed name with its verdict, and what to put on a new certificate.

    `judged` is the certificate that the verdicts are about: the one asked for, else what the web sites serve now; None
    if they serve several, or what they serve is not known.
    """

    judged: CertificateFacts | None
    verdicts: tuple[NameVerdict, ...]
    proposed: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "judged": self.judged.thumbprint if self.judged else None,
            "names": [verdict.data() for verdict in self.verdicts],
            "proposed": list(self.proposed),
        }


def names(engine: Engine, connection: Connection, reference: str | None = None) -> Names:
    """Read the organisation and judge the names it needs, against the certificate `reference` if one is given."""
    facts: CertificateFacts | None = None
    resolve = cache(resolves)
    if reference is not None:
        with engine.store.read() as unit:
            facts = version_facts(current_version(unit, unit.managed.get(reference)))
    snapshot = discover(engine, connection).snapshot
    facts = facts or in_use(snapshot)
    with progress(engine).step("Look the names up"):
        verdicts = judge(required_names(snapshot), facts, resolve, public=_is_public(engine, facts))
        return Names(facts, verdicts, proposed_names(snapshot, resolve))


def _is_public(engine: Engine, facts: CertificateFacts | None) -> bool:
    """Whether a public authority signs what is to have the names: as the doctor judges it."""
    with engine.store.read() as unit:
        for managed in unit.managed.list() if facts else ():
            if facts and any(version_facts(v).thumbprint == facts.thumbprint for v in unit.versions.list(managed.id)):
                return asks_public(facts) and not unit.issuers.get(managed.issuer).capabilities.internal_names
    return asks_public(facts)


def resolves(name: str) -> bool | None:
    """Whether this machine's resolver knows an address of `name`; None if it gives no answer."""
    resolver = dns.resolver.Resolver()
    resolver.lifetime = _PATIENCE
    try:
        return any(resolver.resolve(name, kind, raise_on_no_answer=False).rrset is not None for kind in ("A", "AAAA"))
    except dns.resolver.NXDOMAIN:
        return False
    except dns.exception.DNSException:
        return None
