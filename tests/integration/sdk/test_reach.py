"""Connections are judged where they are made, whatever name leads there and whichever library makes them."""

import subprocess
import sys

CODE = """
import socket, sys
from certwright.sdk.reach import guard
guard()
guard()

def resolved(host, port, *rest, **named):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

true = socket.getaddrinfo
if "name" in sys.argv:
    socket.getaddrinfo = resolved
from certwright.acme.https_transport import HttpsTransport
from certwright.acme.errors import ConnectionFailed
try:
    host = "harmless.contoso.test" if "name" in sys.argv else "169.254.169.254"
    HttpsTransport("test").request("GET", f"https://{host}/", headers={}, body=None, timeout=5)
except ConnectionFailed as error:
    print(error)
socket.getaddrinfo = true
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname(), 5).close()
print("loopback is reached")
"""


def run(*arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout


def test_a_link_local_address_is_refused_before_anything_is_sent() -> None:
    told = run()
    assert "169.254.169.254 is a link-local or metadata address, to which Certwright does not connect" in told
    assert "loopback is reached" in told


def test_a_name_that_leads_there_is_refused_too() -> None:
    assert "169.254.169.254 is a link-local or metadata address" in run("name")
