"""One question to one DNS server, and what came of it, as a value."""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
from dns.rdata import Rdata
from dns.rdtypes.ANY.TXT import TXT
from dns.rrset import RRset

from certwright.domain.errors import InvalidIdentifier, SolverError
from certwright.probe.observation import Endpoint
from certwright.probe.wire import NO_ROUTE, harmless

DNS_PORT = 53
_PAYLOAD = 1232  # what passes everywhere without fragments (DNS flag day 2020)
_UDP_SHARES = (0.2, 0.3)  # of the time for one question; TCP has the rest
_TCP_SHARE = 0.5
_MAX_ALIASES = 16
_NO_EDNS = {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS}
_MAX_VALUE = 400
_MAX_SHOWN = 6


class Kind(StrEnum):
    """What came of a question."""

    RECORDS = "records"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    REFERRAL = "referral"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    ERROR = "error"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    UNROUTABLE = "unroutable"


CONCLUSIVE = frozenset({Kind.RECORDS, Kind.NODATA, Kind.NXDOMAIN})
SILENT = frozenset({Kind.TIMEOUT, Kind.CLOSED, Kind.UNROUTABLE})

_WORDS = {
    Kind.NODATA: "the name has no {type} record (NODATA)",
    Kind.NXDOMAIN: "the name does not exist (NXDOMAIN)",
    Kind.REFERRAL: "it refers to other servers",
    Kind.SERVFAIL: "it cannot find out (SERVFAIL)",
    Kind.REFUSED: "it refuses to answer (REFUSED)",
    Kind.ERROR: "it answers with an error",
    Kind.MALFORMED: "what it answers is no DNS answer to the question",
    Kind.TIMEOUT: "no answer in time",
    Kind.CLOSED: "nothing listens there",
    Kind.UNROUTABLE: "there is no route to it from here",
}
_HINTS = {
    Kind.NODATA: "Create the record at the DNS provider, or correct the name.",
    Kind.NXDOMAIN: "Create the name at the DNS provider, or correct it where it is typed wrongly.",
    Kind.SERVFAIL: "Look at the zone's name servers and at its DNSSEC: one of them is broken.",
    Kind.REFUSED: "Let this machine ask that server, or name another resolver.",
}
_OTHER_HINT = "Let this machine reach port 53 of that server by UDP and TCP, or name another resolver."


@dataclass(frozen=True, slots=True)
class Answer:
    """What `server` said to the question for `type` at `name`.

    `chain` is the name and what it is an alias of, within this answer; `records` stand at the end of it. `detail` is
    evidence beyond `kind`, as a phrase.
    """

    server: Endpoint
    name: str
    type: str
    kind: Kind
    detail: str = ""
    chain: tuple[str, ...] = ()
    records: tuple[Rdata, ...] = field(default=(), repr=False)
    message: dns.message.Message | None = field(default=None, repr=False)

    @property
    def is_authoritative(self) -> bool:
        """Whether the server says that the zone is its own (AA)."""
        return self.message is not None and bool(self.message.flags & dns.flags.AA)

    @property
    def is_in_place_of(self) -> bool:
        """Whether a resolver says this, and not a server of the zone: without authority, but with recursion (RA)."""
        flags = self.message.flags if self.message else 0
        return self.kind in CONCLUSIVE and bool(flags & dns.flags.RA) and not self.is_authoritative

    @property
    def values(self) -> tuple[str, ...]:
        """The records as text, in order: TXT with its strings joined, others as in a zone file; each is bounded."""
        return tuple(sorted(_value(record) for record in self.records))

    @property
    def texts(self) -> frozenset[str]:
        """The TXT records whole, each with its strings joined."""
        return frozenset(_text(record) for record in self.records if isinstance(record, TXT))

    @property
    def negative_ttl(self) -> int:
        """Seconds for which a resolver may remember that there is nothing (RFC 2308 section 5); 0 if it may not."""
        soa = self.authority("SOA")
        return min(soa.ttl, soa[0].minimum) if soa and self.kind in {Kind.NODATA, Kind.NXDOMAIN} else 0

    def authority(self, kind: str) -> RRset | None:
        """The records of type `kind` in the authority section."""
        found = self.message.authority if self.message else ()
        return next((rrset for rrset in found if rrset.rdtype == dns.rdatatype.from_text(kind)), None)

    def told(self) -> str:
        """What was answered, as a phrase."""
        return phrase(self.kind, self.type, self.values, self.detail)


def phrase(kind: Kind, record_type: str, values: Sequence[str], detail: str) -> str:
    """An answer in words; of many values only the first are named."""
    if kind is Kind.RECORDS:
        shown = ", ".join(repr(value) for value in values[:_MAX_SHOWN])
        more = f" and {len(values) - _MAX_SHOWN} more" if len(values) > _MAX_SHOWN else ""
        return f"{record_type} {shown}{more}"
    words = _WORDS[kind].format(type=record_type)
    return f"{words}: {detail}" if detail else words


class LookupFailure(SolverError):
    """A question whose answer is none; `answer` tells what was said, and by which server."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(
            f"{answer.server} was asked for {answer.type} of {answer.name}: {answer.told()}.",
            hint=_HINTS.get(answer.kind, _OTHER_HINT),
            retryable=answer.kind not in CONCLUSIVE,
        )
        self.answer = answer

    @property
    def kind(self) -> Kind:
        """What came of the question."""
        return self.answer.kind


def ask(
    server: Endpoint,
    name: str,
    kind: str,
    *,
    timeout: float,
    recursive: bool,
    checking_disabled: bool = False,
    dnssec: bool = False,
) -> Answer:
    """Ask `server` for the records of type `kind` at `name`; by UDP, and by TCP if that is cut short or fails.

    Args:
        server: an address and a port.
        name: absolute, with or without its last dot.
        kind: a record type, such as TXT.
        timeout: seconds for all of it.
        recursive: whether it shall find the answer elsewhere (RD).
        checking_disabled: whether it shall answer even if DNSSEC says no (CD).
        dnssec: whether it shall add signatures (DO).

    Raises:
        InvalidIdentifier: if `name` cannot be asked for.
    """
    flags = (dns.flags.RD if recursive else 0) | (dns.flags.CD if checking_disabled else 0)
    question = dns.message.make_query(
        wire_name(name), kind, use_edns=0, payload=_PAYLOAD, want_dnssec=dnssec, flags=dns.flags.Flag(flags)
    )
    try:
        message = _exchange(question, server, timeout)
        if message.rcode() in _NO_EDNS and not message.answer:
            question.use_edns(False)
            message = _exchange(question, server, timeout)
        return _read(server, canonical(name), kind, message)
    except _TooLargeForUdp as error:
        kind_of_failure, detail = _failure(error.failure)
        detail = "the answer is too large for UDP, and TCP does not get through"
        return Answer(server, canonical(name), kind, kind_of_failure, detail)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        return Answer(server, canonical(name), kind, *_failure(error))


def canonical(name: str) -> str:
    """`name` in lower case, without its last dot."""
    return name.lower().removesuffix(".")


def shown_name(name: dns.name.Name) -> str:
    """A name off the wire as text: lower case, without the last dot, nothing that a terminal would obey."""
    return name.to_text(omit_final_dot=True).lower()


def wire_name(name: str) -> dns.name.Name:
    """`name` as DNS has it.

    Raises:
        InvalidIdentifier: if it is too long, or has an empty label.
    """
    try:
        return dns.name.from_text(canonical(name) + ".")
    except dns.exception.DNSException as error:
        raise InvalidIdentifier(f"{harmless(name)!r} is no name that DNS can be asked for: {error}.") from error


class _TooLargeForUdp(Exception):
    """TCP failed, and UDP had only a part."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure


def _exchange(question: dns.message.Message, server: Endpoint, timeout: float) -> dns.message.Message:
    truncated = False
    for share in _UDP_SHARES:
        try:
            return _by_udp(question, server, timeout * share)
        except dns.exception.Timeout:
            continue
        except dns.message.Truncated:
            truncated = True
            break
        except OSError as error:
            if error.errno in NO_ROUTE:
                raise
            break
    try:
        return dns.query.tcp(question, server.host, timeout * _TCP_SHARE, server.port)
    except (dns.exception.DNSException, OSError, EOFError) as error:
        if truncated:
            raise _TooLargeForUdp(error) from error
        raise


def _by_udp(question: dns.message.Message, server: Endpoint, timeout: float) -> dns.message.Message:
    """By a connected socket: the system drops what others send, and tells when nothing listens."""
    family, kind, _, _, where = socket.getaddrinfo(
        server.host, server.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
    )[0]
    with socket.socket(family, kind) as sock:
        sock.setblocking(False)
        sock.connect(where)
        expiration = time.time() + timeout
        dns.query.send_udp(sock, question, None, expiration)
        message: dns.message.Message
        message, _, _ = dns.query.receive_udp(
            sock, None, expiration, raise_on_truncation=True, ignore_errors=True, query=question
        )
        return message


def _failure(error: Exception) -> tuple[Kind, str]:
    if isinstance(error, dns.exception.Timeout | TimeoutError):
        return Kind.TIMEOUT, ""
    if isinstance(error, OSError):
        if error.errno in NO_ROUTE:
            return Kind.UNROUTABLE, error.strerror or ""
        if isinstance(error, ConnectionRefusedError):
            return Kind.CLOSED, ""
        return Kind.TIMEOUT, (error.strerror or "").lower()
    if isinstance(error, EOFError):
        return Kind.MALFORMED, "it ends the connection without an answer"
    return Kind.MALFORMED, harmless(str(error).rstrip("."), 120)


def _read(server: Endpoint, name: str, kind: str, message: dns.message.Message) -> Answer:
    rcode = message.rcode()
    chain, found = _chase(message, wire_name(name), dns.rdatatype.from_text(kind))
    shown = tuple(shown_name(link) for link in chain)
    if rcode == dns.rcode.NXDOMAIN and len(chain) == 1:
        outcome, detail = Kind.NXDOMAIN, ""
    elif rcode == dns.rcode.NXDOMAIN:
        outcome, detail = Kind.NXDOMAIN, f"it is an alias of {shown[-1]}, which does not exist"
    elif rcode != dns.rcode.NOERROR:
        outcome = {dns.rcode.SERVFAIL: Kind.SERVFAIL, dns.rcode.REFUSED: Kind.REFUSED}.get(rcode, Kind.ERROR)
        detail = _explained(message) or ("" if outcome is not Kind.ERROR else dns.rcode.to_text(rcode))
    elif found:
        outcome, detail = Kind.RECORDS, ""
    elif _refers(message, chain):
        outcome, detail = Kind.REFERRAL, ""
    else:
        outcome, detail = Kind.NODATA, "" if len(chain) == 1 else f"it is an alias of {shown[-1]}"
    return Answer(server, name, kind, outcome, detail, shown, tuple(found or ()), message)


def _chase(
    message: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> tuple[list[dns.name.Name], RRset | None]:
    """The aliases in the answer, from `name` on, and the records at their end."""
    by_place = {(rrset.name, rrset.rdtype): rrset for rrset in message.answer}
    chain = [name]
    while len(chain) <= _MAX_ALIASES:
        if found := by_place.get((chain[-1], kind)):
            return chain, found
        alias = by_place.get((chain[-1], dns.rdatatype.CNAME))
        if not alias or alias[0].target in chain:
            break
        chain.append(alias[0].target)
    return chain, None


def _refers(message: dns.message.Message, chain: list[dns.name.Name]) -> bool:
    """Whether these are name servers further down, and no answer (RFC 2308 section 2.2)."""
    kinds = {rrset.rdtype for rrset in message.authority}
    return (
        len(chain) == 1
        and not message.flags & dns.flags.AA
        and dns.rdatatype.NS in kinds
        and dns.rdatatype.SOA not in kinds
    )


def _explained(message: dns.message.Message) -> str:
    """Why, if the server says so (RFC 8914)."""
    errors = message.extended_errors()
    return "; ".join(harmless(error.text or error.code.name.replace("_", " ").lower(), 120) for error in errors)


def _text(record: TXT) -> str:
    return b"".join(record.strings).decode("latin-1")


def _value(record: Rdata) -> str:
    return harmless(_text(record) if isinstance(record, TXT) else record.to_text(), _MAX_VALUE)
