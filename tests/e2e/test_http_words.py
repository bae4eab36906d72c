"""What real authorities say when a validation fails, read by what we make of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import account, flow
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.errors import OrderInvalid
from certwright.acme.https_transport import HttpsTransport
from certwright.acme.identifier import Identifier
from certwright.acme.jws import SigningKey
from certwright.acme_server import AcmeServer
from certwright.probe.http01 import see
from certwright.probe.http_words import explain
from certwright.probe.observation import Endpoint
from peers.acme_server import loopback_config
from peers.answers import http01
from peers.nginx import nginx, plain_site
from peers.nonsense import closes, nonsense
from peers.pebble import pebble
from peers.ports import free_port

pytestmark = pytest.mark.e2e
HOST = "127.0.0.1"
NAME = "mail.contoso.test"

Authority = Callable[[Path, int], object]


@contextmanager
def by_pebble(folder: Path, port: int) -> Iterator[tuple[str, Path]]:
    with pebble(folder / "pebble", http_port=port) as ca:
        yield ca.directory_url, ca.ca_file


@contextmanager
def by_ours(_: Path, port: int) -> Iterator[tuple[str, Path]]:
    config = loopback_config(http_port=port)
    config = replace(config, validation=replace(config.validation, timeout=2))
    with AcmeServer(config) as server:
        yield server.directory_url, server.ca_file


def rejection(directory: str, ca_file: Path) -> str:
    """What the authority says of an answer that is not there."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    csr = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    @contextmanager
    def solve(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        yield [answer for answer in answers if answer.type == "http-01"]

    with HttpsTransport("certwright-tests", ca_file) as transport:
        client = AcmeClient(transport, directory, SigningKey.generate("ES256"))
        account.register(client, contact=["mailto:admin@contoso.test"], agree_to_terms=True)
        with pytest.raises(OrderInvalid) as caught:
            flow.obtain(client, [Identifier.dns(NAME)], csr, solve)
    return str(caught.value)


@pytest.mark.parametrize("authority", [by_pebble, by_ours])
@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (None, "http-refused"),
        ("closes", "http-closed"),
        ("return 404;", "http-other-machine"),
        ("return 403;", "http-forbidden"),
        ("return 500;", "http-server-error"),
        ("return 200 wrong;", "http-other-machine"),
        ("location / { return 301 ${uri}x; }", "http-too-many-redirects"),
        ("return 301 ftp://mail.contoso.test/;", "http-redirect-unusable"),
    ],
)
def test_the_words_of_a_real_authority_are_understood(
    authority: Authority, body: str | None, cause: str, tmp_path: Path
) -> None:
    """It meets a broken server; we, looking elsewhere, see all in order."""
    challenge = http01(NAME)
    port, good = free_port(), free_port()
    with ExitStack() as stack:
        sites = [plain_site(good, f"return 200 {challenge.key_authorization};")]
        if body == "closes":
            stack.enter_context(nonsense(closes, port=port))
        elif body:
            sites.append(plain_site(port, f"absolute_redirect off; {body}"))
        stack.enter_context(nginx(tmp_path / "nginx", sites, [good]))
        words = rejection(*stack.enter_context(authority(tmp_path, port)))  # type: ignore[arg-type]
        (found,) = explain(see(challenge, Endpoint(HOST, good), 5), words)
    assert found.id == cause, words
