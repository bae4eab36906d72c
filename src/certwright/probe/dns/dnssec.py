"""Whether DNSSEC is in the way: authorities validate, so a zone that does not validate gets no certificate.

What a validating resolver says is compared with what it says when it is told not to check (CD, RFC 4035 section 3.2.2).
Beside that, the delegation (DS), the keys (DNSKEY) and the dates of the signatures (RRSIG) are looked at directly, so
that the reason can be told also where no validating resolver is at hand.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise

import dns.dnssec
import dns.exception
import dns.flags
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG

from certwright.domain.errors import SolverError
from certwright.probe.dns.query import CONCLUSIVE, Answer, Kind, ask, wire_name
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.zones import Survey, Zone, is_within
from certwright.probe.observation import Endpoint

_SECONDS = 3.0
_MAX_SERVERS = 8


class DnssecState(StrEnum):
    """What validation makes of a zone.

    `SECURE`: a resolver has validated it. `UNSIGNED`: nothing is signed, or nothing above asks for signatures.
    `SIGNED`: there are keys and a DS record, and no fault was seen, but no resolver here validates.
    """

    SECURE = "secure"
    UNSIGNED = "unsigned"
    SIGNED = "signed"
    NO_KEYS = "no_keys"
    WRONG_DS = "wrong_ds"
    NOT_SIGNED = "not_signed"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    BOGUS = "bogus"


_FIXES = {
    DnssecState.NO_KEYS: "Sign the zone, or have the registrar remove the DS record at once.",
    DnssecState.WRONG_DS: "Give the registrar the DS record of the key that the zone has now, or let it remove the DS.",
    DnssecState.NOT_SIGNED: "Sign the zone anew, or have the registrar remove the DS record.",
    DnssecState.EXPIRED: "Let the zone's primary sign anew, and see that its secondaries transfer the zone.",
    DnssecState.NOT_YET_VALID: "Correct the clock of the server that signs the zone, and sign it anew.",
    DnssecState.BOGUS: "Look at the zone and those above it with a DNSSEC debugger, such as delv or dnsviz.net.",
}


@dataclass(frozen=True, slots=True)
class Dnssec:
    """What validation makes of `zone`: `sentence` has the evidence, `fix` the next step where it is in the way."""

    zone: str
    state: DnssecState
    sentence: str

    @property
    def is_trouble(self) -> bool:
        """Whether authorities will not accept any answer from the zone."""
        return self.state in _FIXES

    @property
    def fix(self) -> str:
        """What to do; empty if nothing need be done."""
        return _FIXES.get(self.state, "")


def look_at_dnssec(resolver: Resolver, zone: Zone, name: str, now: datetime) -> Dnssec:
    """What validation makes of `zone`, and of `name` in it.

    Args:
        resolver: the better if it validates.
        zone: what is looked at.
        name: a name in it, of which the address is asked for.
        now: with its time zone.
    """
    checked = [resolver.ask(at, kind, dnssec=True) for at, kind in _own_questions(resolver, zone, name)]
    refused = next((answer for answer in checked if answer.kind is Kind.SERVFAIL), None)
    unchecked = resolver.unchecked.ask(refused.name, refused.type) if refused else None
    fault = _fault(resolver, zone, now, insist=unchecked is not None and unchecked.kind in CONCLUSIVE)
    if refused and unchecked and unchecked.kind in CONCLUSIVE:
        state, why = fault or (DnssecState.BOGUS, refused.detail or "the resolver does not say why")
        return Dnssec(
            zone.name,
            state,
            f"{zone.name} fails DNSSEC validation: {refused.server} answers {refused.type} of {refused.name} with "
            f"SERVFAIL, and rightly when it shall not check; {why}.",
        )
    if fault and fault[0] in _FIXES:
        return Dnssec(zone.name, fault[0], f"{zone.name} will fail DNSSEC validation: {fault[1]}.")
    if any(answer.message and answer.message.flags & dns.flags.AD for answer in checked):
        return Dnssec(
            zone.name, DnssecState.SECURE, f"{zone.name} is signed, and {checked[0].server} has validated it."
        )
    if fault:
        return Dnssec(zone.name, fault[0], f"{zone.name}: {fault[1]}.")
    return Dnssec(zone.name, DnssecState.SIGNED, f"{zone.name} is signed, and no fault was seen.")


def _own_questions(resolver: Resolver, zone: Zone, name: str) -> Iterator[tuple[str, str]]:
    """What `zone` alone answers for: an address that its aliases lead to elsewhere is another zone's."""
    yield zone.name, "SOA"
    survey = Survey(resolver)
    chain = resolver.unchecked.ask(name, "A").chain or (name,)
    for link, target in pairwise(chain):
        if not _holds(survey, zone, target):
            yield link, "CNAME"
            return
    yield chain[-1], "A"


def _holds(survey: Survey, zone: Zone, name: str) -> bool:
    try:
        return is_within(name, zone.name) and survey.zone(name).name == zone.name
    except SolverError:
        return False


def _fault(resolver: Resolver, zone: Zone, now: datetime, *, insist: bool) -> tuple[DnssecState, str] | None:
    """The first fault from the delegation downwards, as a state and a phrase.

    `insist` goes on without a DS record: a resolver may know the zone's key by other means.
    """
    delegated = [record for record in resolver.unchecked.ask(zone.name, "DS").records if isinstance(record, DS)]
    if not delegated and not insist:
        return DnssecState.UNSIGNED, "the zone above has no DS record for it, so nobody checks signatures"
    answers = _ask_servers(zone, "DNSKEY")
    keys = [record for answer in answers for record in answer.records if isinstance(record, DNSKEY)]
    if not answers:
        return None
    if not keys:
        return DnssecState.NO_KEYS, f"{_whose(delegated)}, but the zone has no DNSKEY record"
    if delegated and not any(_fits(zone, key, record) for key in keys for record in delegated):
        tags = ", ".join(str(tag) for tag in sorted({dns.dnssec.key_id(key) for key in keys}))
        return DnssecState.WRONG_DS, f"{_whose(delegated)}, and the zone has only the keys {tags}"
    return next(_faulty_signatures([*answers, *_ask_servers(zone, "SOA")], now), None)


def _ask_servers(zone: Zone, kind: str) -> list[Answer]:
    """What each server of `zone` says of its apex, signatures included; only from those that answer for it."""

    def one(server: Endpoint) -> Answer:
        return ask(server, zone.name, kind, timeout=_SECONDS, recursive=False, dnssec=True)

    servers = zone.endpoints[:_MAX_SERVERS]
    with ThreadPoolExecutor(_MAX_SERVERS, thread_name_prefix="dns") as pool:
        return [a for a in pool.map(one, servers) if a.kind in CONCLUSIVE and a.is_authoritative]


def _whose(delegated: Sequence[DS]) -> str:
    if not delegated:
        return "the resolver expects signatures"
    tags = ", ".join(str(record.key_tag) for record in delegated)
    return f"the zone above has a DS record for the key {tags}"


def _fits(zone: Zone, key: DNSKEY, delegated: DS) -> bool:
    if dns.dnssec.key_id(key) != delegated.key_tag or key.algorithm != delegated.algorithm:
        return False
    try:
        made = dns.dnssec.make_ds(wire_name(zone.name), key, delegated.digest_type, policy=dns.dnssec.allow_all_policy)
    except (dns.exception.DNSException, ValueError):
        return True  # a digest that we cannot make is not ours to judge
    return made.digest == delegated.digest


def _faulty_signatures(answers: Sequence[Answer], now: datetime) -> Iterator[tuple[DnssecState, str]]:
    for answer in answers:
        signatures = [
            record
            for rrset in (answer.message.answer if answer.message else ())
            for record in rrset
            if isinstance(record, RRSIG)
        ]
        what = f"of {answer.type} at {answer.server.host}"
        if not signatures:
            yield DnssecState.NOT_SIGNED, f"there is no signature {what}"
            continue
        # One valid signature is enough.
        ends = max(signature.expiration for signature in signatures)
        begins = min(signature.inception for signature in signatures)
        if ends < now.timestamp():
            yield DnssecState.EXPIRED, f"the signature {what} expired on {_day(ends)}"
        elif begins > now.timestamp():
            yield DnssecState.NOT_YET_VALID, f"the signature {what} is valid from {_day(begins)} on only"


def _day(timestamp: int) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M} UTC"
