"""One server's Exchange PowerShell: what it knows, read into values; and commands carried out one by one."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

from certwright.domain.errors import DeploymentError
from certwright.exchange import wire
from certwright.exchange.model import Certificate, Connector, ServerInfo, ServerState
from certwright.remoting.clixml import Obj
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command, Endpoint, Limits, PowerShell, Result

# What the management shell asks for; only then does an object bring its SerializationData.
_SERIALIZED = "serialization=Full;ExchClientVer=15.2.858.5;clientApplication=ManagementShell"

_AUTH_CERTIFICATES = ("Current", "Next", "Previous")


class ExchangeSession:
    """A session with the PowerShell directory of one Exchange server. Closing it never fails."""

    def __init__(self, endpoint: Endpoint, limits: Limits | None = None) -> None:
        self._shell = PowerShell(endpoint, limits)
        parts = urlsplit(endpoint.url)
        serialized = replace(endpoint, url=urlunsplit(parts._replace(query=parts.query or _SERIALIZED)))
        self._serialized = PowerShell(serialized, limits)

    def close(self) -> None:
        """End the session."""
        self._shell.close()
        self._serialized.close()

    def state(self, server: str) -> ServerState:
        """All we need to know of `server`.

        Raises:
            Unreachable: if Exchange does not answer.
            DeploymentError: if it refuses, or knows no such server.
        """
        return ServerState(
            server=server,
            info=self._server(server),
            certificates=self.certificates(server),
            internal_transport=self._internal_transport(server),
            connectors=self._connectors("receive", Command("Get-ReceiveConnector", {"Server": server}), server),
            pop_name=self._certificate_name("Get-PopSettings", server),
            imap_name=self._certificate_name("Get-ImapSettings", server),
        )

    def send_connectors(self) -> tuple[Connector, ...] | None:
        """The organisation's send connectors; None if the account may not read them."""
        return self._connectors("send", Command("Get-SendConnector"))

    def protected(self) -> frozenset[str]:
        """Thumbprints with which Exchange signs its own tokens; none if the account may not read them."""
        try:
            found = self._shell.read(Command("Get-AuthConfig")).objects
        except CommandFailed as failure:
            if failure.is_missing_command:
                return frozenset()
            raise
        values = [o.properties.get(f"{which}CertificateThumbprint") for o in found for which in _AUTH_CERTIFICATES]
        return frozenset(thumbprint for value in values if (thumbprint := wire.text(value).upper()))

    def certificates(self, server: str) -> tuple[Certificate, ...]:
        """The certificates in the store of `server`, by the first way of reading that tells their services."""
        get = Command("Get-ExchangeCertificate", {"Server": server})
        select = Command("Select-Object", {"Property": wire.CERTIFICATE_PROPERTIES})
        typed: tuple[Certificate, ...] = ()
        try:
            typed = _read(self._shell.read(get, select), wire.typed_certificate)
        except CommandFailed as failure:
            if not _concerns_select(failure):
                raise
        if typed and all(certificate.services is not None for certificate in typed):
            return typed
        serialized = _read(self._serialized.read(get), wire.serialized_certificate)
        known = {certificate.thumbprint: certificate for certificate in typed}
        return tuple(_more_telling(known.get(c.thumbprint), c) for c in serialized) or typed

    def change(self, command: Command) -> Result:
        """Carry out one command that changes something; see `PowerShell.change`."""
        return self._shell.change(command)

    def _server(self, server: str) -> ServerInfo:
        found = self._shell.read(Command("Get-ExchangeServer", {"Identity": server})).objects
        if not found:
            raise DeploymentError(
                f"Exchange knows no server {server!r}.", hint="Name it as Get-ExchangeServer lists it."
            )
        return wire.server_info(found[0])

    def _internal_transport(self, server: str) -> str | None:
        found = self._shell.read(Command("Get-TransportService", {"Identity": server})).objects
        value = found[0].properties.get("InternalTransportCertificateThumbprint") if found else None
        return wire.text(value).replace(" ", "").upper() or None

    def _connectors(self, kind: str, get: Command, server: str = "") -> tuple[Connector, ...] | None:
        try:
            found = self._shell.read(get).objects
        except CommandFailed as failure:
            if failure.is_missing_command:
                return None
            raise
        return tuple(wire.connector(record, kind, server) for record in found)

    def _certificate_name(self, command: str, server: str) -> str | None:
        try:
            found = self._shell.read(Command(command, {"Server": server})).objects
        except CommandFailed as failure:
            if failure.is_missing_command:
                return None
            raise
        return wire.text(found[0].properties.get("X509CertificateName")) or None if found else None


def _read(result: Result, reader: Callable[[Obj], Certificate | None]) -> tuple[Certificate, ...]:
    return tuple(certificate for record in result.objects if (certificate := reader(record)))


def _concerns_select(failure: CommandFailed) -> bool:
    """Whether it is Select-Object, or its parameter, that this session does not offer."""
    return any("Select-Object" in r.message or "SelectObject" in r.error_id for r in failure.records)


def _more_telling(typed: Certificate | None, serialized: Certificate) -> Certificate:
    """What the first way of reading told, completed by the second."""
    if typed is None:
        return serialized
    names = Certificate.__dataclass_fields__
    gaps = {name: getattr(serialized, name) for name in names if getattr(typed, name) in (None, "")}
    return replace(typed, **gaps)
