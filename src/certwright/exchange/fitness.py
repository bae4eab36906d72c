"""Whether a certificate may be put to use, or to use again."""

from datetime import datetime

from certwright.exchange.model import REVOKED, Certificate, is_bad
from certwright.exchange.steps import steps

UNTRUSTED, UNCHECKED = "Untrusted", "RevocationCheckFailure"


def unusable(certificate: Certificate, now: datetime) -> str | None:
    """Why this certificate must not be assigned to anything (again), or None."""
    not_after = certificate.facts.not_after if certificate.facts else None
    return unusable_by(certificate.has_private_key, not_after, certificate.status, now)


def unusable_by(has_key: bool | None, not_after: datetime | None, status: str | None, now: datetime) -> str | None:  # noqa: FBT001 - None is a third value
    """The same by what is known of a certificate; None stands for what is not known."""
    if has_key is False:
        return "has no private key"
    if not_after is not None and not_after <= now:
        return f"expired on {not_after:%Y-%m-%d}"
    if status == REVOKED:
        return "was revoked"
    return f"has the status {status}" if is_bad(status) else None


def is_sound(certificate: Certificate) -> bool:
    """Whether Exchange can use it, by what it tells: it has its key, and its status is not bad."""
    return certificate.has_private_key is not False and not is_bad(certificate.status)


def is_blocking(status: str | None) -> bool:
    """Whether Exchange does not accept a certificate of this status that was just imported."""
    return status == UNTRUSTED or is_bad(status)


def acceptance(server: str, status: str | None) -> str:
    """What a person does on `server`, which does not accept a certificate that was just imported."""
    if status != UNTRUSTED:
        return "Issue the certificate again, then run this again."
    return steps(
        f"The root of its authority is missing among those that {server} trusts. Put it there, as an administrator, "
        "then run this again:",
        "certutil -addstore Root ROOT.cer",
    )


def reach_of_revocation_lists(server: str) -> str:
    """What a person does on `server`, which cannot ask whether a certificate is revoked."""
    return steps(
        f"The certificate works all the same. Look on {server} at the proxy of the machine, which is not that of a "
        "user, and let it reach the authority:",
        "netsh winhttp show proxy",
    )
