"""Apache from Debian."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.daemons import HOST, running, short_folder
from peers.debian import require

_MODULES = ("mpm_event", "authz_core", "authz_host", "alias", "dir", "proxy", "proxy_http", "rewrite", "ssl")


@contextmanager
def apache(port: int, body: str) -> Iterator[Path]:
    """Serve one site with the directives ``body`` on ``port``; its document root, which Apache's user may read."""
    require("apache2")
    with short_folder("apache") as folder:
        root = folder / "www"
        root.mkdir()
        root.chmod(0o755)
        lines = [
            f"ServerRoot {folder}",
            "ServerName localhost",
            "User www-data",
            "Group www-data",
            f"PidFile {folder}/pid",
            f"DefaultRuntimeDir {folder}",
            f"Mutex file:{folder}",
            f"ErrorLog {folder}/error.log",
            *(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES),
            f"Listen {HOST}:{port}",
            f"DocumentRoot {root}",
            f"<Directory {root}>\nRequire all granted\n</Directory>",
            body,
        ]
        configuration = folder / "apache.conf"
        configuration.write_text("\n".join(lines) + "\n")
        command: list[str | Path] = ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", configuration]
        with running(command, [port], folder / "out.log"):
            yield root
