"""ACME Renewal Information: which certificate, and when it should be renewed (RFC 9773)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509

from certwright.acme_server.encoding import b64url, rfc3339

_SECOND = timedelta(seconds=1)
_IMMEDIATELY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class RenewalWindow:
    """When renewal is suggested, and a page that says why, if there is one.

    Raises:
        ValueError: An end not after the start (to the second), which RFC 9773 section 4.2 forbids.
    """

    start: datetime
    end: datetime
    explanation_url: str | None = None

    def __post_init__(self) -> None:
        if self.end - self.start < _SECOND:
            raise ValueError("a renewal window ends at least a second after it starts")

    def as_json(self) -> dict[str, Any]:
        """The RenewalInfo object."""
        document: dict[str, Any] = {"suggestedWindow": {"start": rfc3339(self.start), "end": rfc3339(self.end)}}
        if self.explanation_url is not None:
            document["explanationURL"] = self.explanation_url
        return document


def certificate_identifier(certificate: x509.Certificate) -> str:
    """The unique identifier of RFC 9773 section 4.1: key identifier of the issuer, and serial number.

    Raises:
        ValueError: The certificate names no authority key identifier.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound as error:
        raise ValueError("the certificate has no authority key identifier") from error
    if extension.value.key_identifier is None:
        raise ValueError("the authority key identifier has no key identifier")
    serial = certificate.serial_number
    # DER: two's complement, hence room for the sign bit.
    content = serial.to_bytes(serial.bit_length() // 8 + 1, signed=True)
    return f"{b64url(extension.value.key_identifier)}.{b64url(content)}"


def suggested_window(certificate: x509.Certificate) -> RenewalWindow:
    """A fiftieth of the lifetime, beginning when a third of it is left."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    start = certificate.not_valid_after_utc - lifetime / 3
    return RenewalWindow(start, start + max(lifetime / 50, _SECOND))


def overdue_window(now: datetime) -> RenewalWindow:
    """A window wholly in the past: renew at once, as after a revocation."""
    return RenewalWindow(now - 2 * _IMMEDIATELY, now - _IMMEDIATELY)
