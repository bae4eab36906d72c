"""Looks at the answers to tls-alpn-01 challenges as an authority will (RFC 8737 section 3, RFC 8738 section 6)."""

import functools
import hashlib
import hmac
import ipaddress
import re
import ssl
from collections.abc import Iterator

from cryptography import x509

from certwright.domain.identifiers import Identifier, IdentifierType
from certwright.probe.chain import lenient_parsing
from certwright.probe.observation import Endpoint, FailureKind, ProbeError
from certwright.probe.precheck import LOOK_ELSEWHERE, MEND_DNS, NOT_SEEN, WrongAnswer
from certwright.probe.wire import Deadline, Resolve, connect, harmless, resolve
from certwright.sdk.solver import Challenge

PROTOCOL = "acme-tls/1"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_PORT = 443
_BUDGET = 262_144
_OCTET_STRING = b"\x04\x20"  # its tag and length for a SHA-256 digest
_IPV4_NAME = re.compile(r"((?:\d{1,3}\.){4})in-addr\.arpa")
_IPV6_NAME = re.compile(r"((?:[0-9a-f]\.){32})ip6\.arpa")
_REMEDY = (
    "Make port 443 of the name lead to Certwright's listener, undecrypted and with its ALPN: a firewall or balancer "
    "may pass TCP on, a proxy that ends TLS cannot; while the listener runs nothing else may answer there."
)
_NOT_REACHED = (
    "Let port 443 through to this machine, and to the port where Certwright listens; if it cannot be reached from "
    f"inside only, {LOOK_ELSEWHERE}"
)


def server_name(identifier: Identifier) -> str:
    """What the authority asks for by SNI: the name, or the reverse-mapping name of an address."""
    if identifier.type is IdentifierType.IP:
        return ipaddress.ip_address(identifier.value).reverse_pointer
    return identifier.value


def answer_key(name: str) -> str:
    """The key in the store of the answer for a server name; no token is like it."""
    return f"tls-alpn-01:{name}"


def general_name(name: str) -> x509.GeneralName:
    """What the certificate names for a server name: an address for a reverse-mapping name, else the name."""
    if found := _IPV4_NAME.fullmatch(name):
        return x509.IPAddress(ipaddress.IPv4Address(".".join(reversed(found[1].split(".")[:-1]))))
    if found := _IPV6_NAME.fullmatch(name):
        return x509.IPAddress(ipaddress.IPv6Address(int(found[1].replace(".", "")[::-1], 16)))
    return x509.DNSName(name)


def proof(key_authorization: str) -> bytes:
    """The value of the acmeIdentifier extension, DER."""
    return _OCTET_STRING + hashlib.sha256(key_authorization.encode()).digest()


def look(
    challenge: Challenge, via: Endpoint | None, timeout: float, resolver: Resolve = resolve
) -> Iterator[WrongAnswer]:
    """What is wrong with the answer to `challenge`, at every address of its name."""
    name = challenge.identifier.value
    asked = Endpoint(name, _PORT)
    try:
        addresses = resolve(via, Deadline(timeout)) if via else resolver(asked, Deadline(timeout))
    except ProbeError as error:
        kind = error.failure.kind
        remedy = MEND_DNS if kind is FailureKind.LOOKUP else _NOT_REACHED
        yield WrongAnswer(name, f"{asked}: {error.message}", kind, "", "tls-alpn-name-unresolved", remedy)
        return
    wrong = {address: found for address in addresses if (found := _wrong(challenge, address, timeout))}
    if len(wrong) == len(addresses):
        yield from wrong.values()
    elif via is None:
        for address, answer in wrong.items():
            is_unseen = answer.kind is FailureKind.NO_ROUTE and ":" in address.host
            yield _unseen(name, address) if is_unseen else answer


def _unseen(name: str, address: Endpoint) -> WrongAnswer:
    """That an address could not be looked at."""
    return WrongAnswer(
        name,
        f"{name}: {NOT_SEEN.format(address)} Authorities prefer IPv6.",
        FailureKind.NO_ROUTE,
        cause="tls-alpn-ipv6-unseen",
        remedy=f"See that port 443 of {address.host} leads to the listener too.",
        unseen=True,
    )


def _wrong(challenge: Challenge, address: Endpoint, timeout: float) -> WrongAnswer | None:
    """What is wrong with what `address` presents, if anything."""
    name, asked = challenge.identifier.value, server_name(challenge.identifier)
    deadline = Deadline(timeout)
    try:
        with connect([address], deadline, _BUDGET) as wire:
            wire.start_tls(_context(), asked)
            tls = wire.tls
            agreed, der = (tls.selected_alpn_protocol(), tls.getpeercert(binary_form=True)) if tls else (None, None)
    except ProbeError as error:
        kind = error.failure.kind
        cause, remedy = (
            ("tls-alpn-no-answer", _REMEDY) if kind is FailureKind.HANDSHAKE else ("tls-alpn-unreachable", _NOT_REACHED)
        )
        return WrongAnswer(name, f"{name}: {error.message}", kind, "", cause, remedy)
    what = _complaint(challenge, agreed, der or b"")
    if what is None:
        return None
    server = "" if agreed else _subject(der or b"")
    return WrongAnswer(name, f"{name}: {address} {what}", None, server, "tls-alpn-wrong-certificate", _REMEDY)


def _complaint(challenge: Challenge, agreed: str | None, der: bytes) -> str | None:
    """What is wrong with a handshake's outcome, if anything."""
    if agreed != PROTOCOL:
        return f"does not speak {PROTOCOL}: an ordinary TLS server with the certificate {_subject(der)} answers."
    try:
        with lenient_parsing():
            extensions = x509.load_der_x509_certificate(der).extensions
            names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
            extension = extensions.get_extension_for_oid(ACME_IDENTIFIER)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return "presents a certificate without the challenge's proof."
    if names != [general_name(server_name(challenge.identifier))]:
        return "presents a certificate for another name."
    value = extension.value
    presented = value.value if extension.critical and isinstance(value, x509.UnrecognizedExtension) else b""
    if not hmac.compare_digest(presented, proof(challenge.key_authorization)):
        return "presents the proof of another challenge: another run or program answers for this name."
    return None


def _subject(der: bytes) -> str:
    """Whose certificate it is, as far as it can be read."""
    try:
        with lenient_parsing():
            return f"'{harmless(x509.load_der_x509_certificate(der).subject.rfc4514_string())}'"
    except ValueError:
        return "that cannot be read"


@functools.cache
def _context() -> ssl.SSLContext:
    """A TLS client that asks for the challenge's protocol and trusts nobody: the proof is in the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    return context
