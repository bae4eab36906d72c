"""Connects to a TLS service and tells what it serves. No credential is ever sent."""

import functools
import ssl
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from cryptography import x509

from certwright.domain.certificates import CertificateFacts
from certwright.probe.chain import Trust, judge, lenient_parsing, name_problem
from certwright.probe.observation import FailureKind, Observation, ProbeError, ProbeFailure, Target
from certwright.probe.starttls import Conversation
from certwright.probe.wire import Deadline, Wire, connect, resolve

_BUDGET = 1_000_000
_LEGACY_SERVER_CONNECT = getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)  # named from Python 3.12 on


def probe(
    target: Target, trust: Trust | None = None, expected_sha256: str | None = None, timeout: float = 10
) -> Observation:
    """What `target` serves, within `timeout` seconds in all; what goes wrong is in the observation, never raised.

    Args:
        target: where to look.
        trust: whose certificates to trust; None judges only dates and names.
        expected_sha256: SHA-256 of the leaf that should be served, in hex.
        timeout: seconds for resolving, connecting, talking and shaking hands together.
    """
    deadline = Deadline(timeout)
    try:
        with connect(resolve(target.endpoint, deadline), deadline, _BUDGET) as wire:
            seen = _observe(wire, target)
    except ProbeError as error:
        return Observation(target, failure=error.failure)
    return _judge(seen, trust, expected_sha256)


def probe_all(
    targets: Iterable[Target],
    trust: Trust | None = None,
    expected_sha256: str | None = None,
    timeout: float = 10,
    workers: int = 8,
) -> list[Observation]:
    """`probe` each of `targets`, `workers` at a time; the observations come in the order of `targets`."""
    look = functools.partial(probe, trust=trust, expected_sha256=expected_sha256, timeout=timeout)
    with ThreadPoolExecutor(workers, thread_name_prefix="probe") as pool:
        return list(pool.map(look, targets))


@functools.cache
def observing_context() -> ssl.SSLContext:
    """A TLS client that talks to every server there is, however old, and verifies nothing.

    It only looks. Nothing secret may be sent through it, so nothing outside this package may use it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER_CONNECT
    return context


def chain_as_sent(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the peer sent, in DER, in its order; as far as the handshake came."""
    if sys.version_info >= (3, 13):
        return tuple(tls.get_unverified_chain())
    # What Python 3.13 made public, under the name that it has had since 3.10.
    certificates = tls._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    return tuple(ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in certificates)


def _observe(wire: Wire, target: Target) -> Observation:
    seen = Observation(target, address=wire.address)
    conversation = Conversation(wire, target.starttls) if target.starttls else None
    try:
        if conversation:
            conversation.start_tls(target.ehlo_name)
        wire.start_tls(observing_context(), target.server_name)
    except ProbeError as error:
        seen = replace(seen, failure=error.failure)
    if conversation:
        seen = replace(seen, greeting=conversation.greeting)
    tls = wire.tls
    if tls is None:
        return seen
    cipher = tls.cipher()
    return replace(seen, protocol=tls.version(), cipher=cipher and cipher[0], chain=chain_as_sent(tls))


def _judge(seen: Observation, trust: Trust | None, expected_sha256: str | None) -> Observation:
    if not seen.chain:
        nothing = ProbeFailure(FailureKind.BAD_CERTIFICATE, f"{seen.address} sends no certificate.")
        return replace(seen, failure=seen.failure or nothing)
    try:
        with lenient_parsing():
            leaf, *rest = (x509.load_der_x509_certificate(der) for der in seen.chain)
            facts = CertificateFacts.of(leaf)
    except ValueError as error:
        broken = ProbeFailure(FailureKind.BAD_CERTIFICATE, f"{seen.address} sends a damaged certificate: {error}.")
        return replace(seen, failure=seen.failure or broken)
    refused = judge([leaf, *rest], trust, datetime.now(UTC))
    misnamed = name_problem(facts, seen.target.name)
    return replace(
        seen,
        leaf=facts,
        trusted=None if trust is None else not refused,
        covers_name=misnamed is None,
        matches_expected=None if expected_sha256 is None else facts.sha256 == expected_sha256.lower(),
        problems=(*refused, *((misnamed,) if misnamed else ())),
    )
