"""Where a PowerShell endpoint is, and as whom to speak to it: checked before anything is sent."""

import shlex
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from certwright.domain.errors import ConfigurationError
from certwright.domain.web_address import web_parts
from certwright.remoting.failures import clean

EXCHANGE = "Microsoft.Exchange"
WINDOWS = "Microsoft.PowerShell"
_PORTS = {"https": 443, "http": 80}
_LAST_OF_LATIN_1 = "\xff"

Authentication = Literal["current", "kerberos", "negotiate", "ntlm", "basic"]
WITH_PASSWORD = ("kerberos", "negotiate", "ntlm", "basic")
"""The ways to sign in that take a user name and a password."""


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom.

    Args:
        auth: ``current`` is who runs this, by Kerberos: the signed-in user on Windows, the ticket cache or the client
            keytab elsewhere. The others take a user name and a password.
        username: for Kerberos ``user@DOMAIN``, the realm in any case of letters.
        password: never shown.
        name: what the stored user name and password are called; empty where they were typed, and are not stored.

    Raises:
        ConfigurationError: for a name or a password too much or too little, or one that cannot be used with `auth`.
    """

    auth: Authentication = "current"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    name: str = "NAME"

    def __post_init__(self) -> None:
        if self.auth == "current":
            if self.username is not None or self.password is not None:
                raise ConfigurationError(
                    "auth=current signs in as the user who runs this, and takes no user name and no password.",
                    hint="Leave the credential out, or choose auth=kerberos.",
                )
        elif not self.username or not self.password:
            raise ConfigurationError(
                f"auth={self.auth} needs a user name and a password.",
                hint=f"Store them with: {self.store('USER')}",
            )
        elif self.auth == "kerberos" and not _is_principal(self.username):
            raise ConfigurationError(
                f"{clean(self.username)!r} is no user name that Kerberos knows.",
                hint="Write it as user@DOMAIN with the full name of the Active Directory domain: svc@CONTOSO.COM.",
            )

        elif self.auth == "basic" and max(f"{self.username}{self.password}") > _LAST_OF_LATIN_1:
            raise ConfigurationError(
                "User name or password has a character that basic authentication cannot carry: it knows Latin-1 alone.",
                hint="Use auth=kerberos, ntlm or negotiate, or another password.",
            )

    @property
    def principal(self) -> str | None:
        """The user name as it is sent: Active Directory's realms are in capitals, and Kerberos minds the case."""
        if self.username is None or self.auth not in {"kerberos", "negotiate"} or not _is_principal(self.username):
            return self.username
        user, _, realm = self.username.rpartition("@")
        return f"{user}@{realm.upper()}"

    def store(self, username: str) -> str:
        """The command that stores the user name and the password."""
        name, user = (shlex.quote(clean(word)) for word in (self.name, username))
        return f"certwright credential add exchange {name} --username {user}"

    def right(self, username: str) -> str:
        """What to do where they are wrong."""
        return f"Store the right one with: {self.store(username)}" if self.name else "Type the right one again."

    def __str__(self) -> str:
        return repr(clean(self.username)) if self.username else "the current user"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where, and as whom.

    Over https the server's certificate is verified, always. Over http every message is encrypted by Kerberos or NTLM,
    or not sent; basic authentication is refused there.

    Args:
        url: ``https://host[:port]/path[?query]`` or ``http://...``.
        configuration: session configuration, `EXCHANGE`, `WINDOWS` or the name of a constrained endpoint.
        identity: as whom.
        authorities: PEM of the authorities to trust; None trusts those of this machine.
        service_host: host in the Kerberos service name (``HTTP/host``) if it is not the URL's, as for a load-balanced
            name with an alternate service account.
        proxy: URL of an HTTP proxy; None goes directly, whatever the environment says.

    Raises:
        ConfigurationError: for an address that cannot be used, or not with this way to sign in.
    """

    url: str
    configuration: str
    identity: Identity = field(default_factory=Identity)
    authorities: bytes | None = None
    service_host: str | None = None
    proxy: str | None = None

    def __post_init__(self) -> None:
        parts = _parts(self.url, "Write https://SERVER/PowerShell/ or http://SERVER/PowerShell/.")
        if parts.scheme == "http" and self.identity.auth == "basic":
            raise ConfigurationError(
                f"{clean(self.url)} is not https: with basic authentication the password would be readable on the way.",
                hint="Use https with a certificate that this machine can verify, or auth=current, kerberos or ntlm.",
            )
        if self.proxy is not None:
            _parts(self.proxy, "Write the proxy as http://HOST:PORT.")

    @property
    def is_tls(self) -> bool:
        """Whether the connection itself is encrypted."""
        return urlsplit(self.url).scheme == "https"

    @property
    def host(self) -> str:
        """The host of the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the URL, or that of its scheme."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def path(self) -> str:
        """Path and query, without the first slash."""
        parts = urlsplit(self.url)
        return parts.path.lstrip("/") + (f"?{parts.query}" if parts.query else "")

    @property
    def place(self) -> str:
        """Host and port as they stand in the URL."""
        return urlsplit(self.url).netloc

    @property
    def service(self) -> str:
        """The Kerberos name that the server must have."""
        return f"HTTP/{self.service_host or self.host}"


def _is_principal(username: str) -> bool:
    user, _, realm = username.rpartition("@")
    return bool(user and realm) and "\\" not in username


def _parts(url: str, hint: str) -> SplitResult:
    try:
        return web_parts(url)
    except ValueError as error:
        shown = clean(url.rpartition("@")[2])
        raise ConfigurationError(f"{shown} cannot be used: {error}.", hint=hint) from None
