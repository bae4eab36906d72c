"""A small CA for Exchange tests, and pypsrp as the administrator's shell."""

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from pypsrp.host import PSHost
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue
from pypsrp.wsman import WSMan

MANAGEMENT_SHELL = "?serialization=Full;ExchClientVer=15.2.1748.10;clientApplication=ManagementShell"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]

    @property
    def thumbprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA1()).hex().upper()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def chain_pem(self) -> bytes:
        return b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def pfx(self, password: str, *, legacy: bool = False, with_key: bool = True) -> bytes:
        protection: KeySerializationEncryption = BestAvailableEncryption(password.encode())
        if legacy:
            protection = (
                PrivateFormat.PKCS12.encryption_builder()
                .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
                .hmac_hash(hashes.SHA1())
                .build(password.encode())
            )
        if not with_key:
            return pkcs12.serialize_key_and_certificates(None, None, None, [self.certificate, *self.chain], protection)
        return pkcs12.serialize_key_and_certificates(b"in the file", self.key, self.certificate, self.chain, protection)

    @property
    def p7b(self) -> bytes:
        return pkcs7.serialize_certificates([self.certificate, *self.chain], Encoding.DER)


class TestAuthority:
    """A root and an intermediate, both in memory."""

    __test__ = False

    def __init__(self) -> None:
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = _signed("Test root", "Test root", self._root_key, self._root_key, ca=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.intermediate = _signed("Test intermediate", "Test root", self._key, self._root_key, ca=True)

    def issue(
        self,
        *names: str,
        age: dt.timedelta = dt.timedelta(hours=1),
        life: dt.timedelta = dt.timedelta(days=90),
        common_name: str | None = None,
        rsa_key: bool = False,
        address: str | None = None,
    ) -> Issued:
        """A certificate for `names`; `common_name` is the first of them unless given ("" for none)."""
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if rsa_key
            else ec.generate_private_key(ec.SECP256R1())
        )
        certificate = _signed(
            names[0] if common_name is None else common_name,
            "Test intermediate",
            key,
            self._key,
            names=names,
            not_before=NOW - age,
            life=life,
            address=address,
        )
        return Issued(certificate, key, (self.intermediate,))

    def write_root(self, folder: Path) -> Path:
        path = folder / "root.pem"
        path.write_bytes(self.root.public_bytes(Encoding.PEM))
        return path

    @property
    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.root.public_bytes(Encoding.PEM).decode())


def _signed(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    names: Iterable[str] = (),
    not_before: dt.datetime | None = None,
    life: dt.timedelta = dt.timedelta(days=3650),
    address: str | None = None,
) -> x509.Certificate:
    start = not_before or NOW - dt.timedelta(days=365)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    others: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    if address:
        others.append(x509.IPAddress(ipaddress.ip_address(address)))
    if others:
        builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=not subject)
    return builder.sign(signer, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    return x509.Name(attributes)


@dataclass(frozen=True)
class Outcome:
    """What one pipeline gave.

    Attributes:
        objects: Each output object's properties, adapted and extended together.
        errors: The error records.
    """

    objects: list[dict[str, Any]]
    raw: list[Any]
    errors: list[Any]
    warnings: list[str]
    completed: bool

    @property
    def only(self) -> dict[str, Any]:
        (only,) = self.objects
        return only


class Shell:
    """pypsrp against one endpoint: HTTPS, Basic, the test CA verified."""

    def __init__(
        self,
        url: str,
        root: Path,
        *,
        query: str = "",
        username: str = "admin",
        password: str = "the password",
        configuration: str = "Microsoft.Exchange",
        host: PSHost | None = None,
        idle_timeout: int | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.wsman = WSMan(
            parts.hostname or "",
            port=parts.port,
            path=parts.path.lstrip("/") + query,
            username=username,
            password=password,
            auth="basic",
            cert_validation=str(root),  # type: ignore[arg-type]  # a path is allowed, its annotation says bool
            no_proxy=True,
            connection_timeout=10,
            read_timeout=20,
            operation_timeout=10,
        )
        self.pool = RunspacePool(self.wsman, configuration_name=configuration, host=host, idle_timeout=idle_timeout)

    def __enter__(self) -> Self:
        try:
            self.pool.open()
        except BaseException:
            self.wsman.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.pool.close()
        finally:
            self.wsman.close()

    def start(self, cmdlet: str, *piped: tuple[str, Mapping[str, Any]], **parameters: Any) -> PowerShell:
        """A pipeline of `cmdlet` with `parameters`, then `piped`; not yet invoked."""
        shell = PowerShell(self.pool)
        shell.add_cmdlet(cmdlet).add_parameters(parameters)
        for name, more in piped:
            shell.add_cmdlet(name).add_parameters(dict(more))
        return shell

    def run(self, cmdlet: str, *piped: tuple[str, Mapping[str, Any]], **parameters: Any) -> Outcome:
        """Invoke and close."""
        shell = self.start(cmdlet, *piped, **parameters)
        raw = shell.invoke()
        outcome = Outcome(
            [{**o.adapted_properties, **o.extended_properties} for o in raw],
            raw,
            list(shell.streams.error),
            [str(w.message) for w in shell.streams.warning],
            not shell.had_errors,
        )
        shell.close()
        return outcome

    def secret(self, text: str) -> TaggedValue:
        """`text` as a SecureString."""
        self.pool.exchange_keys()
        return TaggedValue("SS", text)
