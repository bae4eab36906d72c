"""The PowerShell remoting protocol ([MS-PSRP]) of one shell: psrpcore's server side, a thread for each pipeline."""

import queue
import struct
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET

from psrpcore import (
    CreatePipelineEvent,
    GetAvailableRunspacesEvent,
    GetCommandMetadataEvent,
    PipelineHostResponseEvent,
    PowerShell,
    PSRPCoreError,
    PSRPEvent,
    PSRPPayload,
    ServerHostRequestor,
    ServerPipeline,
    ServerRunspacePool,
    SetMaxRunspacesEvent,
    SetMinRunspacesEvent,
    StreamType,
)
from psrpcore.types import (
    ChoiceDescription,
    ErrorCategory,
    ErrorRecord,
    HostInfo,
    InvocationInfo,
    PSInvocationState,
    PSObject,
    PSRPMessageType,
    RemoteStreamOptions,
)

from certwright.exchange_simulator.cmdlet import Session
from certwright.exchange_simulator.pipeline import (
    Interrupted,
    PipelineFailed,
    PipelineStopped,
    run,
)
from certwright.exchange_simulator.records import CmdletError

FRAGMENT_SIZE = 32 * 1024
"""Bytes of one outgoing fragment, as Windows cuts them."""

RESPONSE_SIZE = 96 * 1024
"""Bytes of fragments in one Receive response: fits the smallest envelope once base64 has grown it."""

_JOIN_GRACE = 1.0

# What psrpcore raises for bytes that are no proper PSRP: it checks little itself.
_PROTOCOL_ERRORS = (
    PSRPCoreError,
    ET.ParseError,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)


class Runspace:
    """A runspace pool and its pipelines.

    Every method may be called from any thread; psrpcore's objects are only touched under the lock.

    Args:
        session: What commands run against.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pool = ServerRunspacePool()
        self._changed = threading.Condition()
        self._output: defaultdict[str, deque[bytes]] = defaultdict(deque)
        self._pipelines: dict[str, _RunningPipeline] = {}
        self._closed = False

    def create_pipeline(self, command_id: str, data: bytes) -> None:
        """Register a pipeline and take its first fragments (Command).

        Raises:
            ValueError: `command_id` or `data` are malformed.
        """
        with self._changed:
            if _key(command_id) in self._pipelines:
                raise ValueError("the command exists already")
            # psrpcore looks the pipeline up when its first message arrives, so it has to be there before.
            pipeline = ServerPipeline(self._pool, uuid.UUID(command_id))
            self._pipelines[_key(command_id)] = _RunningPipeline(self, pipeline)
        self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take fragments (creationXml, Send).

        Raises:
            ValueError: They are not PSRP.
        """
        with self._changed:
            pending = data
            while (event := self._next_event(pending)) is not None:
                self._handle(event)
                pending = b""
            self._drain()

    def read(self, command_id: str | None, timeout: float) -> tuple[bytes, bool]:
        """Fragments for the pool or for one pipeline (Receive).

        Args:
            command_id: The pipeline; None for the pool.
            timeout: Seconds to wait for the first byte.

        Returns:
            The bytes, empty when nothing came in time, and whether the pipeline is done.

        Raises:
            Interrupted: A planned fault cut the pipeline off.
            KeyError: There is no such pipeline, or the runspace was closed.
        """
        key = _key(command_id)
        with self._changed:
            pipeline = self._pipelines[key] if key else None
            waiting = self._output[key]
            self._changed.wait_for(
                lambda: waiting or self._closed or (pipeline and (pipeline.finished or pipeline.interruption)), timeout
            )
            if self._closed:
                raise KeyError(key)
            if pipeline and pipeline.interruption:
                raise pipeline.interruption
            data = b""
            while waiting and len(data) + len(waiting[0]) <= RESPONSE_SIZE:
                data += waiting.popleft()
            return data, bool(pipeline and pipeline.finished and not waiting)

    def stop(self, command_id: str) -> None:
        """Stop a pipeline and forget it (Signal).

        Raises:
            KeyError: There is no such pipeline.
        """
        with self._changed:
            pipeline = self._pipelines[_key(command_id)]
        pipeline.stop()
        with self._changed:
            self._pipelines.pop(_key(command_id), None)
            self._output.pop(_key(command_id), None)

    def close(self) -> None:
        """Stop every pipeline (Delete, idle time-out, lost shell)."""
        with self._changed:
            self._closed = True
            pipelines = list(self._pipelines.values())
            self._changed.notify_all()
        for pipeline in pipelines:
            pipeline.stop()

    @property
    def host(self) -> HostInfo | None:
        """The host that the client gave to the pool."""
        return self._pool.host

    @property
    def session(self) -> Session:
        """What commands run against."""
        return self._session

    def locked(self) -> threading.Condition:
        """The lock around psrpcore's objects; notified when output is there."""
        return self._changed

    def send(self) -> None:
        """Queue what psrpcore has prepared; call with the lock held."""
        self._drain()

    def attach(self, clixml: str) -> None:
        """Give the message prepared last, which is empty, this content; call with the lock held."""
        # psrpcore does not write an enumeration as it was read, and has no public way to send what is written already.
        self._pool._send_buffer[-1]._data.extend(clixml.encode())  # noqa: SLF001

    def _next_event(self, data: bytes) -> PSRPEvent[Any, Any] | None:
        try:
            if data:
                self._pool.receive_data(PSRPPayload(data, StreamType.default, None))
            event = self._pool.next_event()
        except _PROTOCOL_ERRORS as error:
            raise ValueError(f"malformed PSRP data ({type(error).__name__})") from None
        if isinstance(event, GetCommandMetadataEvent):
            raise ValueError("GetCommandMetadata is not simulated: ask Get-Command")  # noqa: TRY004 - the peer's data
        return event

    def _drain(self) -> None:
        # One message at a time: psrpcore's own packing of several into one payload can exceed the size given.
        while (payload := self._pool.data_to_send(FRAGMENT_SIZE)) is not None:
            self._output[_key(str(payload.pipeline_id) if payload.pipeline_id else None)].append(payload.data)
        self._changed.notify_all()

    def _handle(self, event: PSRPEvent[Any, Any]) -> None:
        pipeline = self._pipelines.get(_key(str(event.pipeline_id) if event.pipeline_id else None))
        if isinstance(event, CreatePipelineEvent) and pipeline is not None:
            pipeline.start(event.pipeline)
        elif isinstance(event, PipelineHostResponseEvent) and pipeline is not None:
            pipeline.answers.put(event)
        elif isinstance(event, GetAvailableRunspacesEvent):
            self._pool.runspace_availability_response(event.ci, self._pool.max_runspaces)
        elif isinstance(event, SetMaxRunspacesEvent | SetMinRunspacesEvent):
            self._pool.runspace_availability_response(event.ci, True)


class _RunningPipeline:
    """One pipeline; the `Console` that its commands write to."""

    def __init__(self, runspace: Runspace, pipeline: ServerPipeline) -> None:
        self._runspace = runspace
        self._pipeline = pipeline
        self._request: PowerShell | None = None
        self._thread = threading.Thread(target=self._run, name="exchange-simulator-pipeline", daemon=True)
        self.answers: queue.SimpleQueue[PipelineHostResponseEvent | None] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self.interruption: Interrupted | None = None

    @property
    def finished(self) -> bool:
        """Whether its last message has been queued."""
        return self._pipeline.state in {
            PSInvocationState.Completed,
            PSInvocationState.Failed,
            PSInvocationState.Stopped,
        }

    def start(self, request: PowerShell) -> None:
        """Run `request` in a thread of its own; call with the runspace's lock held.

        Raises:
            ValueError: It runs already.
        """
        if self._request is not None:
            raise ValueError("the pipeline was created twice")
        self._request = request
        self._pipeline.start()
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end and wait a bounded time."""
        self.stopped.set()
        self.answers.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_GRACE)

    def output(self, value: PSObject) -> None:
        with self._runspace.locked():
            self._pipeline.write_output(value)
            self._runspace.send()

    def recorded(self, clixml: str) -> None:
        with self._runspace.locked():
            self._pipeline.write_output(None)
            self._runspace.attach(clixml)
            self._runspace.send()

    def warning(self, message: str, invocation: InvocationInfo | None) -> None:
        with self._runspace.locked():
            self._pipeline.write_warning(message, invocation)
            self._runspace.send()

    def error(self, record: ErrorRecord) -> None:
        with self._runspace.locked():
            self._pipeline.prepare_message(record, message_type=PSRPMessageType.ErrorRecord)
            self._runspace.send()

    def choose(self, caption: str, message: str, labels: Iterable[str], default: int) -> int:
        if not self._has_host():
            raise CmdletError(
                "A command that prompts the user failed because the host program or the command type does not "
                "support user interaction. The host was attempting to request confirmation with the following "
                f"message: {message}",
                reason="HostException",
                namespace="System.Management.Automation.Host",
                category=ErrorCategory.NotImplemented,
                error_id="HostFunctionNotImplemented",
                terminating=True,
            )
        choices = [ChoiceDescription(label, "") for label in labels]
        with self._runspace.locked():
            asked = ServerHostRequestor(self._pipeline).prompt_for_choice(caption, message, choices, default)
            self._runspace.send()
        while (answer := self.answers.get()) is not None:
            if answer.ci == asked and isinstance(answer.result, int):
                return int(answer.result)
        raise PipelineStopped

    def wants_invocation_info(self) -> bool:
        options = self._request.remote_stream_options if self._request else RemoteStreamOptions.none
        return bool(int(options) & int(RemoteStreamOptions.AddInvocationInfoToErrorRecord))

    def _has_host(self) -> bool:
        own = self._request.host if self._request else None
        if own is not None and not own.UseRunspaceHost:
            return not own.IsHostNull and not own.IsHostUINull
        pool = self._runspace.host
        return pool is not None and not pool.IsHostNull and not pool.IsHostUINull

    def _run(self) -> None:
        state, record = PSInvocationState.Completed, None
        try:
            if self._request is not None:
                run(self._request.commands, self._runspace.session, self)
        except PipelineFailed as failure:
            state, record = PSInvocationState.Failed, failure.record
        except PipelineStopped:
            state = PSInvocationState.Stopped
        except Interrupted as interruption:
            self._interrupt(interruption)
            return
        with self._runspace.locked():
            # psrpcore has no public way to fail a pipeline.
            self._pipeline._change_state(state, error=record)  # noqa: SLF001
            self._runspace.send()

    def _interrupt(self, interruption: Interrupted) -> None:
        with self._runspace.locked():
            self.interruption = interruption
            self._runspace.locked().notify_all()


def _key(identifier: str | None) -> str:
    """How output is filed: the pool's own under the empty string."""
    return identifier.upper() if identifier else ""
