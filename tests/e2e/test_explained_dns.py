"""What an authority rejects because of DNS, or of where that leads, is told by the command and its log with the remedy.

Web servers have addresses and the ports 80 and 443 of their own, so that we look exactly where the authority looks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from certwright.acme_server import AcmeServerConfig, ValidationConfig
from certwright.domain.keys import KeyType
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import Validation
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, create
from certwright.engine.validations import put_validation
from peers.bind import World, bind_world
from peers.daemons import write_tls
from peers.nginx import nginx
from peers.nonsense import nonsense, silent
from peers.pebble import Pebble, pebble
from peers.ports import free_port
from world.proofs import Proofs, proofs
from world.site import Site

pytestmark = pytest.mark.e2e
CONFIG = AcmeServerConfig(validation=ValidationConfig(timeout=3))
UNSIGNED = "unsigned.com. DS 12345 13 2 " + "ab" * 32


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world(trust_anchors=[UNSIGNED]) as started:
        started.zone("contoso.com")
        started.zone("unsigned.com", "proof CNAME real\n")
        yield started


@pytest.fixture
def one(world: World, tmp_path: Path) -> Iterator[Proofs]:
    with proofs(tmp_path, world, CONFIG, internal_names=False, at_home=True) as started:
        yield started


def by_web(one: Proofs, name: str) -> ManagedCertificate:
    """A certificate proved by http-01, where nobody looks first; we answer at a port that no authority asks."""
    way = Validation(
        challenge="http-01",
        solver="http_listener",
        params={"address": "127.0.0.1", "port": free_port(), "precheck": False},
    )
    managed = one.describe(name)
    with one.site.engine() as engine:
        return put_validation(engine, managed.id, way)


def told(site: Site, managed: ManagedCertificate) -> list[str]:
    """The causes by their ids, the likeliest first, as the command tells them; and the last thing it says."""
    asked = site.cli("certificate", "request", managed.id, code=1)
    logged = site.cli("certificate", "log", managed.id, code=0).out
    lines = [line for line in asked.err.splitlines() if line.strip()]
    found = [line.rpartition("[")[2] for line in lines if line.startswith("  ") and line.endswith("]")]
    causes = [each.rstrip("]") for each in found if each.startswith(("dns-", "http-"))]
    assert causes, asked.told
    assert "Look for the reason" in logged
    assert all(f"[{cause}]" in logged for cause in causes)
    assert lines[-1] in logged
    return [*causes, lines[-1]]


def test_a_name_that_does_not_exist(one: Proofs) -> None:
    first, *_, remedy = told(one.site, by_web(one, "gone.contoso.com"))
    assert first == "dns-no-address"
    assert remedy.startswith("Create an A record at gone.contoso.com")


def test_servers_that_cannot_answer_for_their_zone(one: Proofs) -> None:
    one.world.zone("broken.com", "web A 127.0.0.1", servers={"ns2.broken.com": [one.world.secondary]})
    one.world.break_secondary("broken.com")
    first, *others, remedy = told(one.site, by_web(one, "web.broken.com"))
    assert first == "dns-servfail"
    assert others == ["dns-caa-unreadable"]
    assert "the zone file has an error, or a secondary's copy has expired" in remedy


def test_servers_that_do_not_serve_the_zone(one: Proofs) -> None:
    one.world.delegate("lame.com", {"ns1.lame.com": [one.world.primary], "ns2.lame.com": [one.world.secondary]})
    first, *others, remedy = told(one.site, by_web(one, "web.lame.com"))
    assert first == "dns-lame-server"
    assert others == ["dns-caa-unreadable"]
    assert remedy.startswith("Let them load the zone")


def test_servers_that_are_not_there(one: Proofs) -> None:
    one.world.delegate("dead.com", {"ns1.dead.com": [one.world.block.another()]})
    first, *others, remedy = told(one.site, by_web(one, "web.dead.com"))
    assert first == "dns-delegation-dead"
    assert others == []
    assert "reachable at port 53" in remedy


def test_a_zone_that_was_to_be_signed(one: Proofs) -> None:
    """All of its servers show the record, so the authority is asked; its resolver validates."""
    first, *_, remedy = told(one.site, one.describe("unsigned.com"))
    assert first == "dns-dnssec"
    assert remedy.startswith("Sign the zone, or have the registrar remove the DS record")


def test_a_rule_that_the_dns_does_not_follow(one: Proofs) -> None:
    """We write where the rule says, and see it there; the authority follows CNAME records alone."""
    managed = one.describe("ruled.contoso.com", delegations=["*.contoso.com:proof.contoso.com"])
    first, *others, remedy = told(one.site, managed)
    assert first == "dns-rule-unseen"
    assert others == []
    assert "_acme-challenge.ruled.contoso.com. CNAME proof.contoso.com." in remedy


def test_a_rule_that_the_dns_does_follow_is_not_blamed(one: Proofs) -> None:
    """Its target is an alias, and the record stands at the end."""
    managed = one.describe("followed.contoso.com", delegations=["*.contoso.com:proof.unsigned.com"])
    alias = one.world.holding("contoso.com", "_acme-challenge.followed.contoso.com", "CNAME", "proof.unsigned.com.")
    with alias:
        causes = told(one.site, managed)[:-1]
    assert causes[0] == "dns-dnssec"
    assert "dns-rule-unseen" not in causes


@contextmanager
def web_server(one: Proofs, name: str, folder: Path, plain: str, secure: str = "return 404;") -> Iterator[None]:
    """nginx at an address of its own, with a certificate that has expired."""
    address = one.world.block.another()
    expired = trustme.CA().issue_cert(name, not_after=datetime.now(UTC) - timedelta(days=3))
    tls = write_tls(folder, expired)
    sites = [
        f"server {{ listen {address}:80; {plain} }}",
        f"server {{ listen {address}:443 ssl; ssl_certificate {tls.chain}; ssl_certificate_key {tls.key}; {secure} }}",
    ]
    with nginx(folder / "nginx", sites, []), one.world.holding("contoso.com", name, "A", address):
        yield


def test_a_redirect_to_https_with_an_expired_certificate(one: Proofs, tmp_path: Path) -> None:
    """It is followed to what is really wrong, and the certificate is said to be no obstacle."""
    managed = by_web(one, "expired.contoso.com")
    with web_server(one, "expired.contoso.com", tmp_path, "return 301 https://$host$request_uri;"):
        first, *_, remedy = told(one.site, managed)
    assert first == "http-not-found"
    assert "webroot --path FOLDER" in remedy
    assert "which authorities do not mind" in one.journal(managed)


def test_a_redirect_to_https_with_an_expired_certificate_is_no_obstacle(one: Proofs, tmp_path: Path) -> None:
    way = Validation(challenge="http-01", solver="webroot", params={"path": str(tmp_path)})
    managed = by_web(one, "behind.contoso.com")
    with one.site.engine() as engine:
        put_validation(engine, managed.id, way)
    plain, secure = "return 301 https://$host$request_uri;", f"root {tmp_path};"
    with web_server(one, "behind.contoso.com", tmp_path, plain, secure):
        one.site.cli("certificate", "request", managed.id, code=0)


def test_a_redirect_in_a_circle(one: Proofs, tmp_path: Path) -> None:
    with web_server(one, "circle.contoso.com", tmp_path, "return 301 https://$host/;", "return 301 http://$host/;"):
        first, *_, remedy = told(one.site, by_web(one, "circle.contoso.com"))
    assert first == "http-redirect-loop"
    assert remedy.startswith("Exempt /.well-known/acme-challenge/")


def test_a_slow_server(one: Proofs) -> None:
    address = one.world.block.another()
    slow = one.world.holding("contoso.com", "slow.contoso.com", "A", address)
    with nonsense(silent, address, 80), slow:
        first, *_, remedy = told(one.site, by_web(one, "slow.contoso.com"))
    assert first == "http-slow"
    assert remedy.startswith("Find out why the web server is slow")


def by_pebble(site: Site, ca: Pebble, name: str, address: str) -> ManagedCertificate:
    """A certificate from Pebble, proved by http-01 at port 80 of `address`, where nobody looks first."""
    params = {"directory": ca.directory_url, "email": "postmaster@contoso.com", "agree_tos": True}
    way = Validation(
        challenge="http-01", solver="http_listener", params={"address": address, "port": 80, "precheck": False}
    )
    with site.engine() as engine:
        add_issuer(engine, "acme", "pebble", {**params, "ca_file": str(ca.ca_file)}, internal_names=False, eab=None)
        return create(engine, Wish(names=(name,), issuer="pebble", validation=way, key_type=KeyType.ECDSA_P256))


def test_pebble_finds_a_dead_ipv6_address_beside_a_living_ipv4_one(one: Proofs, tmp_path: Path) -> None:
    block, name = one.world.block, "six.contoso.com"
    living, dead = block.another(), block.another_v6()
    with (
        pebble(tmp_path / "pebble", resolver=one.world.resolver, http_port=80) as ca,
        one.world.holding("contoso.com", name, "A", living),
    ):
        managed = by_pebble(one.site, ca, name, living)
        with one.world.holding("contoso.com", name, "AAAA", dead):
            first, *_, remedy = told(one.site, managed)
        assert first == "http-ipv6-dead"
        assert remedy.startswith(f"Take the AAAA record {dead} out of the DNS")
        one.site.cli("certificate", "request", managed.id, code=0)


def test_what_challtestsrv_does_to_pebbles_dns_is_told(tmp_path: Path) -> None:
    with pebble(tmp_path / "pebble", http_port=80) as ca:
        site = Site(tmp_path, (f"127.0.0.1:{ca.dns_port}",)).initialise()
        managed = by_pebble(site, ca, "web.contoso.com", "127.0.0.1")
        ca.forget_default_address()
        first, *_, remedy = told(site, managed)
        assert first == "dns-no-address"
        assert remedy.startswith("Create an A record at web.contoso.com")
        ca.set_servfail("web.contoso.com")
        first, *_, remedy = told(site, managed)
        assert first == "dns-servfail"
        assert "name servers" in remedy
