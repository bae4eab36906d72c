"""What a certificate is called in tables, plans and journals: by the first digits of its thumbprint.

That is its SHA-1, in upper-case hex, as Windows and Get-ExchangeCertificate list it: what people compare.
"""

from certwright.domain.managed import Value

_DIGITS = 8


def short(thumbprint: str) -> str:
    """The first digits of a thumbprint."""
    return thumbprint[:_DIGITS]


class Fingerprints(Value):
    """What tells one certificate from all others: `thumbprint` is SHA-1 in upper-case hex, `sha256` lower-case hex."""

    thumbprint: str
    sha256: str
