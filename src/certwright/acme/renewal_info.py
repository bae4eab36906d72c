"""Renewal information: when the CA wants a certificate renewed (RFC 9773)."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from certwright.acme.client import AcmeClient
from certwright.acme.clock import Deadline
from certwright.acme.errors import UnexpectedAnswer
from certwright.acme.jws import b64url
from certwright.acme.transport import Response
from certwright.acme.wire import Fields

# Section 4.3.2 advises limits; its own example asks again after six hours.
_SOONEST, _USUAL, _LATEST = 60.0, 6 * 3600.0, 24 * 3600.0


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """The CA's advice; within the window, the client chooses a moment at random (section 4.2)."""

    start: datetime
    end: datetime
    explanation_url: str | None
    """A page that says why, when the reason is out of the ordinary."""
    retry_after: float
    """Seconds until it should be asked again: between a minute and a day."""

    @classmethod
    def parse(cls, response: Response, now: float) -> "RenewalInfo":
        """Read it; UnexpectedAnswer if it is none or its window does not end after it starts."""
        fields = Fields.of(response, "renewal information")
        window = fields.object("suggestedWindow")
        start, end = window.time("start"), window.time("end")
        if end <= start:
            # Section 4.2: treat it as if the CA had answered nothing.
            raise UnexpectedAnswer(f"the CA's renewal window ends ({end}) before it starts ({start})")
        asked = response.retry_after(now)
        return cls(
            start=start,
            end=end,
            explanation_url=_explanation(fields),
            retry_after=_USUAL if asked is None else min(max(asked, _SOONEST), _LATEST),
        )


def _explanation(fields: Fields) -> str | None:
    try:
        return fields.url_or_none("explanationURL")
    except UnexpectedAnswer:
        return None  # the window counts, also when its explanation is broken


def certificate_id(certificate: x509.Certificate) -> str:
    """The name of a certificate in ARI requests and in ``replaces`` (section 4.1).

    Raises:
        ValueError: the certificate has no authority key identifier.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        extension = None
    if extension is None or extension.value.key_identifier is None:
        raise ValueError("the certificate has no authority key identifier, so ARI cannot name it")
    serial = certificate.serial_number
    # DER: the sign bit stays clear, hence a leading zero octet where the top bit is set.
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{b64url(extension.value.key_identifier)}.{b64url(octets)}"


def fetch(client: AcmeClient, certificate: str, deadline: Deadline | None = None) -> RenewalInfo | None:
    """The CA's advice for the certificate with that `certificate_id`; None if this CA gives none."""
    deadline = deadline or client.deadline()
    base = client.directory(deadline).renewal_info
    if base is None:
        return None
    response = client.get(f"{base.rstrip('/')}/{certificate}", deadline)
    return RenewalInfo.parse(response, client.clock.wall())
