"""nginx from Debian."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.daemons import HOST, TlsFiles, running
from peers.debian import require


def plain_site(port: int, body: str) -> str:
    """A server block for http."""
    return f"server {{ listen {HOST}:{port}; {body} }}"


def tls_site(port: int, tls: TlsFiles, body: str = "return 204;", more: str = "") -> str:
    """A server block for https; ``more`` are further directives, such as ``ssl_protocols``."""
    return (
        f"server {{ listen {HOST}:{port} ssl; ssl_certificate {tls.chain}; ssl_certificate_key {tls.key}; {more} "
        f"{body} }}"
    )


@contextmanager
def nginx(folder: Path, sites: list[str], ports: list[int]) -> Iterator[None]:
    """Serve ``sites`` until the block ends; ``ports`` are those that they listen on."""
    require("nginx-light")
    folder.mkdir(parents=True, exist_ok=True)
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; user root;\n"
        "events { worker_connections 128; }\n"
        f"http {{ access_log off; {temporary}\n" + "\n".join(sites) + "\n}\n"
    )
    with running(["/usr/sbin/nginx", "-c", configuration, "-p", folder], ports, folder / "nginx.log"):
        yield
