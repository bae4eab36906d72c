"""What DNS and routers do for an organisation: its names and standard ports lead to where it listens on loopback."""

import json
import os
import socket
from typing import Any

from certwright.exchange_simulator.configuration import Role
from world.contoso import AUTODISCOVER, PUBLIC, Contoso

_VARIABLE = "TEST_NAT"


def environment(organisation: Contoso) -> dict[str, str]:
    """For a process that calls `translate`; the public names lead to the first server."""
    names: dict[str, str] = {}
    places: dict[str, list[str | int]] = {}
    for number, server in enumerate(organisation.organisation.servers.values(), 1):
        address = f"127.0.1.{number}"
        names |= {server.spec.fqdn: address, server.spec.name.lower(): address}
        if server.spec.role is not Role.EDGE:
            places |= {f"{address}:{port}": list(place) for port, place in server.ports.items()}
    first = names[organisation.servers[0].spec.fqdn]
    return {_VARIABLE: json.dumps([{**names, PUBLIC: first, AUTODISCOVER: first}, places])}


def translate() -> None:
    """Look names up and connect as `environment` says, from now on."""
    names, places = json.loads(os.environ[_VARIABLE])
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def translated_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        return look_up(names.get(host, host), *arguments, **options)

    def translated_connect(self: socket.socket, address: Any) -> None:
        host, port, *_ = address if isinstance(address, tuple) else (address, "")
        connect(self, tuple(places.get(f"{host}:{port}", ())) or address)

    socket.getaddrinfo = translated_look_up
    socket.socket.connect = translated_connect  # type: ignore[method-assign, assignment]
