"""The solver that looks at records, with a DNS server on loopback."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from certwright.domain.errors import SolverError
from certwright.domain.identifiers import Identifier
from certwright.sdk.journal import SilentJournal
from certwright.sdk.solver import Challenge
from certwright.solvers.dns_persist import DnsPersist, Params
from peers.acme_server import dns_server
from peers.answers import solver_context

ACCOUNT = "https://ca.contoso.test/account/1"
OWNER = "_validation-persist.contoso.test"
DAY = timedelta(days=1)


class Notes(SilentJournal):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@dataclass(frozen=True)
class World:
    solver: DnsPersist
    records: dict[tuple[str, str], list[str]]
    notes: list[str]

    def write(self, *texts: str) -> None:
        self.records[OWNER, "TXT"] = [f'"{text}"' for text in texts]

    def refusal(self, *challenges: Challenge) -> SolverError:
        with pytest.raises(SolverError) as caught:
            self.solver.check(challenges)
        return caught.value


@pytest.fixture
def world() -> Iterator[World]:
    with dns_server() as (resolver, records):
        journal = Notes()
        context = replace(solver_context(journal=journal), resolvers=(resolver,))
        yield World(DnsPersist(Params(), context), records, journal.said)


def asked(name: str = "contoso.test") -> Challenge:
    return Challenge(
        Identifier.parse(name),
        "dns-persist-01",
        issuer_domain_names=("ca.contoso.test", "authority.test"),
        account_uris=(ACCOUNT, f"{ACCOUNT}/as-the-authority-writes-it"),
    )


def in_seconds(days: float) -> int:
    return int((datetime.now(UTC) + days * DAY).timestamp())


def test_nothing_is_said_of_a_good_record(world: World) -> None:
    for issuer, account in (("ca.contoso.test", ACCOUNT), ("authority.test", f"{ACCOUNT}/as-the-authority-writes-it")):
        world.write(f"{issuer}; accounturi={account}")
        world.solver.present([asked()])
        world.solver.check([asked()])
        world.solver.clean_up([asked()])
    assert world.notes == []


def test_a_missing_record_is_told_with_the_line_to_create(world: World) -> None:
    error = world.refusal(asked(), asked("*.contoso.test"), asked("mail.contoso.test"))
    assert error.message.startswith("3 of 3 names")
    assert error.hint.splitlines()[1:] == [
        f'_validation-persist.contoso.test. IN TXT "ca.contoso.test; accounturi={ACCOUNT}; policy=wildcard"',
        f'_validation-persist.mail.contoso.test. IN TXT "ca.contoso.test; accounturi={ACCOUNT}"',
    ]
    assert all("NXDOMAIN" in str(cause) for cause in error.causes)
    assert len(error.causes) == 2


def test_a_wildcard_needs_its_policy_and_the_name_itself_does_not(world: World) -> None:
    world.write(f"ca.contoso.test; accounturi={ACCOUNT}")
    world.solver.check([asked()])
    error = world.refusal(asked(), asked("*.contoso.test"))
    assert error.message.startswith("1 of 2 names")
    assert "lacks policy=wildcard" in str(error.causes[0])
    assert error.hint.endswith('policy=wildcard"')
    world.write(f"ca.contoso.test; accounturi={ACCOUNT}; policy=wildcard")
    world.solver.check([asked(), asked("*.contoso.test")])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"other.test; accounturi={ACCOUNT}", "for the authority other.test"),
        (f"ca.contoso.test; accounturi={ACCOUNT}2", "for another account"),
        (f"ca.contoso.test; accounturi={ACCOUNT}; persistUntil=1000000000", "ended on 2001-09-09 01:46 UTC"),
        (f"ca.contoso.test; accounturi={ACCOUNT}; persistUntil=soon", "malformed"),
        (r"\027[31mred", "does not begin with the domain name"),
    ],
)
def test_a_record_that_does_not_do_is_shown_with_the_reason(world: World, text: str, reason: str) -> None:
    world.write(text)
    (cause,) = world.refusal(asked()).causes
    assert reason in str(cause)
    assert str(cause).isprintable()
    world.write(text, f"ca.contoso.test; accounturi={ACCOUNT}")
    world.solver.check([asked()])


def test_a_record_that_ends_within_thirty_days_is_told(world: World) -> None:
    soon, later = (f"ca.contoso.test; accounturi={ACCOUNT}; persistUntil={in_seconds(days)}" for days in (29, 31))
    world.write(soon)
    world.solver.check([asked(), asked("contoso.test")])
    (note,) = world.notes
    assert f"{OWNER} ends on" in note
    world.write(soon, later)
    world.solver.check([asked()])
    world.write(soon, f"ca.contoso.test; accounturi={ACCOUNT}")
    world.solver.check([asked()])
    assert len(world.notes) == 1


def test_a_resolver_that_cannot_find_out_is_told(world: World) -> None:
    world.records[OWNER, "TXT"] = ["SERVFAIL"]
    (cause,) = world.refusal(asked()).causes
    assert "SERVFAIL" in str(cause)
