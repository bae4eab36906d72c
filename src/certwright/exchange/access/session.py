"""One server's Exchange PowerShell: what it knows, read into values; and commands carried out one by one."""

import contextlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

from certwright.domain.errors import DeploymentError, Unreachable
from certwright.exchange import commands
from certwright.exchange.access import records, wire
from certwright.exchange.access.directory import Directory
from certwright.exchange.access.reading import Reading
from certwright.exchange.discovery import servers
from certwright.exchange.model import Certificate, Connector, ServerInfo, ServerState
from certwright.remoting.clixml import Obj
from certwright.remoting.endpoint import Endpoint
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command, Limits, PowerShell, Result, Transcript

# What the management shell asks for; only then does an object bring its SerializationData.
_SERIALIZED = "serialization=Full;ExchClientVer=15.2.858.5;clientApplication=ManagementShell"
_ERROR_SERVER = re.compile(r"\[Server=([^,\]]+)")


class ExchangeSession:
    """A session with the PowerShell directory of one Exchange server, for several threads. Closing it never fails.

    Args:
        endpoint: where and as whom.
        limits: how long to wait and how much to accept.
        directory: which domain controller to use; sessions of one piece of work share it.
        record: is given each pipeline that was read.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        limits: Limits | None = None,
        directory: Directory | None = None,
        record: Callable[[Transcript], None] | None = None,
    ) -> None:
        parts = urlsplit(endpoint.url)
        serialized = replace(endpoint, url=urlunsplit(parts._replace(query=parts.query or _SERIALIZED)))
        self._shell = PowerShell(endpoint, limits, record)
        self._serialized = PowerShell(serialized, limits, record)
        self._has_query = bool(parts.query)
        self._directory = directory or Directory()
        self._has_answered = False
        self._named = ""
        self._lock = threading.RLock()

    def close(self) -> None:
        """End the session."""
        with self._lock:
            self._shell.close()
            self._serialized.close()

    @property
    def has_answered(self) -> bool:
        """Whether a command was ever carried out."""
        return self._has_answered

    @property
    def answered_by(self) -> str:
        """The server that answered last, as far as it says; a front end may pass a session on to another server.

        It tells in the head of its answers, or in the id of an error.
        """
        answer = self._shell.answered
        return (answer.back_end or self._named or answer.front_end) if answer else ""

    @property
    def clock_skew(self) -> timedelta | None:
        """How far the clock of what answered last is ahead of ours."""
        answer = self._shell.answered
        return answer.skew if answer else None

    def read(self, *pipeline: Command) -> Result:
        """Run commands that change nothing; see `PowerShell.read`."""
        return self._read(self._shell, pipeline)

    def change(self, command: Command) -> Result:
        """Carry out one command that changes something; see `PowerShell.change`."""
        with self._lock:
            aimed = self._directory.aim(command)
            try:
                return self._shell.change(aimed)
            except CommandFailed as failure:
                if aimed is command or not self._directory.is_refused(command, failure):
                    raise
            return self._shell.change(command)

    def state(self, server: str) -> ServerState:
        """What a deployment on `server` depends on.

        Raises:
            Unreachable: if Exchange does not answer.
            DeploymentError: if it refuses, or knows no such server.
        """
        info, reading = self._server(server), Reading(self.read, server, strict=True)
        transport = reading if servers.holds_mailboxes(info) else Reading(self.read, server)
        return ServerState(
            server=server,
            info=info,
            certificates=self.certificates(server),
            internal_transport=servers.internal_transport(transport, server),
            connectors=servers.receive_connectors(reading, server),
            pop_name=servers.mail_access_name(reading, server, "POP"),
            imap_name=servers.mail_access_name(reading, server, "IMAP"),
        )

    def send_connectors(self) -> tuple[Connector, ...] | None:
        """The organisation's send connectors; None if the account may not read them."""
        found = Reading(self.read, strict=True).objects("the send connectors", Command("Get-SendConnector"))
        return None if found is None else tuple(records.connector(record, "send") for record in found)

    def protected(self) -> frozenset[str]:
        """Thumbprints with which Exchange signs tokens and federates; those it may not read are left out."""
        reading = Reading(self.read, strict=True)
        auth = reading.objects("the Auth certificates", Command("Get-AuthConfig"))
        trusts = reading.objects("the federation trust", Command("Get-FederationTrust"))
        found = (records.auth_certificates(auth or ()), records.federation_certificates(trusts or ()))
        return frozenset().union(*(signing.thumbprints for signing in found if signing))

    def rights(self) -> Mapping[str, frozenset[str]] | None:
        """Those of our cmdlets that the account may use, with their parameters; None if this cannot be found out."""
        rights = self._rights((*commands.READ, *commands.CHANGE))
        if rights is not None:
            self._directory.know(rights)
        return rights

    def certificates(self, server: str) -> tuple[Certificate, ...]:
        """The certificates in the store of `server`, by the first way of reading that tells their services."""
        return self.certificates_and_form(server)[0]

    def certificates_and_form(self, server: str) -> tuple[tuple[Certificate, ...], str]:
        """As `certificates`, and how they could be read; see `ServerState.wire_form`."""
        get = Command("Get-ExchangeCertificate", {"Server": server})
        select = Command("Select-Object", {"Property": wire.CERTIFICATE_PROPERTIES})
        typed: tuple[Certificate, ...] = ()
        try:
            typed = _values(self.read(get, select), wire.typed_certificate)
        except CommandFailed as failure:
            if not _concerns_select(failure):
                raise
        if typed and _tells_services(typed):
            return typed, "selected with query" if self._has_query else "selected"
        known = {certificate.thumbprint: certificate for certificate in typed}
        found = typed
        for form, shell in self._serialized_ways():
            serialized = _values(self._read(shell, (get,)), wire.serialized_certificate)
            found = tuple(_more_telling(known.get(c.thumbprint), c) for c in serialized) or found
            if serialized and _tells_services(serialized):
                return found, form
        return found, "raw"

    def read_raw(self, server: str) -> None:
        """Read certificates and queues of `server` as they come, for the record alone; a failure is recorded too."""
        certificates = Command("Get-ExchangeCertificate", {"Server": server})
        raw = [(certificates, shell) for _, shell in self._serialized_ways()]
        for command, shell in (*raw, (Command("Get-Queue", {"Server": server}), self._shell)):
            with contextlib.suppress(CommandFailed, Unreachable):
                self._read(shell, (command,))

    def _serialized_ways(self) -> tuple[tuple[str, PowerShell], ...]:
        """The sessions whose objects may bring their SerializationData: some servers send it unasked."""
        asked = ("serialized with query", self._serialized)
        return (asked,) if self._has_query else (("serialized", self._shell), asked)

    def _read(self, shell: PowerShell, pipeline: Sequence[Command]) -> Result:
        """Read by the pinned domain controller; one that is gone is given up if the same works without it."""
        first, *rest = pipeline
        with self._lock:
            aimed = self._directory.aim(first)
            try:
                result = shell.read(aimed, *rest)
            except CommandFailed as failure:
                self._named = _server_named(failure) or self._named
                refused = self._directory.is_refused(first, failure)
                if aimed is first or not (refused or self._directory.may_be_gone(failure)):
                    raise
                result = shell.read(first, *rest)
                if not refused:
                    self._directory.pin("")
            self._has_answered = True
        self._directory.learn(result)
        return result

    def _rights(self, names: Sequence[str]) -> Mapping[str, frozenset[str]] | None:
        """Get-Command fails as a whole for a name it does not know: those it names are left out the second time."""
        try:
            return records.commands(self.read(Command("Get-Command", {"Name": names})).objects)
        except CommandFailed as failure:
            told = " ".join(record.message for record in failure.records).lower()
            known = [name for name in names if name.lower() not in told]
        if "get-command" in told or not known or len(known) == len(names):
            return None
        return self._rights(known)

    def _server(self, server: str) -> ServerInfo:
        found = self.read(Command("Get-ExchangeServer", {"Identity": server})).objects
        if not found:
            raise DeploymentError(
                f"Exchange knows no server {server!r}.", hint="Name it as Get-ExchangeServer lists it."
            )
        return records.server_info(found[0])


def _server_named(failure: CommandFailed) -> str:
    """The server that an error says it happened on: ``[Server=EX01,RequestId=...``."""
    return next((found[1] for record in failure.records if (found := _ERROR_SERVER.search(record.error_id))), "")


def _values(result: Result, reader: Callable[[Obj], Certificate | None]) -> tuple[Certificate, ...]:
    return tuple(certificate for record in result.objects if (certificate := reader(record)))


def _tells_services(found: Sequence[Certificate]) -> bool:
    return all(certificate.services is not None for certificate in found)


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
