"""Who a connection is: HTTP's Basic, Negotiate, NTLM and Kerberos ([RFC 4559], [MS-NTHT]), kept as IIS keeps it.

NTLM and Kerberos sign a *connection* in: what follows on it needs no header.  Basic signs each request in, and only
inside TLS.
"""

import base64
import binascii
import contextlib
import enum
import hmac
import importlib.util
import os
import struct
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from spnego._ntlm_raw.crypto import ntowfv1
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import BadBindingsError, SpnegoError

# What pyspnego raises for tokens that are none: it checks little itself.
_REFUSED = (SpnegoError, struct.error, ValueError, LookupError, TypeError, AttributeError, OverflowError)
_CHANNEL_BOUND = 0x800  # GSS_C_CHANNEL_BOUND_FLAG
_environment = threading.Lock()


class Scheme(enum.Enum):
    """An authentication scheme by its name in HTTP."""

    BASIC = "Basic"
    NEGOTIATE = "Negotiate"
    """SPNEGO, or NTLM bare: NTLM always, Kerberos if there is a keytab."""
    NTLM = "NTLM"
    KERBEROS = "Kerberos"
    """What Exchange's PowerShell directory offers as it is set up."""


@dataclass(slots=True)
class Account:
    r"""Who may sign in.

    Attributes:
        username: A plain name or a user principal name; the latter's ``CONTOSO\name`` is understood as well.
        password: Its password.
    """

    username: str
    password: str = field(repr=False)

    @property
    def spellings(self) -> tuple[str, ...]:
        """The names that mean this account."""
        name, _, domain = self.username.partition("@")
        return (self.username, f"{domain.partition('.')[0].upper()}\\{name}") if domain else (self.username,)

    def is_named(self, principal: str) -> bool:
        """Whether `principal` is one of the spellings, in any case."""
        return principal.lower() in {s.lower() for s in self.spellings}

    def matches(self, credential: str) -> bool:
        """Whether `credential` is this account's for Basic; takes as long for a wrong one."""
        try:
            given = base64.b64decode(credential, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        found = [hmac.compare_digest(given, f"{name}:{self.password}".encode()) for name in self.spellings]
        return any(found)


@dataclass(frozen=True, slots=True)
class Access:
    """How the endpoints of a server let people in.

    Attributes:
        schemes: What a 401 offers, in this order; Basic is offered inside TLS alone.
        keytab: The service's keys; without it nobody signs in by Kerberos.
        channel_binding: Whether signing in inside TLS has to be bound to the server's certificate (Extended
            Protection).
    """

    schemes: tuple[Scheme, ...] = (Scheme.BASIC, Scheme.NEGOTIATE)
    keytab: Path | None = None
    channel_binding: bool = False

    def __post_init__(self) -> None:
        if self.keytab and not importlib.util.find_spec("gssapi"):
            raise ImportError("a keytab needs the packages gssapi and krb5: install the extra 'kerberos'")


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a request's Authorization header.

    Attributes:
        granted: Whether the request may be served.
        headers: WWW-Authenticate, once for each value.
    """

    granted: bool
    headers: Mapping[str, list[str]] = field(default_factory=dict)


class SignIn:
    """The authentication of one connection.

    Args:
        access: What is accepted.
        account: Who.
        realm: Shown with Basic.
        certificate: The endpoint's certificate as DER; None outside TLS.
    """

    def __init__(self, access: Access, account: Account, realm: str, certificate: bytes | None) -> None:
        self._access = access
        self._account = account
        self._realm = realm
        self._secure = certificate is not None
        self._binding = _binding(certificate) if certificate and access.channel_binding else None
        self._scheme: Scheme | None = None
        self._context: spnego.ContextProxy | None = None

    @property
    def context(self) -> spnego.ContextProxy | None:
        """What seals messages on this connection; None if it is not signed in by NTLM or Kerberos."""
        return self._context if self._context and self._context.complete else None

    @property
    def user(self) -> str:
        """The name that was signed in with."""
        return (self.context and self.context.client_principal) or self._account.username

    @property
    def scheme(self) -> Scheme | None:
        """By which `context` came about."""
        return self._scheme

    def check(self, authorization: str | None) -> Answer:
        """Take the header of one request, None if it has none."""
        name, _, value = (authorization or "").strip().partition(" ")
        scheme = next((s for s in self._offered if s.value.lower() == name.lower()), None)
        if scheme is Scheme.BASIC:
            return Answer(granted=True) if self._account.matches(value.strip()) else self._refused()
        if scheme is not None:
            return self._step(scheme, value.strip())
        return Answer(granted=True) if self.context and not name else self._refused()

    @property
    def _offered(self) -> list[Scheme]:
        return [s for s in self._access.schemes if self._secure or s is not Scheme.BASIC]

    def _refused(self) -> Answer:
        self._context = self._scheme = None
        basic = f'Basic realm="{self._realm}"'
        values = [basic if s is Scheme.BASIC else s.value for s in self._offered]
        return Answer(granted=False, headers={"WWW-Authenticate": values})

    def _step(self, scheme: Scheme, encoded: str) -> Answer:
        if self._context is None or self._context.complete or self._scheme is not scheme:
            self._context, self._scheme = None, scheme
        try:
            token = base64.b64decode(encoded, validate=True)
            if not token:
                raise ValueError("there is no token")
            with _acceptor_secrets(self._account, self._access.keytab):
                # In the same moment, as the library looks its secrets up when it pleases.
                self._context = self._context or self._new_context(scheme)
                answer = self._context.step(token)
            if self._context.complete:
                self._check_binding(self._context)
        except _REFUSED:
            return self._refused()
        values = [f"{scheme.value} {base64.b64encode(answer).decode()}"] if answer else []
        return Answer(granted=self._context.complete, headers={"WWW-Authenticate": values})

    def _new_context(self, scheme: Scheme) -> spnego.ContextProxy:
        if scheme is Scheme.KERBEROS and not self._access.keytab:
            raise ValueError("there is no keytab")
        return spnego.server(
            protocol=scheme.value.lower(),
            options=spnego.NegotiateOptions.wrapping_winrm,
            channel_bindings=self._binding,
        )

    def _check_binding(self, context: spnego.ContextProxy) -> None:
        # MIT's acceptor takes an initiator that sends no binding, and only tells by a flag.
        if self._binding and context.negotiated_protocol == "kerberos" and not _flags(context) & _CHANNEL_BOUND:
            raise BadBindingsError(context_msg="the ticket is not bound to the channel")


def _flags(context: spnego.ContextProxy) -> int:
    """The flags of the mechanism itself, which pyspnego shows in part only."""
    inner = getattr(context, "_context", None)
    return int(getattr(inner, "actual_flags", None) or (_flags(inner) if inner is not None else 0))


def _binding(certificate: bytes) -> GssChannelBindings:
    """The ``tls-server-end-point`` binding of `certificate` (RFC 5929, section 4.1)."""
    algorithm = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if algorithm is None or isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


@contextlib.contextmanager
def _acceptor_secrets(account: Account, keytab: Path | None) -> Iterator[None]:
    """Let the libraries find an acceptor's secrets: they look in the environment and nowhere else."""
    hashed = ntowfv1(account.password).hex()
    lines = [f"{name}:0:{'0' * 32}:{hashed}:[U]:LCT-0\n" for name in account.spellings]
    with _environment, tempfile.TemporaryDirectory(prefix="exchange-simulator-") as folder:
        users = Path(folder, "users")
        users.touch(mode=0o600)
        users.write_text("".join(lines), encoding="utf-8")
        values = {"NTLM_USER_FILE": str(users), "KRB5_KTNAME": str(keytab or Path(folder, "none"))}
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
