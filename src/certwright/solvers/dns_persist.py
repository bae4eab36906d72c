"""Answers dns-persist-01 by a TXT record that a person has created once and that stays.

Nothing is written, and no credential for DNS is needed: the record at `_validation-persist` and the name says which
account of which authority may have certificates. `certwright certificate persist CERT` shows the records to create.
Before the authority is asked, each record is read and judged as the authority will do it. One that ends is looked at
every day, and told of from 30 days before on. Whoever has the account's key can have certificates for as long as the
record is there.

The method is a draft (draft-ietf-acme-dns-persist-01). Each name needs a record of its own: the draft lets authorities
take a parent's record with `policy=wildcard`, but not all of them look there.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

from certwright.domain.errors import SolverError
from certwright.domain.persist import PersistRecord, validation_name, zone_line
from certwright.probe.dns.persist import judge_records
from certwright.probe.dns.resolver import Resolver
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.solver import Challenge, Solver


class Params(PluginParams):
    """There is nothing to choose: the authority says what it wants to see."""


class DnsPersist(Solver[Params]):
    """Looks at records that others keep."""

    Params = Params
    types = frozenset({"dns-persist-01"})

    def present(self, challenges: Sequence[Challenge]) -> None:
        """Nothing: the records are there, or a person creates them."""

    def check(self, challenges: Sequence[Challenge]) -> None:
        """Read each record and judge it as the authority will."""
        now = datetime.now(UTC)
        judged = judge_records(challenges, Resolver(self.context.resolvers), now)
        for note in dict.fromkeys(filter(None, (each.note(now) for each in judged))):
            self.context.journal.note(note)
        refused = {challenge for challenge, each in zip(challenges, judged, strict=True) if each.causes}
        if refused:
            raise SolverError(
                f"{len(refused)} of {len(challenges)} names have no record that lets this account have a certificate.",
                causes=list(dict.fromkeys(cause for each in judged for cause in each.causes)),
                hint="\n".join(["Create in DNS, once and to stay:", *_lines(challenges, refused)]),
            )

    def clean_up(self, challenges: Sequence[Challenge]) -> None:
        """Nothing: the records stay."""


def _lines(challenges: Sequence[Challenge], refused: Collection[Challenge]) -> Iterator[str]:
    """The records to create as lines of a zone file; one record serves a name and its wildcard."""
    wild = {challenge.identifier.base for challenge in challenges if challenge.identifier.is_wildcard}
    for challenge in {each.identifier.base: each for each in challenges if each in refused}.values():
        issuer, account = challenge.issuer_domain_names[0], challenge.account_uris[0]
        record = PersistRecord(issuer, account, wildcard=challenge.identifier.base in wild)
        yield zone_line(validation_name(challenge.identifier), str(record))
