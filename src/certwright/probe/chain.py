"""Would a client accept this chain? If not: why, all reasons at once, in words for people."""

import re
import ssl
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import InvalidMaterial
from certwright.probe.observation import Problem, ProblemKind

_parsing = threading.Lock()  # catch_warnings is for one thread at a time
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_SERVER_USES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


@dataclass(frozen=True, slots=True)
class Trust:
    """The certificates that are trusted without further proof; usually roots."""

    roots: tuple[x509.Certificate, ...] = field(repr=False)

    @classmethod
    def of_pem(cls, data: bytes) -> Self:
        """The certificates of a PEM file.

        Raises:
            InvalidMaterial: if there is none, or one cannot be read.
        """
        try:
            return cls(tuple(x509.load_pem_x509_certificates(data)))
        except ValueError as error:
            raise InvalidMaterial(
                "The file of trusted certificates cannot be read: it holds no PEM certificate, or a damaged one."
            ) from error

    @classmethod
    def system(cls) -> Self:
        """What this machine trusts; nothing if it has no list of roots."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        found = context.get_ca_certs(binary_form=True) or _hashed_folder()
        with lenient_parsing():
            return cls(tuple(c for der in found if (c := _load(der))))


@contextmanager
def lenient_parsing() -> Iterator[None]:
    """Read certificates of strangers without a warning on the screen: serial number 0, for one, is their affair."""
    with _parsing, warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def _hashed_folder() -> list[bytes]:
    """The system's roots where they lie one by one; OpenSSL reads such a folder only while it verifies."""
    folder = ssl.get_default_verify_paths().capath
    if folder is None:
        return []
    files = sorted(path for path in Path(folder).iterdir() if _HASHED_NAME.fullmatch(path.name))
    found: list[bytes] = []
    for path in files:
        with suppress(OSError, ValueError):
            found.append(ssl.PEM_cert_to_DER_cert(path.read_text("ascii")))
    return found


def judge(chain: Sequence[x509.Certificate], trust: Trust | None, now: datetime) -> tuple[Problem, ...]:
    """Why a client that trusts `trust` would refuse `chain` (leaf first, as sent) at `now`; nothing if it would not.

    Names are not judged; without `trust`, dates alone are. A leaf that is out of date is judged as if it were in date,
    too: both reasons are told.
    """
    leaf, *sent = chain
    problems = [p for p in (_date_problem(leaf, now),) if p]
    if trust is None:
        return tuple(problems)
    in_date = min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
    refusal = _refusal(leaf, sent, trust, in_date)
    if refusal is not None:
        problems.append(_explain(leaf, sent, trust, in_date, refusal))
    return tuple(problems)


def name_problem(leaf: CertificateFacts, name: str) -> Problem | None:
    """The problem if `leaf` does not cover `name`."""
    if leaf.covers(name):
        return None
    names = ", ".join(map(str, leaf.names)) or "no name at all"
    return Problem(ProblemKind.NAME_MISMATCH, f"The certificate is not for {name}: it names {names}.")


def _refusal(leaf: x509.Certificate, sent: Sequence[x509.Certificate], trust: Trust, now: datetime) -> str | None:
    """The verifier's words if no path leads from `leaf` to a root."""
    if leaf in trust.roots:
        return None
    if not trust.roots:
        return "no certificate is trusted"
    builder = verification.PolicyBuilder().store(verification.Store(list(trust.roots))).time(now)
    builder = builder.extension_policies(ca_policy=_CA, ee_policy=_SERVER)
    try:
        # The server verifier holds certificates to the Web PKI's profile, which those of companies' own authorities
        # often miss while every client accepts them; the extensions that matter are checked by the policies below.
        builder.build_client_verifier().verify(leaf, list(sent))
    except verification.VerificationError as error:
        return str(error)
    return None


def _must_sign_certificates(_: verification.Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an issuer may not sign certificates")


def _must_serve(_: verification.Policy, __: x509.Certificate, uses: x509.ExtendedKeyUsage | None) -> None:
    if uses is not None and _SERVER_USES.isdisjoint(uses):
        raise ValueError("the certificate is not for TLS servers")


_CA = (
    verification.ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _must_sign_certificates)
)
_SERVER = verification.ExtensionPolicy.permit_all().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, _must_serve
)


def _explain(
    leaf: x509.Certificate, sent: Sequence[x509.Certificate], trust: Trust, now: datetime, refusal: str
) -> Problem:
    """Which of the usual mistakes made the verifier refuse."""
    if _signed_by(leaf, leaf):
        return Problem(ProblemKind.SELF_SIGNED, f"The certificate is self-signed: nobody else vouches for {_of(leaf)}.")
    path = _walk(leaf, [*sent, *trust.roots])
    last = path[-1]
    if last in trust.roots:
        expired = next((p for c in path[1:] if (p := _date_problem(c, now))), None)
        return expired or Problem(ProblemKind.REJECTED, f"The chain leads to a trusted root but is refused: {refusal}.")
    if _signed_by(last, last):
        return Problem(
            ProblemKind.UNKNOWN_ISSUER, f"The chain ends at {_of(last)}, which is not among the trusted certificates."
        )
    if last == leaf:
        return Problem(
            ProblemKind.MISSING_INTERMEDIATE,
            f"The server sends no certificate of {_issuer(leaf)}, which issued its own, and that is not among the "
            "trusted ones: an intermediate certificate is missing, or the authority is unknown.",
        )
    return Problem(
        ProblemKind.UNKNOWN_ISSUER,
        f"The chain ends at {_of(last)}; {_issuer(last)}, which issued that, is neither sent nor trusted.",
    )


def _walk(leaf: x509.Certificate, candidates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    path = [leaf]
    while parent := next((c for c in candidates if c not in path and _signed_by(path[-1], c)), None):
        path.append(parent)
    return path


def _date_problem(certificate: x509.Certificate, now: datetime) -> Problem | None:
    if now > certificate.not_valid_after_utc:
        since = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        return Problem(ProblemKind.EXPIRED, f"The certificate of {_of(certificate)} expired on {since}.")
    if now < certificate.not_valid_before_utc:
        start = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        return Problem(ProblemKind.NOT_YET_VALID, f"The certificate of {_of(certificate)} is valid only from {start}.")
    return None


def _signed_by(subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _of(certificate: x509.Certificate) -> str:
    return f"'{certificate.subject.rfc4514_string()}'"


def _issuer(certificate: x509.Certificate) -> str:
    return f"'{certificate.issuer.rfc4514_string()}'"


def _load(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        return None
