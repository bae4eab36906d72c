"""CAA as an authority sees it (RFC 8659): which records count for a name, and whether they let it issue.

The reading climbs from the name to the top level and takes the first record set that it finds. The judging is pure; it
knows the parameters `accounturi` and `validationmethods` of RFC 8657.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dns.rdtypes.ANY.CAA import CAA

from certwright.domain.issue_value import IssueValue
from certwright.probe.dns.query import CONCLUSIVE, canonical
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.zones import ancestors
from certwright.probe.wire import harmless

_CRITICAL = 128
_MAX_SHOWN = 8
_MAX_VALUE = 200
# IANA's registry of CAA properties; those that concern no TLS certificate restrict none.
_KNOWN_TAGS = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"})


@dataclass(frozen=True, slots=True)
class CaaRecord:
    """One CAA record; `tag` in lower case, `value` as it stands, each byte a character."""

    flags: int
    tag: str
    value: str

    @property
    def is_critical(self) -> bool:
        """Whether an authority that does not know the tag must not issue."""
        return bool(self.flags & _CRITICAL)

    def __str__(self) -> str:
        return f'{self.flags} {harmless(self.tag)} "{harmless(self.value, _MAX_VALUE)}"'


@dataclass(frozen=True, slots=True)
class CaaSet:
    """The records that count for `name`, which stand at `at`; none if there are none up to the top level.

    `failure` says why they could not be read: an authority would not know either, and must not issue.
    """

    name: str
    at: str = ""
    records: tuple[CaaRecord, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who wants to issue, and how.

    `identities` are what the authority goes by in CAA records (`caaIdentities` of its directory); `account_uri` is
    None as long as there is no account.
    """

    identities: tuple[str, ...]
    challenge: str
    account_uri: str | None = None


class Verdict(StrEnum):
    """Whether the authority may issue."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a record set means for an applicant: `sentence` has the evidence, `fix` the next step."""

    verdict: Verdict
    sentence: str
    fix: str = ""


def find_caa(resolver: Resolver, name: str) -> CaaSet:
    """The records that count for `name` (RFC 8659 section 3); aliases of each name on the way are followed."""
    base = canonical(name).removeprefix("*.")
    for place in ancestors(base):
        answer = resolver.ask(place, "CAA")
        if answer.kind not in CONCLUSIVE:
            return CaaSet(base, place, failure=f"{answer.server} was asked for CAA of {place}: {answer.told()}")
        records = tuple(
            CaaRecord(record.flags, record.tag.decode("latin-1").lower(), record.value.decode("latin-1"))
            for record in answer.records
            if isinstance(record, CAA)
        )
        if records:
            return CaaSet(base, place, tuple(sorted(records, key=str)))
    return CaaSet(base)


def judge(found: CaaSet, applicant: Applicant, *, wildcard: bool) -> Judgement:
    """Whether `applicant` may issue for the name of `found`, or for the wildcard beneath it."""
    if found.failure:
        return Judgement(
            Verdict.UNKNOWN,
            f"The CAA records of {found.name} cannot be read, and an authority that cannot read them must not issue: "
            f"{found.failure}.",
            f"Let the name servers of {found.at} answer questions for CAA: with records, or that there are none.",
        )
    unknown = [record for record in found.records if record.is_critical and record.tag not in _KNOWN_TAGS]
    if unknown:
        return Judgement(
            Verdict.FORBIDDEN,
            f"The CAA records at {found.at} have one that is critical and that no authority may ignore: {unknown[0]}.",
            f"Remove that record at {found.at}, or set its flags to 0.",
        )
    tag = "issuewild" if wildcard and any(r.tag == "issuewild" for r in found.records) else "issue"
    values = [_read(record.value) for record in found.records if record.tag == tag]
    if not values:
        where = f"The CAA records at {found.at} restrict nobody" if found.at else f"{found.name} has no CAA records"
        return Judgement(Verdict.ALLOWED, f"{where}, so any authority may issue.")
    return _judge_values(found, applicant, tag, values)


def _read(value: str) -> IssueValue:
    """A value; one that does not follow the grammar names nobody, as the RFC has it."""
    try:
        return IssueValue.parse(value)
    except ValueError:
        return IssueValue("")


def _judge_values(found: CaaSet, applicant: Applicant, tag: str, values: Sequence[IssueValue]) -> Judgement:
    shown = "; ".join(str(record) for record in found.records[:_MAX_SHOWN])
    ours = {identity.lower() for identity in applicant.identities}
    if not ours:
        return Judgement(
            Verdict.UNKNOWN,
            f"The CAA records at {found.at} restrict who may issue ({shown}), and this authority does not say by which "
            "name it goes.",
            "Compare the records with what the authority's documentation says of CAA.",
        )
    named = [value for value in values if value.issuer in ours]
    identity = applicant.identities[0]
    if not named:
        return Judgement(
            Verdict.FORBIDDEN,
            f"The CAA records at {found.at} do not let {identity} issue for {found.name}: {shown}.",
            f'Add the CAA record 0 {tag} "{identity}" at {found.at}.',
        )
    obstacles = [_obstacle(value, applicant) for value in named]
    if None in obstacles:
        return Judgement(Verdict.ALLOWED, f"The CAA records at {found.at} let {identity} issue: {shown}.")
    verdict, why, fix = next(obstacle for obstacle in obstacles if obstacle)
    return Judgement(verdict, f"The CAA records at {found.at} let {identity} issue, but {why}: {shown}.", fix)


def _obstacle(value: IssueValue, applicant: Applicant) -> tuple[Verdict, str, str] | None:
    """What in the parameters (RFC 8657) is in the way: the verdict, why, and what to do."""
    accounts, methods = value.given("accounturi"), value.given("validationmethods")
    if len(accounts) > 1 or len(methods) > 1:
        return Verdict.FORBIDDEN, "a parameter stands twice, so it allows nothing", "Give each parameter once."
    if methods:
        allowed = methods[0].split(",")
        if applicant.challenge not in allowed:
            return (
                Verdict.FORBIDDEN,
                f"only by {', '.join(allowed)}, not by {applicant.challenge} (validationmethods)",
                f"Add {applicant.challenge} to validationmethods, or prove control of the name in one of these ways.",
            )
    if not accounts or accounts[0] == applicant.account_uri:
        return None
    if applicant.account_uri is None:
        return (
            Verdict.UNKNOWN,
            "only for one account, and there is no account yet to compare with (accounturi)",
            "Register the account, put its URL into the record, and test again.",
        )
    return (
        Verdict.FORBIDDEN,
        f"only for another account than {applicant.account_uri} (accounturi)",
        f"Let accounturi be {applicant.account_uri}, or use the account that the record names.",
    )
