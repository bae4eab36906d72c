"""Dovecot from Debian: IMAP and POP3, with TLS from the first byte and with STARTTLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from peers.daemons import HOST, TlsFiles, require_root, running, short_folder
from peers.debian import require
from peers.ports import free_port


@dataclass(frozen=True)
class Dovecot:
    """Where it listens."""

    imap: int
    imaps: int
    pop3: int
    pop3s: int


@contextmanager
def dovecot(tls: TlsFiles) -> Iterator[Dovecot]:
    """A running Dovecot without any mailbox."""
    require("dovecot-imapd", "dovecot-pop3d")
    require_root()
    ports = Dovecot(free_port(), free_port(), free_port(), free_port())
    with short_folder("dovecot") as folder:
        configuration = folder / "dovecot.conf"
        configuration.write_text(
            f"""
            base_dir = {folder}/run
            state_dir = {folder}/state
            log_path = {folder}/log
            protocols = imap pop3
            listen = {HOST}
            ssl = yes
            ssl_cert = <{tls.chain}
            ssl_key = <{tls.key}
            passdb {{
              driver = static
              args = nopassword=n
            }}
            userdb {{
              driver = static
              args = uid=65534 gid=65534 home={folder}/mail
            }}
            service imap-login {{
              inet_listener imap {{
                port = {ports.imap}
              }}
              inet_listener imaps {{
                port = {ports.imaps}
                ssl = yes
              }}
            }}
            service pop3-login {{
              inet_listener pop3 {{
                port = {ports.pop3}
              }}
              inet_listener pop3s {{
                port = {ports.pop3s}
                ssl = yes
              }}
            }}
            """
        )
        every = [ports.imap, ports.imaps, ports.pop3, ports.pop3s]
        with running(["/usr/sbin/dovecot", "-F", "-c", configuration], every, folder / "output"):
            yield ports
