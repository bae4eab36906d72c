"""TLS of the service's port: the certificate is looked at again and again, and each connection gets the newest."""

import logging
import os
import secrets
import ssl
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from certwright.domain.certificates import key_matches, load_certificates, order_chain, pem
from certwright.domain.errors import CertwrightError, ConfigurationError, InvalidMaterial
from certwright.domain.identifiers import Identifier
from certwright.domain.keys import load_private_key
from certwright.engine.context import Engine
from certwright.engine.own_certificate import Presented, of_managed, self_made
from certwright.settings import Settings

log = logging.getLogger("certwright")
EVERY_SECONDS = 2.0
"""How often is looked for a newer certificate."""
_MOST_BYTES = 1 << 20


class OwnTls:
    """What the service presents: `context` is for a server that never ends; connections that are open stay as they are.

    Raises:
        ConfigurationError: if the files that the settings name cannot be used.
        StoreError: if the store cannot be used.
    """

    def __init__(self, engine: Engine, settings: Settings, names: Sequence[Identifier]) -> None:
        self._engine = engine
        self._settings = settings
        self._names = tuple(names)
        self.presented = self._wanted()
        self._current = _context(self.presented)
        self.context = _context(self.presented)
        self.context.sni_callback = self._choose
        self._tell()

    @property
    def is_trusted(self) -> bool:
        """Whether somebody else vouches for what is presented."""
        return not self.presented.facts.is_self_signed

    def covers(self, host: str) -> bool:
        """Whether it is the name of what is presented."""
        return self.presented.facts.covers(host)

    def run(self, stop: threading.Event) -> None:
        """Look for a newer certificate until `stop` is set."""
        trouble = ""
        while not stop.wait(EVERY_SECONDS):
            try:
                self.look()
            except CertwrightError as error:
                if error.message != trouble:
                    log.warning("The certificate of the pages stays as it is: %s", error.message)
                trouble = error.message
            except Exception as error:
                if repr(error) != trouble:
                    log.exception("unexpected, at the certificate of the pages")
                trouble = repr(error)
            else:
                trouble = ""

    def look(self) -> None:
        """Present the newest from now on.

        Raises:
            ConfigurationError, StoreError: as at the beginning, or if what the settings name cannot be presented any
                more; what was presented before still is.
        """
        found = self._wanted()
        if found.told and not self.presented.told:
            raise ConfigurationError(found.told)
        if found != self.presented:
            self._current = _context(found)
            self.presented = found
            self._tell()

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _first: ssl.SSLContext) -> None:
        """OpenSSL asks at the beginning of each handshake, whether the client names a server or not."""
        connection.context = self._current

    def _wanted(self) -> Presented:
        settings = self._settings
        if settings.tls_certificate_file:
            return _of_files(settings, settings.tls_certificate_file)
        if settings.own_certificate:
            return of_managed(self._engine, settings.own_certificate, self._names)
        return self_made(self._engine, self._names)

    def _tell(self) -> None:
        shown = self.presented
        if shown.told:
            log.warning("A self-signed certificate is presented for now: %s", shown.told)
        log.info("The pages present a certificate with the SHA-256 fingerprint %s", shown.fingerprint)


def _of_files(settings: Settings, certificate: Path) -> Presented:
    with settings.blaming("tls_certificate_file"):
        chain = order_chain(load_certificates(_read(certificate)))
    with settings.blaming("tls_key_file"):
        if settings.tls_key_file is None:
            raise ConfigurationError("It is missing: a certificate was given.")
        key = load_private_key(_read(settings.tls_key_file))
        if not key_matches(key, chain[0]):
            raise InvalidMaterial(f"The key in {settings.tls_key_file} is not that of {certificate}.")
    return Presented.of(chain, key)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def _context(presented: Presented) -> ssl.SSLContext:
    """A TLS server that presents it; each connection begins anew, so that none is given an earlier certificate.

    Raises:
        ConfigurationError: if this machine has no room for it at this moment, or OpenSSL does not take it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    password = secrets.token_bytes(32).hex().encode()
    key = presented.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    try:
        handle, name = tempfile.mkstemp()  # OpenSSL reads from files only; what lies there opens nothing
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(key + pem(presented.chain))
            context.load_cert_chain(name, password=password)
        finally:
            Path(name).unlink()
    except OSError as error:
        raise ConfigurationError(f"OpenSSL cannot be given the service's certificate: {error.strerror}.") from error
    return context
