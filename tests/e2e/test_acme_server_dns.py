"""Our authority asks a real resolver about CAA, records that stay, and addresses; our own client and lego ask it."""

import ipaddress
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import dns.flags
import dns.message
import dns.query
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
from certwright.acme.problem import Problem
from certwright.acme_server import AcmeServer, AcmeServerConfig, ValidationConfig
from peers.acme_server import challenge_responder
from peers.alpn_responder import alpn_responder
from peers.bind import World, bind_world
from peers.debian import require
from peers.ports import free_port

pytestmark = pytest.mark.e2e
HOST, HOST_V6 = "127.0.0.1", "::1"
CA = "ca.contoso.test"
ERROR = "urn:ietf:params:acme:error:"
_number = count()


@dataclass(frozen=True)
class Here:
    """A CA that asks the resolver of `dns`, and an account there."""

    dns: World
    server: AcmeServer
    client: AcmeClient
    ports: ValidationConfig
    folder: Path

    @property
    def account(self) -> str:
        return self.client.require_account()

    def fresh(self, zone: str = "contoso.test") -> str:
        """A name that nobody has asked for; its web server is this machine."""
        name = f"host{next(_number)}.{zone}"
        self.dns.records(zone, name, "A", HOST)
        return name

    def caa(self, name: str, *values: str) -> str:
        self.dns.records("contoso.test", name, "CAA", *(value.replace("ACCOUNT", self.account) for value in values))
        return name

    def persist(self, name: str, *texts: str) -> None:
        quoted = (f'"{text.replace("ACCOUNT", self.account)}"' for text in texts)
        self.dns.records("contoso.test", f"_validation-persist.{name}", "TXT", *quoted)

    def obtain(self, *names: str, kind: str = "http-01") -> x509.Certificate:
        identifiers = [_identifier(name) for name in names]

        @contextmanager
        def solve(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
            chosen = [answer for answer in answers if answer.type == kind]
            with self.answered(kind, chosen):
                yield chosen

        return flow.obtain(self.client, identifiers, _csr(names), solve, seconds=60).chain.leaf

    def refusal(self, *names: str, kind: str = "http-01") -> Problem:
        with pytest.raises(OrderInvalid) as caught:
            self.obtain(*names, kind=kind)
        return caught.value.failures[0].problem

    @contextmanager
    def answered(self, kind: str, answers: Sequence[Answer]) -> Iterator[None]:
        addresses = [a.identifier.value for a in answers if a.identifier.type == "ip"] or [HOST]
        with ExitStack() as stack:
            for host in addresses if kind != "dns-persist-01" else ():
                if kind == "http-01":
                    tokens = stack.enter_context(challenge_responder(self.ports.http_port, host))
                    tokens.update((answer.token, answer.key_authorization) for answer in answers)
                else:
                    stack.enter_context(alpn_responder(self.ports.tls_port, host, answers, self.folder))
            yield


def _identifier(name: str) -> Identifier:
    return Identifier.ip(name) if _is_address(name) else Identifier.dns(name)


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _csr(names: Sequence[str]) -> bytes:
    alternative = [x509.IPAddress(ipaddress.ip_address(n)) if _is_address(n) else x509.DNSName(n) for n in names]
    builder = x509.CertificateSigningRequestBuilder(x509.Name([]))
    request = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    return request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world(caching=True) as made:
        made.zone("contoso.test", servers={"ns1.contoso.test": [made.primary]}, negative=0)
        yield made


@pytest.fixture(scope="module")
def here(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    ports = ValidationConfig(http_port=free_port(), tls_port=free_port(), resolver=world.resolver)
    with (
        AcmeServer(AcmeServerConfig(caa_identities=(CA,), validation=ports)) as server,
        HttpsTransport("certwright-tests", server.ca_file) as transport,
    ):
        client = AcmeClient(transport, server.directory_url, SigningKey.generate())
        account.register(client, agree_to_terms=True)
        yield Here(world, server, client, ports, tmp_path_factory.mktemp("alpn"))


def test_a_ca_may_issue_where_caa_says_nothing_or_names_it(here: Here) -> None:
    here.obtain(here.fresh())
    here.obtain(here.caa(here.fresh(), f'0 issue "{CA}"'))


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ('0 issue "other.test"', False),
        ('0 issue ";"', False),
        ('0 issuewild ";"', True),
        ('128 unheard "of"', False),
        (f'0 issue "{CA}; accounturi=ACCOUNT"', True),
        (f'0 issue "{CA}; accounturi=ACCOUNT0"', False),
        (f'0 issue "{CA}; validationmethods=http-01"', True),
        (f'0 issue "{CA}; validationmethods=dns-01,tls-alpn-01"', False),
        (f'0 issue "{CA}; malformed"', False),
    ],
)
def test_caa_decides(here: Here, value: str, allowed: bool) -> None:
    name = here.caa(here.fresh(), value)
    if allowed:
        here.obtain(name)
        return
    refusal = here.refusal(name)
    assert refusal.type == f"{ERROR}caa"
    assert f"the records of {name} forbid this CA to issue for {name}" in refusal.detail


def test_caa_of_a_wildcard_is_issuewild_if_there_is_one(here: Here) -> None:
    name = here.fresh()
    here.persist(name, f"{CA}; accounturi=ACCOUNT; policy=wildcard")
    here.caa(name, '0 issue ";"', f'0 issuewild "{CA}"')
    here.obtain(f"*.{name}", kind="dns-persist-01")
    assert here.refusal(name, kind="dns-persist-01").type == f"{ERROR}caa"


def test_caa_is_that_of_the_parent_and_of_an_aliass_target(here: Here) -> None:
    parent = here.caa(here.fresh(), '0 issue "other.test"')
    here.dns.records("contoso.test", f"www.{parent}", "A", HOST)
    assert here.refusal(f"www.{parent}").type == f"{ERROR}caa"
    alias = f"alias{next(_number)}.contoso.test"
    here.dns.records("contoso.test", alias, "CNAME", f"{parent}.")
    assert here.refusal(alias).type == f"{ERROR}caa"


def test_a_parent_that_cannot_be_asked_forbids(here: Here) -> None:
    """The zone of the name answers, the one above it is not served any more."""
    here.dns.zone("broken.test", servers={"ns1.broken.test": [here.dns.primary]}, negative=0)
    here.dns.zone("sub.broken.test", servers={"ns1.sub.broken.test": [here.dns.primary]}, negative=0)
    here.obtain(here.fresh("sub.broken.test"))
    del here.dns.primary_server.clauses["broken.test"]
    here.dns.primary_server.reload()
    _until_unknown(here.dns.primary, "broken.test")
    refusal = here.refusal(here.fresh("sub.broken.test"))
    assert refusal.type == f"{ERROR}dns"
    assert "CAA of broken.test" in refusal.detail


def _until_unknown(address: str, zone: str) -> None:
    end = time.monotonic() + 15
    while dns.query.udp(dns.message.make_query(zone, "SOA"), address, timeout=5).flags & dns.flags.AA:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_record_that_stays_proves_a_name_again_and_again(here: Here) -> None:
    name = here.fresh()
    here.persist(name, "other.test; accounturi=urn:x", f"{CA}; accounturi=ACCOUNT; persistUntil=4102444800; x=y")
    for _ in range(2):
        here.obtain(name, kind="dns-persist-01")


def test_a_record_with_the_wildcard_policy_proves_what_is_below_too(here: Here) -> None:
    name = here.fresh()
    here.persist(name, f"{CA}; accounturi=ACCOUNT; policy=wildcard")
    here.obtain(name, f"*.{name}", f"a.b.{name}", kind="dns-persist-01")


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (f"{CA}; accounturi=ACCOUNT; persistUntil=1700000000", "unauthorized", "is past"),
        (f"{CA}; accounturi=ACCOUNT0", "unauthorized", "another account"),
        ("other.test; accounturi=ACCOUNT", "unauthorized", f"names {CA}"),
        (f"{CA}; accounturi=ACCOUNT; policy=wildcard; policy=wildcard", "malformed", "given twice"),
    ],
)
def test_a_record_that_does_not_authorize_is_told(here: Here, text: str, kind: str, words: str) -> None:
    name = here.fresh()
    here.persist(name, text)
    refusal = here.refusal(name, kind="dns-persist-01")
    assert refusal.type == ERROR + kind
    assert words in refusal.detail


def test_a_record_without_the_policy_proves_no_wildcard(here: Here) -> None:
    name = here.fresh()
    here.persist(name, f"{CA}; accounturi=ACCOUNT")
    assert "no policy=wildcard" in here.refusal(f"*.{name}", kind="dns-persist-01").detail


@pytest.mark.parametrize("address", [HOST, HOST_V6])
@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_an_address_is_proved_by_itself(here: Here, address: str, kind: str) -> None:
    leaf = here.obtain(address, kind=kind)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.IPAddress(ipaddress.ip_address(address))]


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_ipv4_is_tried_where_ipv6_is_dead(here: Here, kind: str) -> None:
    name = here.fresh()
    here.dns.records("contoso.test", name, "AAAA", HOST_V6)
    here.obtain(name, kind=kind)


@pytest.mark.parametrize(("challenge", "allowed"), [("tls", True), ("http", False)])
def test_lego_is_served_by_the_same_rules(here: Here, tmp_path: Path, challenge: str, allowed: bool) -> None:
    require("lego")
    port = here.ports.http_port if challenge == "http" else here.ports.tls_port
    name = here.caa(here.fresh(), f'0 issue "{CA}; validationmethods=tls-alpn-01"')
    listen = (f"--{challenge}", f"--{challenge}.port={HOST}:{port}")
    # Without Retry-After lego asks again every five seconds.
    with AcmeServer(AcmeServerConfig(caa_identities=(CA,), validation=here.ports, retry_after=1)) as ca:
        server, contact = f"--server={ca.directory_url}", "--email=admin@contoso.test"
        done = subprocess.run(
            ["lego", server, contact, f"--path={tmp_path}", "--accept-tos", f"--domains={name}", *listen, "run"],
            env={**os.environ, "LEGO_CA_CERTIFICATES": str(ca.ca_file)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    told = done.stdout + done.stderr
    assert (done.returncode == 0, "acme:error:caa" in told) == (allowed, not allowed), told
