"""CAA as an authority sees it (RFC 8659): which records count for a name, and whether they let it issue.

The reading climbs from the name to the top level and takes the first record set that it finds. The judging is pure; it
knows the parameters `accounturi` and `validationmethods` of RFC 8657.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dns.rdtypes.ANY.CAA import CAA
from dns.rdtypes.ANY.CNAME import CNAME

from certwright.domain.errors import SolverError
from certwright.domain.issue_value import IssueValue
from certwright.probe.dns.aliases import MAX_ALIASES
from certwright.probe.dns.query import CONCLUSIVE, SILENT, Answer, Kind, canonical, shown_name
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.zones import Survey, ancestors
from certwright.probe.wire import harmless

_CRITICAL, _MISTAKEN_FOR_CRITICAL = 128, 1
_MAX_SHOWN = 8
_MAX_VALUE = 200
_TAGS = frozenset({"issue", "issuewild", "iodef", "issuemail"})
_TAGS_OF_SOME = frozenset(
    {"issuevmc", "contactemail", "contactphone"}
)  # registered, but not every authority knows them
_METHOD = re.compile(r"[A-Za-z0-9-]+")
# How Boulder reads them: https://github.com/letsencrypt/boulder/blob/main/va/caa.go
_STRICT, _STRICT_IDENTITY = "Let's Encrypt", "letsencrypt.org"


@dataclass(frozen=True, slots=True)
class CaaRecord:
    """One CAA record; `tag` in lower case, `value` as it stands, each byte a character."""

    flags: int
    tag: str
    value: str

    @property
    def forbids(self) -> bool:
        """Whether no authority may issue, as none knows the tag, which is critical (RFC 8659 section 4.1)."""
        return bool(self.flags & _CRITICAL) and self.tag not in _TAGS | _TAGS_OF_SOME

    @property
    def may_forbid(self) -> bool:
        """Whether an authority may not know the tag, or take its flags for the critical one, and so not issue."""
        return bool(self.flags & (_CRITICAL | _MISTAKEN_FOR_CRITICAL)) and self.tag not in _TAGS

    def __str__(self) -> str:
        return f'{self.flags} {harmless(self.tag)} "{harmless(self.value, _MAX_VALUE)}"'


@dataclass(frozen=True, slots=True)
class CaaSet:
    """The records that count for `name`, which stand at `at`; none if there are none up to the top level.

    `failure` says why they could not be read: an authority would not know either, and must not issue. `kind` is what
    came of the question then, and `at` the zone that is to answer it; empty if the resolver itself does not answer.
    `alias` is the name, `name` or one above it, that an alias leads from to there; empty if none does.
    """

    name: str
    at: str = ""
    records: tuple[CaaRecord, ...] = ()
    failure: str = ""
    alias: str = ""
    kind: Kind | None = None

    @property
    def place(self) -> str:
        """Where the records stand, and how one comes there."""
        return f"{self.at} ({self.alias} is an alias of it)" if self.alias else self.at


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
            return _unread(resolver, base, answer)
        records = tuple(
            CaaRecord(record.flags, record.tag.decode("latin-1").lower(), record.value.decode("latin-1"))
            for record in answer.records
            if isinstance(record, CAA)
        )
        if records:
            end = answer.chain[-1]
            return CaaSet(base, end, tuple(sorted(records, key=str)), alias=place if end != place else "")
    return CaaSet(base)


def _unread(resolver: Resolver, base: str, answer: Answer) -> CaaSet:
    """What `answer` is to the question for the records of `base`, with the zone that is to answer it."""
    if answer.kind in SILENT and resolver.ask("", "NS").kind in SILENT:
        return CaaSet(base, failure=_asked(answer, ""), kind=answer.kind)
    end = _end(resolver, answer.name)
    try:
        zone = Survey(resolver).zone(end).name
    except SolverError:
        zone = end
    if end == answer.name:
        return CaaSet(base, zone, failure=_asked(answer, ""), kind=answer.kind)
    told = _asked(answer, f", an alias of {end}")
    return CaaSet(base, zone, failure=told, alias=answer.name, kind=answer.kind)


def _asked(answer: Answer, which: str) -> str:
    return f"{answer.server} was asked for CAA of {answer.name}{which}: {answer.told()}"


def _end(resolver: Resolver, name: str) -> str:
    """The last of the aliases from `name` on that can be found; each is asked for alone, as the end may not answer."""
    links = [name]
    while len(links) <= MAX_ALIASES:
        records = resolver.ask(links[-1], "CNAME").records
        target = next((shown_name(record.target) for record in records if isinstance(record, CNAME)), "")
        if not target or target in links:
            break
        links.append(target)
    return links[-1]


def judge(found: CaaSet, applicant: Applicant, *, wildcard: bool) -> Judgement:
    """Whether `applicant` may issue for the name of `found`, or for the wildcard beneath it."""
    judged = _judge_unread(found) if found.failure else _judge_read(found, applicant, wildcard=wildcard)
    if not (found.alias and judged.fix):
        return judged
    instead = (
        f"If {found.at} is not yours, have its owner do that, or replace the CNAME record at {found.alias} by A and "
        "AAAA records."
    )
    return replace(judged, fix=f"{judged.fix} {instead}")


def _judge_unread(found: CaaSet) -> Judgement:
    return Judgement(
        Verdict.UNKNOWN,
        f"The CAA records of {found.name} cannot be read, and an authority that cannot read them must not issue: "
        f"{found.failure}.",
        f"Let the name servers of {found.at} answer questions for CAA: with records, or that there are none."
        if found.at
        else "Let this machine reach its resolver at port 53 by UDP and TCP, or name another one.",
    )


def _judge_read(found: CaaSet, applicant: Applicant, *, wildcard: bool) -> Judgement:
    mend = f"Remove that record at {found.at}, or set its flags to 0."
    if critical := [record for record in found.records if record.forbids]:
        told = (
            f"The CAA records at {found.place} have one that is critical and that no authority may ignore: "
            f"{critical[0]}."
        )
        return Judgement(Verdict.FORBIDDEN, told, mend)
    judged = _judge_known(found, applicant, wildcard=wildcard)
    doubtful = [record for record in found.records if record.may_forbid]
    if judged.verdict is Verdict.ALLOWED and doubtful:
        told = (
            f"The CAA records at {found.place} have one that {_STRICT}, and maybe others, takes as critical and "
            f"unknown, so that it must not issue: {doubtful[0]}."
        )
        return Judgement(_strict(applicant), told, mend)
    return judged


def _strict(applicant: Applicant) -> Verdict:
    """What it means that Let's Encrypt would not issue."""
    return Verdict.FORBIDDEN if _STRICT_IDENTITY in applicant.identities else Verdict.UNKNOWN


def _judge_known(found: CaaSet, applicant: Applicant, *, wildcard: bool) -> Judgement:
    tag = "issuewild" if wildcard and any(r.tag == "issuewild" for r in found.records) else "issue"
    records = [record for record in found.records if record.tag == tag]
    if not records:
        where = f"The CAA records at {found.place} restrict nobody" if found.at else f"{found.name} has no CAA records"
        return Judgement(Verdict.ALLOWED, f"{where}, so any authority may issue.")
    return _judge_issue(found, applicant, records)


def _read(value: str) -> IssueValue:
    """A value; one that does not follow the grammar names nobody, as the RFC has it."""
    try:
        return IssueValue.parse(value)
    except ValueError:
        return IssueValue("")


def _judge_issue(found: CaaSet, applicant: Applicant, records: Sequence[CaaRecord]) -> Judgement:
    shown = "; ".join(str(record) for record in found.records[:_MAX_SHOWN])
    ours = {identity.lower() for identity in applicant.identities}
    if not ours:
        return Judgement(
            Verdict.UNKNOWN,
            f"The CAA records at {found.place} restrict who may issue ({shown}), and this authority does not say by "
            "which name it goes.",
            "Compare the records with what the authority's documentation says of CAA.",
        )
    named = [(record, value) for record in records if (value := _read(record.value)).issuer in ours]
    identity = applicant.identities[0]
    if not named:
        return Judgement(
            Verdict.FORBIDDEN,
            f"The CAA records at {found.place} do not let {identity} issue for {found.name}: {shown}.",
            f'Add the CAA record 0 {records[0].tag} "{identity}" at {found.at}.',
        )
    obstacles = [_spelling(record, applicant) or _obstacle(value, applicant) for record, value in named]
    if None in obstacles:
        return Judgement(Verdict.ALLOWED, f"The CAA records at {found.place} let {identity} issue: {shown}.")
    # One that does not forbid for certain lets the authority issue, whatever the others say.
    verdict, why, fix = min((o for o in obstacles if o), key=lambda obstacle: obstacle[0] is Verdict.FORBIDDEN)
    return Judgement(verdict, f"The CAA records at {found.place} let {identity} issue, but {why}: {shown}.", fix)


def _spelling(record: CaaRecord, applicant: Applicant) -> tuple[Verdict, str, str] | None:
    """As `_obstacle`, what Let's Encrypt minds in the authority's name: it compares letter by letter."""
    spelled = record.value.partition(";")[0].strip(" \t")
    if spelled in applicant.identities or _STRICT_IDENTITY not in applicant.identities:
        return None
    why = f"{_STRICT} does not know itself by {spelled}, as it tells capitals from small letters"
    return Verdict.FORBIDDEN, why, f"Write {spelled.lower()} in small letters."


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
        if not all(_METHOD.fullmatch(method) for method in allowed):
            return (
                Verdict.UNKNOWN,
                "validationmethods is not a list as RFC 8657 has it, by which authorities may let nobody issue",
                "Write the methods with a comma between them and nothing else: http-01,dns-01.",
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
