"""slapd from Debian: an LDAP server with StartTLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.daemons import HOST, TlsFiles, running, short_folder
from peers.debian import require
from peers.ports import free_port


@contextmanager
def slapd(tls: TlsFiles | None) -> Iterator[int]:
    """The port of an LDAP server without any entry; it knows StartTLS if ``tls`` is given."""
    require("slapd")
    port = free_port()
    with short_folder("slapd") as folder:
        configuration = folder / "slapd.conf"
        lines = [f"pidfile {folder}/pid", f"argsfile {folder}/args"]
        if tls:
            lines += [f"TLSCertificateFile {tls.chain}", f"TLSCertificateKeyFile {tls.key}"]
            lines += [f"TLSCACertificateFile {tls.chain}"]
        configuration.write_text("\n".join(lines) + "\n")
        command: list[str | Path] = ["/usr/sbin/slapd", "-f", configuration, "-h", f"ldap://{HOST}:{port}", "-d", "0"]
        with running(command, [port], folder / "output"):
            yield port
