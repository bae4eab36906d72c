"""A TLS server that answers tls-alpn-01 (RFC 8737) as web servers do: by the server name that is asked for."""

import ipaddress
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from certwright.acme.challenge import Answer

_PROTOCOL = "acme-tls/1"
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


@contextmanager
def alpn_responder(port: int, host: str, answers: Sequence[Answer], folder: Path) -> Iterator[None]:
    """Listen on ``port`` of ``host`` with the certificates that ``answers`` ask for."""
    contexts = {server_name(answer): _context(answer, folder / f"{n}.pem") for n, answer in enumerate(answers)}

    def choose(connection: ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> int | None:
        if name not in contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = contexts[name]
        return None

    front = next(iter(contexts.values()))
    front.sni_callback = choose  # type: ignore[assignment] # typeshed wants the object to be either kind of connection
    stop = threading.Event()
    with create_server((host, port), family=AF_INET6 if ":" in host else AF_INET) as server:
        server.settimeout(0.05)

        def serve() -> None:
            while not stop.is_set():
                with suppress(OSError), server.accept()[0] as plain:
                    plain.settimeout(5)
                    with front.wrap_socket(plain, server_side=True) as secure:
                        secure.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def server_name(answer: Answer) -> str:
    """What an authority asks for by SNI: the name, or the reverse name of an address (RFC 8738 section 6)."""
    value = answer.identifier.value
    return ipaddress.ip_address(value).reverse_pointer if answer.identifier.type == "ip" else value


def _context(answer: Answer, file: Path) -> ssl.SSLContext:
    value = answer.identifier.value
    is_address = answer.identifier.type == "ip"
    name = x509.IPAddress(ipaddress.ip_address(value)) if is_address else x509.DNSName(value)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME challenge")])
    proof = x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + answer.digest)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(proof, critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols([_PROTOCOL])
    return context
