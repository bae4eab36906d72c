"""What DNS and routers do for an organisation: its names and standard ports lead to where it listens on loopback."""

import json
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from certwright.exchange_simulator import ExchangeServer
from certwright.exchange_simulator.configuration import Role

COMMAND = """
import sys
from world.hurry import command_line
from world.nat import translate
translate()
command_line(*sys.argv[1:])
"""
"""What the `certwright` command does, where these names and ports lead."""
_VARIABLE = "TEST_NAT"
_PUBLIC = "127.0.1.250"
_WEB, _WINRM = 80, 5985


def environment(
    servers: Iterable[ExchangeServer], public: Sequence[str], challenge_port: int | None = None
) -> dict[str, str]:
    """For a process that calls `translate`; the `public` names lead to the first server.

    With a `challenge_port`, that is what port 80 of this machine really is, to which that of the public names leads.
    """
    names: dict[str, str] = {}
    places: dict[str, tuple[str, int]] = {}
    for number, server in enumerate(servers, 1):
        address = f"127.0.1.{number}"
        names |= {server.spec.fqdn: address, server.spec.name.lower(): address}
        if server.spec.role is Role.EDGE:
            continue
        shells = {_WEB: server.powershell_http_url, _WINRM: server.winrm_http_url}
        ports = {**server.ports, **{port: _place(url) for port, url in shells.items()}}
        places |= {f"{address}:{port}": place for port, place in ports.items()}
        if number == 1:
            places |= {f"{_PUBLIC}:{port}": place for port, place in ports.items()}
    if challenge_port:
        places[f"{_PUBLIC}:{_WEB}"] = ("127.0.0.1", challenge_port)
    names |= dict.fromkeys(public, _PUBLIC)
    return {_VARIABLE: json.dumps([names, places, challenge_port])}


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _WEB


def translate() -> None:
    """Look names up, connect and listen as `environment` says, from now on."""
    names, places, challenge_port = json.loads(os.environ[_VARIABLE])
    look_up, connect, bind = socket.getaddrinfo, socket.socket.connect, socket.socket.bind

    def translated_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        return look_up(names.get(host, host), *arguments, **options)

    def translated_connect(self: socket.socket, address: Any) -> None:
        host, port, *_ = address if isinstance(address, tuple) else (address, "")
        connect(self, tuple(places.get(f"{host}:{port}", ())) or address)

    def translated_bind(self: socket.socket, address: Any) -> None:
        is_web = challenge_port and isinstance(address, tuple) and address[1] == _WEB
        bind(self, (address[0], challenge_port, *address[2:]) if is_web else address)

    socket.getaddrinfo = translated_look_up
    socket.socket.connect = translated_connect  # type: ignore[method-assign, assignment]
    socket.socket.bind = translated_bind  # type: ignore[method-assign, assignment]
