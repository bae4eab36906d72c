"""Why Kerberos did not let us in, as a sentence and the next step, whichever library says it.

MIT's libraries give an error of their own with a code of RFC 4120 section 7.5.9 or of the library; GSS-API wraps the
same codes; Windows (SSPI) has others for the same reasons. A library that is not installed need not be imported to know
its errors: they are known by the code they carry.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from certwright.domain.errors import Unreachable
from certwright.remoting.endpoint import Endpoint
from certwright.remoting.failures import clean

_MIT = -1765328384  # error 0 of the table of RFC 4120 in MIT's libraries
_SECURITY = 0x80090300  # error 0 of Windows' security support providers
_GSS = 1 << 16  # error 1 of RFC 2744 section 3.9.1, which stands alone where Kerberos itself has no complaint
_KINIT = "Get a ticket with: kinit {who}. A service takes one by itself from a keytab: KRB5_CLIENT_KTNAME=FILE."
_UNSIGNED = 1 << 32
_DEPTH = 10
_MOST_APART = timedelta(minutes=5)
_LIBRARIES = {"spnego", "gssapi", "krb5"}


@dataclass(frozen=True, slots=True)
class _Reason:
    """One reason; `mine` replaces the hint when it is the current user who signs in."""

    what: str
    hint: str
    mine: str = ""
    passes: bool = False


_WRONG_PASSWORD = _Reason(
    "The domain refused the password of {who}.",
    "{right}",
    "The keytab is older than the account's password: make it anew, and see with klist -k whom it is for.",
)
_EXPIRED_PASSWORD = _Reason(
    "The password of {who} has expired.", "Set a new one in Active Directory. {right}", "Set a new one: kpasswd"
)
_LOCKED = _Reason(
    "The account of {who} is locked, disabled or expired, or may not sign in at this hour.",
    "Look at it with: Get-ADUser {user} -Properties LockedOut, Enabled, AccountExpirationDate, LogonHours",
)
_UNKNOWN_USER = _Reason(
    "The domain does not know {who}.",
    "Write it as user@DOMAIN with the full name of the Active Directory domain, which need not be that of its mail.",
)
_NO_TICKET = _Reason("There is no Kerberos ticket of {who} on this machine.", _KINIT)
_NOT_SIGNED_IN = _Reason(
    "Windows has no domain sign-in of {who} to offer.",
    "Run this as a domain account, or choose auth=kerberos with a credential.",
)
_EXPIRED_TICKET = _Reason("The Kerberos ticket of {who} has expired.", _KINIT)
_UNKNOWN_SERVICE = _Reason(
    "The domain knows no service {service}.",
    "Use the server's full name in the address, no alias and no IP address. Look who holds the name with: setspn -Q "
    "{service}. Where servers share an account behind one name, give that name as service_host.",
)
_WRONG_ACCOUNT = _Reason(
    "The server cannot read the Kerberos ticket for {service}: the name belongs to another account than the server's.",
    "Look who holds it with: setspn -Q {service}. Where servers share an account behind one name, give that name as "
    "service_host.",
)
_SKEW = _Reason(
    "The clock of this machine is not that of the domain, and Kerberos allows five minutes.",
    "Compare them, and set this machine's by the domain's time server: timedatectl, or w32tm /query /status.",
)
_NO_KDC = _Reason(
    "No domain controller of {realm} answers.",
    "Check that this machine reaches port 88 (TCP and UDP) of one, and that [realms] in krb5.conf names it.",
    passes=True,
)
_NO_REALM = _Reason(
    "Kerberos on this machine does not know where {realm} is.",
    "Name its controllers in krb5.conf ([realms] with kdc = HOST), or use the domain's DNS server on this machine.",
)
_NO_KEY = _Reason(
    "The keytab has no key for {who}, or cannot be read.",
    "See what it holds with: klist -k FILE, and that the user who runs this may read it.",
)
_NO_CIPHER = _Reason(
    "The domain and this machine have no encryption in common for {who}.",
    "Let the account use AES: Set-ADUser {user} -KerberosEncryptionType AES128,AES256, then set its password again.",
)
_CONFIGURATION = _Reason(
    "The Kerberos configuration of this machine cannot be used.", "Mend krb5.conf; kinit shows the same error."
)
_ANOTHER = _Reason(
    "Kerberos does not sign in {who}.", "See whether kinit {who} and then kvno {service} say the same, and look it up."
)

_REASONS = {
    _WRONG_PASSWORD: (_MIT + 24, _MIT + 31, -1765328174, _SECURITY + 0x0C),
    _EXPIRED_PASSWORD: (_MIT + 23, 0xC0000071, 0xC0000224),
    _LOCKED: (_MIT + 12, _MIT + 18, _MIT + 21, 0xC0000234, 0xC0000072),
    _UNKNOWN_USER: (_MIT + 6, _MIT + 68, _SECURITY + 0x0D),
    _NO_TICKET: (-1765328243, -1765328189),
    _NOT_SIGNED_IN: (_SECURITY + 0x0E,),
    _EXPIRED_TICKET: (_MIT + 32, _SECURITY + 0x17, 11 * _GSS, 12 * _GSS),
    _UNKNOWN_SERVICE: (_MIT + 7, -1765328167, _SECURITY + 0x03),
    _WRONG_ACCOUNT: (_MIT + 35, _MIT + 41, _SECURITY + 0x22),
    _SKEW: (_MIT + 37, -1765328236, _SECURITY + 0x24),
    _NO_KDC: (-1765328228, -1765328164, _SECURITY + 0x11),
    _NO_REALM: (-1765328230, -1765328160),
    _NO_KEY: (-1765328203, -1765328200, -1765328190),
    _NO_CIPHER: (_MIT + 14, -1765328234, -1765328147),
    _CONFIGURATION: (-1765328249, -1765328248),
}
_BY_CODE = {code % _UNSIGNED: reason for reason, codes in _REASONS.items() for code in codes}


def explain(error: BaseException, endpoint: Endpoint, skew: timedelta | None = None) -> Unreachable | None:
    """What Kerberos complained of in `error`; None if it did not come from Kerberos.

    `skew` is how far the server's clock is ahead of ours, if it told.
    """
    codes = list(_codes(error))
    if not codes:
        return None
    code, said = next((one for one in codes if one[0] in _BY_CODE), codes[0])
    reason = _BY_CODE.get(code, _ANOTHER)
    known = clean(endpoint.identity.principal or "")
    user, _, realm = known.rpartition("@")
    names = {
        "who": known or "the current user",
        "service": endpoint.service,
        "realm": f"the domain {realm}" if realm else "this machine's own domain",
    }
    hint = reason.hint if known else reason.mine or reason.hint
    return Unreachable(
        f"{endpoint.url}: {reason.what.format(**names)}",
        causes=[f"Kerberos: {clean(said)}", *([f"The server's clock is {apart(skew)}."] if is_far(skew) else [])],
        hint=hint.format(
            **{**names, "who": known or "user@DOMAIN", "user": user or "USER"},
            right=endpoint.identity.right(known or "user@DOMAIN"),
        ),
        retryable=reason.passes,
    )


def is_far(skew: timedelta | None) -> bool:
    """Whether clocks are so far apart that Kerberos refuses."""
    return skew is not None and abs(skew) > _MOST_APART


def apart(skew: timedelta | None) -> str:
    """How far apart clocks are, in words."""
    minutes = (skew or timedelta()).total_seconds() / 60
    return f"{abs(minutes):.0f} minutes {'ahead of' if minutes > 0 else 'behind'} this machine's"


def _codes(error: BaseException) -> Iterator[tuple[int, str]]:
    """The codes in a chain of errors, outermost first, each as a number without sign and with its text."""
    current: BaseException | None = error
    for _ in range(_DEPTH):
        if current is None:
            return
        base = getattr(current, "base_error", None) or current
        if type(current).__module__.partition(".")[0] in _LIBRARIES:
            for name in ("err_code", "min_code", "maj_code", "winerror"):
                if isinstance(code := getattr(base, name, None), int) and code:
                    yield code % _UNSIGNED, _text(base, "Major (" if name == "maj_code" else "Minor (")
        current = current.__cause__ or current.__context__


def _text(error: BaseException, part: str) -> str:
    """What the innermost library said, or GSS-API's part of it, without its numbers."""
    text = str(error)
    if part in text:
        return text.rpartition(part)[2].partition("): ")[2].partition(", Minor (")[0]
    return getattr(error, "strerror", None) or text.rpartition(" -")[0] or text
