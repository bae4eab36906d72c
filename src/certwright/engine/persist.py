"""The records that let an account have certificates by dns-persist-01, before the authority asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.domain.identifiers import Identifier, IdentifierType
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.persist import PersistRecord, how_named, proved_so, validation_name, zone_line
from certwright.engine.context import Engine
from certwright.probe.dns.persist import Judgement, judge_records
from certwright.probe.dns.resolver import Resolver
from certwright.sdk.solver import Challenge


@dataclass(frozen=True, slots=True)
class WantedRecord:
    """A TXT record that is to be created once and stays; `proves` are the names that need it."""

    name: str
    value: PersistRecord
    proves: tuple[Identifier, ...]

    @property
    def line(self) -> str:
        """As a zone file has it."""
        return zone_line(self.name, str(self.value))

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "type": "TXT",
            "value": str(self.value),
            "line": self.line,
            "proves": [str(identifier) for identifier in self.proves],
        }


def records(engine: Engine, reference: str, until: datetime | None = None) -> tuple[WantedRecord, ...]:
    """The records for all DNS names of a managed certificate: one for each name, which serves its wildcard too.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        until: when they shall end; None for never.

    Raises:
        ConfigurationError: if `until` is past, or the authority has not said how records name it.
    """
    if until is not None and until <= engine.now():
        raise ConfigurationError(f"{until:%Y-%m-%d} is past.", hint="Give a day to come, or none.")
    with engine.store.read() as unit:
        managed = unit.managed.get(reference)
        issuer = unit.issuers.get(managed.issuer)
    names = [identifier for identifier in managed.identifiers if identifier.type is IdentifierType.DNS]
    wanted: dict[str, list[Challenge]] = {}
    for challenge in challenges(names, issuer):
        wanted.setdefault(validation_name(challenge.identifier), []).append(challenge)
    return tuple(_record(name, asked, until) for name, asked in wanted.items())


def challenges(names: Sequence[Identifier], issuer: Issuer) -> list[Challenge]:
    """What the authority will ask for `names`, as far as that is known before.

    Raises:
        ConfigurationError: if the authority has not said how records name it.
    """
    issuers, account = how_named(issuer)
    return [Challenge(name, "dns-persist-01", issuer_domain_names=issuers, account_uris=(account,)) for name in names]


def _record(name: str, asked: Sequence[Challenge], until: datetime | None) -> WantedRecord:
    value = PersistRecord(
        issuer=asked[0].issuer_domain_names[0],
        account_uri=asked[0].account_uris[0],
        wildcard=any(challenge.identifier.is_wildcard for challenge in asked),
        until=int(until.timestamp()) if until else None,
    )
    return WantedRecord(name, value, tuple(challenge.identifier for challenge in asked))


def look(engine: Engine, managed: ManagedCertificate, now: datetime) -> Judgement | None:
    """The record that does not do, or else the one that ends first; None if no name is proved so.

    Raises:
        ConfigurationError: if the authority has not said how records name it.
    """
    names = proved_so(managed)
    if not names:
        return None
    with engine.store.read() as unit:
        issuer = unit.issuers.get(managed.issuer)
    judged = judge_records(challenges(names, issuer), Resolver(engine.resolvers), now)
    return min(judged, key=lambda each: (not each.causes, each.ends is None, each.ends))
