"""Certificates that somebody has already: presented by a server, and as files that openssl makes."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from certwright.domain.certificates import SERVER_AUTHENTICATION, pem
from certwright.domain.keys import KeyType, PrivateKey, generate, private_key_pem
from peers.daemons import TlsFiles
from peers.debian import require
from unit.domain.workshop import Authority, general_names

MANY_DAYS = 300


@dataclass(frozen=True)
class Existing:
    """A certificate with its key, as PEM files in a folder."""

    key: PrivateKey
    files: TlsFiles

    def pfx(self, password: str, *options: str) -> Path:
        """One file of both, protected by this password, unless the options say otherwise."""
        require("openssl")
        made = self.files.chain.with_suffix(".pfx")
        key = [] if "-nokeys" in options else ["-inkey", str(self.files.key)]
        command = ["openssl", "pkcs12", "-export", "-in", str(self.files.chain), *key, "-out", str(made)]
        subprocess.run([*command, "-passout", "stdin", *options], input=f"{password}\n".encode(), check=True)
        return made

    @property
    def pem(self) -> bytes:
        """Both as text."""
        return self.files.chain.read_bytes() + self.files.key.read_bytes()


def existing(
    folder: Path,
    *names: str,
    now: datetime,
    common_name: str = "",
    days: int = MANY_DAYS,
    kind: KeyType = KeyType.ECDSA_P384,
    usages: Sequence[str] = (SERVER_AUTHENTICATION,),
) -> Existing:
    """One for these names that ends in so many days."""
    key = generate(kind)
    leaf: x509.Certificate = Authority("Fabrikam CA").certify(
        common_name or names[0],
        key,
        names=general_names(names),
        start=now - timedelta(days=90),
        lifetime=timedelta(days=90 + days),
        usages=usages,
    )
    files = TlsFiles(folder / "key.pem", folder / "chain.pem", (pem([leaf]),))
    files.key.write_bytes(private_key_pem(key))
    files.chain.write_bytes(files.pem[0])
    return Existing(key, files)
