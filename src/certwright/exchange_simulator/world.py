"""The servers of an organisation as cmdlets see them, and the log of what was asked of them."""

import enum
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from certwright.exchange_simulator.configuration import OrganisationState, Role
from certwright.exchange_simulator.directory import Directory
from certwright.exchange_simulator.faults import Faults
from certwright.exchange_simulator.state import ServerState


class WireForm(enum.Enum):
    """What a raw ExchangeCertificate carries for the management shell (other clients see RawData alone)."""

    SIGNED = "signed"
    """RawData and a signed SerializationData: the default since the November 2023 security update."""
    UNSIGNED = "unsigned"
    """RawData and SerializationData."""
    RAW_DATA = "raw data"
    """RawData alone, as with a broken Auth certificate."""


@dataclass(frozen=True, slots=True)
class Call:
    """One cmdlet call.

    Attributes:
        server: The server it was aimed at.
        cmdlet: Its name.
        parameters: As bound; secrets hidden, files shortened.
    """

    server: str
    cmdlet: str
    parameters: Mapping[str, Any]


@dataclass(slots=True)
class Node:
    """One server.

    Attributes:
        select_sees_properties: Whether ``Select-Object`` in the endpoint still sees a certificate's properties.
        serializes_unasked: Whether every client gets the management shell's wire form.
    """

    state: ServerState
    faults: Faults
    wire_form: WireForm = WireForm.SIGNED
    select_sees_properties: bool = True
    serializes_unasked: bool = False
    signing_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def reachable(self) -> bool:
        """Whether its own service can be asked from another server: it is on, and not in the perimeter network."""
        return self.state.role is not Role.EDGE and not self.faults.off


@dataclass(slots=True)
class World:
    """All servers, and what was asked of them."""

    organisation: OrganisationState
    directory: Directory
    language: str = "en"
    nodes: dict[str, Node] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    mutations: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, name: str) -> Node | None:
        """The server called `name`: NetBIOS name or FQDN, in any case."""
        wanted = name.lower()
        return next((n for n in self.nodes.values() if wanted in {n.state.name.lower(), n.state.fqdn.lower()}), None)

    def log(self, call: Call, *, changed: bool) -> None:
        """Note `call`, or that it changed something."""
        with self.lock:
            (self.mutations if changed else self.calls).append(call)
