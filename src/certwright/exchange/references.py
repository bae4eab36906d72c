"""Which certificate a TlsCertificateName refers to."""

from collections.abc import Iterable

from certwright.exchange.model import Certificate
from certwright.exchange.snapshot import Snapshot


def refers_to(value: str | None, certificate: Certificate) -> bool:
    """Whether a TlsCertificateName refers to this certificate, as far as Exchange's spelling of its names is known.

    Where Exchange did not tell the certificate's own strings, the common name decides.
    """
    if not value:
        return False
    if certificate.tls_certificate_name:
        return value.lower() == certificate.tls_certificate_name.lower()
    common = certificate.facts.common_name if certificate.facts else None
    return bool(common) and f"cn={common}".lower() in _attributes(value.partition("<S>")[2])


def referred_to(value: str | None, certificates: Iterable[Certificate]) -> tuple[Certificate, ...]:
    """Those of `certificates` that a TlsCertificateName refers to; several, if issuer and subject are the same."""
    return tuple(certificate for certificate in certificates if refers_to(value, certificate))


def common_name(value: str | None) -> str:
    """The common name in the subject of a TlsCertificateName, as Exchange writes it; empty if there is none."""
    found = (part for part in _attributes((value or "").partition("<S>")[2]) if part.startswith("cn="))
    return next(found, "").removeprefix("cn=")


def certificates_of(snapshot: Snapshot) -> tuple[Certificate, ...]:
    """Every certificate in the organisation, each once for every server that holds it."""
    return tuple(certificate for state in snapshot.servers for certificate in state.certificates)


def _attributes(subject: str) -> list[str]:
    """The attributes of a name as Exchange writes it, in lower case; commas within quotes are not told apart."""
    return [part.strip().lower() for part in subject.split(",")]
