"""Postfix from Debian: an SMTP server with STARTTLS."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.daemons import HOST, TlsFiles, require_root, running, short_folder
from peers.debian import require
from peers.ports import free_port


@contextmanager
def postfix(tls: TlsFiles | None) -> Iterator[int]:
    """The port of an SMTP server that offers STARTTLS if ``tls`` is given."""
    require("postfix")
    require_root()
    port = free_port()
    with short_folder("postfix") as folder:
        _configure(folder, port, tls)
        subprocess.run(["/usr/sbin/postfix", "-c", str(folder), "check"], check=True, timeout=60, capture_output=True)
        with running(["/usr/sbin/postfix", "-c", folder, "start-fg"], [port], folder / "output"):
            yield port


def _configure(folder: Path, port: int, tls: TlsFiles | None) -> None:
    queue, data = folder / "queue", folder / "data"
    queue.mkdir()
    data.mkdir()
    subprocess.run(["chown", "postfix", str(data)], check=True, timeout=10)
    settings = {
        "compatibility_level": "3.6",
        "queue_directory": str(queue),
        "data_directory": str(data),
        "command_directory": "/usr/sbin",
        "daemon_directory": "/usr/lib/postfix/sbin",
        "mail_owner": "postfix",
        "setgid_group": "postdrop",
        "inet_interfaces": HOST,
        "inet_protocols": "ipv4",
        "myhostname": "mail.contoso.test",
        "maillog_file": str(folder / "log"),
        "maillog_file_prefixes": str(folder),
        "smtpd_helo_required": "yes",
    }
    if tls:
        settings |= {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": f"{tls.key} {tls.chain}"}
    (folder / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    (folder / "master.cf").write_text(
        f"{HOST}:{port} inet n - n - - smtpd\n"
        "rewrite unix - - n - - trivial-rewrite\n"
        "cleanup unix n - n - 0 cleanup\n"
        "qmgr unix n - n 300 1 qmgr\n"
        "pickup unix n - n 60 1 pickup\n"
        "tlsmgr unix - - n 1000? 1 tlsmgr\n"
        "anvil unix - - n - 1 anvil\n"
        "proxymap unix - - n - - proxymap\n"
        "postlog unix-dgram n - n - 1 postlogd\n"
    )
