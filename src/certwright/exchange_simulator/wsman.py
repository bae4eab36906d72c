"""WS-Management shells ([MS-WSMV]): Create, Command, Send, Receive, Signal, Delete, Get, Identify."""

import base64
import binascii
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from certwright.exchange_simulator import soap, wsman_faults
from certwright.exchange_simulator.faults import Gone, HttpStatus, WsmanFault
from certwright.exchange_simulator.pipeline import Interrupted
from certwright.exchange_simulator.runspace import Runspace
from certwright.exchange_simulator.soap import ADDRESSING, CONFIG, SHELL, TRANSFER, WSMAN, Fault, Request
from certwright.exchange_simulator.wire import Wire
from certwright.exchange_simulator.world import Node

_MAX_ENVELOPE_KB = 500
_LONGEST_POLL = 60.0
_REMEMBERED_REPLIES = 32
_DONE = SHELL + "/CommandState/Done"
_RUNNING = SHELL + "/CommandState/Running"


class ConnectionDropped(Exception):
    """A planned fault: the connection ends without an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over HTTP."""

    status: int
    body: bytes
    content_type: str = "application/soap+xml;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, and as what.

    Attributes:
        user: The name that was signed in with.
        has_roles: Whether Exchange lets that user manage anything.
        management_shell: Whether the URL carried ``serialization=Full``.
    """

    user: str
    has_roles: bool = True
    management_shell: bool = False


@dataclass(slots=True)
class _Shell:
    runspace: Runspace
    idle_timeout: float
    last_used: float
    idle_text: str
    owner: str


@dataclass(slots=True)
class _Remembered:
    """The reply to a message, so that the same message sent again gets it again."""

    done: threading.Event = field(default_factory=threading.Event)
    reply: Reply | None = None


class WsmanService:
    """One endpoint's shells.

    Args:
        machine: The server's FQDN.
        resource_uri: The one configuration that can be created.
        open_runspace: Makes the runspace of a new shell.
        shell_quota: Shells that may be open at once.
        idle_timeout: Seconds after which an unused shell is lost.
        wire: The way to here.
    """

    def __init__(
        self,
        *,
        machine: str,
        resource_uri: str,
        open_runspace: Callable[[Caller], Runspace],
        shell_quota: int,
        idle_timeout: float,
        wire: Wire,
    ) -> None:
        self._machine = machine
        self._resource_uri = resource_uri
        self._open_runspace = open_runspace
        self._shell_quota = shell_quota
        self._idle_timeout = idle_timeout
        self._wire = wire
        self._lock = threading.Lock()
        self._shells: dict[str, _Shell] = {}
        self._replies: OrderedDict[str, _Remembered] = OrderedDict()

    def handle(self, data: bytes, caller: Caller) -> Reply:
        """Answer one request.

        Args:
            data: The SOAP envelope.
            caller: Who sends it.

        Raises:
            ConnectionDropped: There is to be no answer.
        """
        try:
            request = soap.read(data)
        except soap.Malformed:
            return Reply(400, b"Bad Request", "text/plain")
        if request.body is not None and request.body.tag == f"{{{soap.IDENTIFY}}}Identify":
            return Reply(200, soap.identify_response())
        if not request.message_id:
            return self._fault(wsman_faults.no_message_id(), request)
        with self._lock:
            repeated = request.message_id in self._replies
            remembered = self._replies.setdefault(request.message_id, _Remembered())
            while len(self._replies) > _REMEMBERED_REPLIES:
                self._replies.popitem(last=False)
        if repeated:
            remembered.done.wait(_LONGEST_POLL)
            if remembered.reply is None:
                raise ConnectionDropped
            return remembered.reply
        try:
            remembered.reply = self._answer(request, caller)
            return remembered.reply
        finally:
            remembered.done.set()

    def lose(self, node: Node) -> None:
        """Forget every shell that is on `node`; their clients are told when they come back."""
        with self._lock:
            lost = [i for i, shell in self._shells.items() if shell.runspace.session.node is node]
        for shell_id in lost:
            self._end(shell_id)

    def close(self) -> None:
        """End every shell."""
        with self._lock:
            shells, self._shells = list(self._shells.values()), {}
        for shell in shells:
            shell.runspace.close()

    def _answer(self, request: Request, caller: Caller) -> Reply:
        actions: dict[str, Callable[[Request], list[ET.Element]]] = {
            TRANSFER + "/Get": self._get,
            TRANSFER + "/Delete": self._delete,
            SHELL + "/Command": self._command,
            SHELL + "/Send": self._send,
            SHELL + "/Receive": self._receive,
            SHELL + "/Signal": self._signal,
        }
        try:
            self._wire.admit(request.action)
            if request.action == TRANSFER + "/Create":
                body = self._create(request, caller)
            else:
                body = actions.get(request.action, _not_supported)(request)
        except Fault as fault:
            return self._fault(fault, request)
        except Interrupted as interruption:
            return self._interrupted(interruption, request)
        return Reply(200, soap.response(request, body))

    def _fault(self, fault: Fault, request: Request) -> Reply:
        diagnostics = self._wire.diagnostics(fault.category)
        if fault.provider:
            fault.provider = diagnostics + fault.provider
        else:
            fault.reason = diagnostics + fault.reason
        return Reply(500, soap.fault_response(fault, request.message_id, self._machine))

    def _interrupted(self, interruption: Interrupted, request: Request) -> Reply:
        effect = interruption.effect
        if isinstance(effect, HttpStatus):
            page = f"<html><head><title>{effect.status}</title></head><body><h1>Error</h1></body></html>"
            return Reply(effect.status, page.encode(), "text/html")
        if isinstance(effect, WsmanFault):
            return self._fault(wsman_faults.internal(effect.code, effect.message), request)
        if isinstance(effect, Gone):
            # Here and not where the cmdlet ran: its Command must have been answered, or it is another fault.
            interruption.node.faults.take_down()
        raise ConnectionDropped

    # --- actions -----------------------------------------------------------------------------------------------

    def _create(self, request: Request, caller: Caller) -> list[ET.Element]:
        if request.resource_uri.lower() != self._resource_uri.lower():
            raise wsman_faults.unknown_resource(request.resource_uri)
        if not caller.has_roles:
            raise wsman_faults.no_roles(caller.user)
        body = _require(request.body)
        creation = body.find(f"{{{soap.POWERSHELL}}}creationXml")
        if creation is None or not creation.text:
            raise wsman_faults.invalid("creationXml is missing")
        fragments = _decoded(creation.text)
        shell_id = _identifier(body.get("ShellId"))
        idle = body.findtext(f"{{{SHELL}}}IdleTimeOut")
        seconds = min(self._idle_timeout, soap.seconds(idle)) if idle else self._idle_timeout
        runspace = self._open_runspace(caller)
        shell = _Shell(runspace, seconds, time.monotonic(), f"PT{seconds:.3f}S", caller.user)
        with self._lock:
            self._forget_idle()
            if len(self._shells) >= self._shell_quota:
                raise wsman_faults.over_quota(self._shell_quota)
            self._shells[shell_id] = shell
        try:
            shell.runspace.feed(fragments)
        except ValueError as error:
            self._end(shell_id)
            raise wsman_faults.invalid(str(error)) from None
        return [self._created(shell_id), self._described(shell_id, shell)]

    def _created(self, shell_id: str) -> ET.Element:
        created = ET.Element(f"{{{TRANSFER}}}ResourceCreated")
        ET.SubElement(created, f"{{{ADDRESSING}}}Address").text = f"https://{self._machine}/PowerShell/"
        parameters = ET.SubElement(created, f"{{{ADDRESSING}}}ReferenceParameters")
        ET.SubElement(parameters, f"{{{WSMAN}}}ResourceURI").text = self._resource_uri
        selectors = ET.SubElement(parameters, f"{{{WSMAN}}}SelectorSet")
        ET.SubElement(selectors, f"{{{WSMAN}}}Selector", {"Name": "ShellId"}).text = shell_id
        return created

    def _described(self, shell_id: str, shell: _Shell) -> ET.Element:
        element = ET.Element(f"{{{SHELL}}}Shell")
        for name, value in (
            ("ShellId", shell_id),
            ("ResourceUri", self._resource_uri),
            ("Owner", shell.owner),
            ("ClientIP", "127.0.0.1"),
            ("IdleTimeOut", shell.idle_text),
            ("InputStreams", "stdin pr"),
            ("OutputStreams", "stdout"),
            ("State", "Connected"),
        ):
            ET.SubElement(element, f"{{{SHELL}}}{name}").text = value
        return element

    def _command(self, request: Request) -> list[ET.Element]:
        shell = self._shell(request)
        body = _require(request.body)
        command_id = _identifier(body.get("CommandId"))
        fragments = b"".join(_decoded(a.text) for a in body.iterfind(f"{{{SHELL}}}Arguments"))
        try:
            shell.runspace.create_pipeline(command_id, fragments)
        except ValueError as error:
            raise wsman_faults.invalid(str(error)) from None
        answer = ET.Element(f"{{{SHELL}}}CommandResponse")
        ET.SubElement(answer, f"{{{SHELL}}}CommandId").text = command_id
        return [answer]

    def _send(self, request: Request) -> list[ET.Element]:
        shell = self._shell(request)
        for stream in _require(request.body).iterfind(f"{{{SHELL}}}Stream"):
            try:
                shell.runspace.feed(_decoded(stream.text))
            except ValueError as error:
                raise wsman_faults.invalid(str(error)) from None
        return [ET.Element(f"{{{SHELL}}}SendResponse")]

    def _receive(self, request: Request) -> list[ET.Element]:
        shell = self._shell(request)
        desired = _require(request.body).find(f"{{{SHELL}}}DesiredStream")
        command_id = desired.get("CommandId") if desired is not None else None
        try:
            data, done = shell.runspace.read(command_id, min(request.timeout, _LONGEST_POLL))
        except KeyError:
            raise wsman_faults.no_command() from None
        shell.last_used = time.monotonic()
        if not data and not done:
            raise wsman_faults.timed_out()
        answer = ET.Element(f"{{{SHELL}}}ReceiveResponse")
        attributes = {"Name": "stdout"} | ({"CommandId": command_id} if command_id else {})
        if data:
            stream = ET.SubElement(answer, f"{{{SHELL}}}Stream", attributes)
            stream.text = base64.b64encode(data).decode()
        if command_id:
            state = {"CommandId": command_id, "State": _DONE if done else _RUNNING}
            ET.SubElement(answer, f"{{{SHELL}}}CommandState", state)
        return [answer]

    def _signal(self, request: Request) -> list[ET.Element]:
        shell = self._shell(request)
        try:
            shell.runspace.stop(_require(request.body).get("CommandId") or "-")
        except KeyError:
            raise wsman_faults.no_command() from None
        return [ET.Element(f"{{{SHELL}}}SignalResponse")]

    def _delete(self, request: Request) -> list[ET.Element]:
        self._shell(request)
        self._end(request.shell_id.upper())
        return []

    def _get(self, request: Request) -> list[ET.Element]:
        if request.resource_uri == CONFIG:
            config = ET.Element(f"{{{CONFIG}}}Config")
            ET.SubElement(config, f"{{{CONFIG}}}MaxEnvelopeSizekb").text = str(_MAX_ENVELOPE_KB)
            return [config]
        return [self._described(request.shell_id.upper(), self._shell(request))]

    # --- shells ------------------------------------------------------------------------------------------------

    def _shell(self, request: Request) -> _Shell:
        with self._lock:
            self._forget_idle()
            shell = self._shells.get(request.shell_id.upper())
        if shell is None:
            raise wsman_faults.no_shell(request.shell_id)
        shell.last_used = time.monotonic()
        return shell

    def _forget_idle(self) -> None:
        now = time.monotonic()
        for shell_id in [i for i, s in self._shells.items() if now - s.last_used > s.idle_timeout]:
            self._shells.pop(shell_id).runspace.close()

    def _end(self, shell_id: str) -> None:
        with self._lock:
            shell = self._shells.pop(shell_id, None)
        if shell is not None:
            shell.runspace.close()


def _not_supported(_request: Request) -> list[ET.Element]:
    raise wsman_faults.not_supported()


def _require(body: ET.Element | None) -> ET.Element:
    if body is None:
        raise wsman_faults.invalid("the body is empty")
    return body


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise wsman_faults.invalid("not base64") from None


def _identifier(given: str | None) -> str:
    try:
        return str(uuid.UUID(given) if given else uuid.uuid4()).upper()
    except ValueError:
        raise wsman_faults.invalid("not a GUID") from None
