"""Answers dns-01 by TXT records: for wildcards, and for names that no web server of yours answers for.

Certwright finds the zone of each name by its SOA record and follows a CNAME at `_acme-challenge` to where the record
really has to stand; one that only a wildcard makes does not count. It writes the records of all names at once, waits
until every server of each zone shows them, and only then lets the authority look. Whatever happens, it removes them;
what a run that died has left is removed by the next one. Choose a stored credential for the DNS service (`certwright
credential add`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from certwright.domain.delegation import challenge_name, how_to_lead, read_rules, ruled_target
from certwright.domain.errors import ConfigurationError, NeedsPerson, SolverError
from certwright.probe.dns.aliases import find_astray, follow_all
from certwright.probe.dns.cause import Cause
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.slips import find_slips
from certwright.probe.dns.visibility import Expected, NotSeen, await_visible
from certwright.probe.dns.zones import Survey, find_zones
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import credential_field
from certwright.sdk.solver import Challenge, Solver


class Params(PluginParams):
    """Where the records are written and how they are looked at."""

    credential: str = credential_field(
        "dns", "Stored credential of a DNS provider, or a provider that needs none, such as manual.", ...
    )
    delegations: tuple[str, ...] = Field(
        default=(),
        description="Where records are written instead, as SOURCE:TARGET; both may begin with *. for any labels. "
        "The closest rule counts. A CNAME that can be seen is followed without a rule.",
    )
    resolvers: tuple[str, ...] = Field(
        default=(), description="Resolvers (ADDRESS or ADDRESS:PORT) that must show the records too."
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="Seconds until all servers show the records [default: the provider's own].",
    )

    @field_validator("delegations")
    @classmethod
    def _are_delegations(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(str, read_rules(value)))

    @field_validator("resolvers")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            try:
                Resolver((address,))
            except ConfigurationError as error:
                raise ValueError(" ".join(error.explain())) from error
        return value


class Dns(Solver[Params]):
    """Has a DNS provider write the records, and looks at every server before the authority does."""

    Params = Params
    types = frozenset({"dns-01"})

    _placed: Sequence[Expected] = ()

    @property
    def by_hand(self) -> bool:
        """Whether the credential's provider is a person."""
        return self.context.dns(self.params.credential).by_hand

    def preflight(self) -> str:
        """Sign in to the DNS service."""
        return self.context.dns(self.params.credential).check()

    def present(self, challenges: Sequence[Challenge]) -> None:
        """Find where the records belong, and write them zone by zone at the same time."""
        self._placed = self._places(challenges, self.context.dns(self.params.credential))
        self.context.records.add(self.params.credential, _by_zone(self._placed))

    def check(self, challenges: Sequence[Challenge]) -> None:
        """Wait until every server shows every record."""
        provider = self.context.dns(self.params.credential)
        mine = self._of(challenges)
        try:
            await_visible(
                mine,
                resolvers=[Resolver((address,)) for address in self.params.resolvers],
                timeout=self.params.timeout or provider.wait,
                note=self.context.journal.note,
                guard=self.context.guard,
            )
        except SolverError as error:
            slips = self._slips(error, mine)
            causes = [*error.causes, *(f"{slip.sentence} [{slip.id}]" for slip in slips)]
            remedies = list(dict.fromkeys(slip.remedy for slip in slips))
            if not provider.by_hand:
                hint = " ".join(remedies) or error.hint
                raise SolverError(error.message, causes=causes, hint=hint, retryable=error.retryable) from error
            raise NeedsPerson(
                "The records that prove your names are not to be seen yet.",
                causes=[*(f'{e.name}  TXT  "{e.value}"' for e in mine), *causes],
                hint=" ".join([*remedies, f"Create these records at your DNS service, then: {self.context.again}"]),
            ) from error

    def _slips(self, error: SolverError, mine: Sequence[Expected]) -> list[Cause]:
        """What stands in the DNS instead of records that no server shows."""
        nowhere = error.nowhere if isinstance(error, NotSeen) else ()
        return find_slips(Resolver(self.context.resolvers), mine, nowhere)

    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Remove the records; those that a person made stay as long as the order may need them."""
        if self._placed and not self.by_hand:
            self.context.records.remove(self.params.credential, _by_zone(self._of(challenges)))

    def _of(self, challenges: Sequence[Challenge]) -> list[Expected]:
        """Where the records for `challenges` stand."""
        values = {c.txt_value for c in challenges}
        return [e for e in self._placed if e.value in values]

    def _places(self, challenges: Sequence[Challenge], provider: DnsProvider[Any]) -> list[Expected]:
        """The records for `challenges`, where they are to be written."""
        survey = Survey(Resolver(self.context.resolvers))
        names = {c: challenge_name(c.identifier.base) for c in challenges}
        ruled = {name: to for name in names.values() if (to := ruled_target(self.params.delegations, name))}
        open_names = dict.fromkeys(name for name in names.values() if name not in ruled)
        owned = {name: to for name in open_names if (to := provider.delegate(name))}
        found = follow_all(survey, {*ruled.values(), *open_names})
        self._ask_for_aliases({name: to for name, to in owned.items() if found[name][-1] != to}, found)
        targets = {name: found[ruled.get(name, name)][-1] for name in names.values()}
        self._tell_astray(survey, {name: targets[name] for name in ruled})
        zones = find_zones(survey, set(targets.values()))
        for name, target in targets.items():
            if target != name:
                where = zones[target].name
                self.context.journal.note(f"{name} leads to {target}: the record is written there, in {where}.")
        return [Expected(targets[name], c.txt_value, zones[targets[name]]) for c, name in names.items()]

    def _tell_astray(self, survey: Survey, ruled: Mapping[str, str]) -> None:
        """Say where the DNS does not keep what a rule promises; the authority may see another DNS."""
        for name, seen in find_astray(survey, ruled).items():
            self.context.journal.note(
                f"By a delegation rule the record of {name} is written at {ruled[name]}, but the resolver {survey} "
                f"knows of no CNAME that leads there: {seen} An authority that sees the same will not find the record. "
                f"{how_to_lead(name, ruled[name])}"
            )

    def _ask_for_aliases(self, missing: Mapping[str, str], found: Mapping[str, tuple[str, ...]]) -> None:
        """Have a person create the CNAME records of `missing`, name to target, if there are any."""
        if missing:
            instead = {name: f" (it leads to {found[name][-1]} now)" if found[name][1:] else "" for name in missing}
            raise NeedsPerson(
                "The DNS service has names of its own for the records that prove yours, and nothing leads there yet.",
                causes=[f"{name}.  CNAME  {to}.{instead[name]}" for name, to in missing.items()],
                hint=f"Create these records once, at the DNS service of your domain, then: {self.context.again}",
            )


def _by_zone(placed: Iterable[Expected]) -> dict[str, list[TxtRecord]]:
    found: dict[str, list[TxtRecord]] = {}
    for each in placed:
        found.setdefault(each.zone.name, []).append(TxtRecord(each.name, each.value))
    return found
