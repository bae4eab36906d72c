"""Certificates from elsewhere, in files and at real ports: listed, looked at when it is time, and told of."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme_server.ca import CertificateAuthority
from certwright.acme_server.config import KeyType
from certwright.domain.errors import ConfigurationError, InvalidMaterial, Unreachable
from certwright.domain.events import EventKind
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.domain.watching import Place
from certwright.engine.context import Engine
from certwright.engine.watch import look_at_all, replace_file, watch_endpoint, watch_file
from certwright.store.audit import END
from certwright.wiring import utc_now
from peers.ports import free_port
from world.exchange import Exchange, exchange
from world.site import Site

pytestmark = pytest.mark.e2e
CA = CertificateAuthority()


def issued(*names: str, days: int = 90, lifetime: int = 398) -> Any:
    end = utc_now() + timedelta(days=days)
    return CA.issue_directly(names, KeyType.RSA_2048, not_before=end - timedelta(days=lifetime), not_after=end)


def pfx(made: Any, password: str = "secret") -> bytes:
    return pkcs12_bytes(made.private_key, made.chain, password, PfxCipher.LEGACY, "it")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("peer")) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path).initialise()


def later(engine: Engine, **passed: float) -> Engine:
    return replace(engine, now=lambda: utc_now() + timedelta(**passed))


def told(engine: Engine) -> list[EventKind]:
    with engine.store.read() as unit:
        return [event.kind for event in reversed(unit.events.last(100))]


def place(peer: Exchange, port: int, **changed: Any) -> Place:
    host, number = peer.server.ports[port]
    return Place(host=host, port=number, **changed)


def test_a_file_is_watched_to_its_end_and_its_key_is_not_kept(site: Site) -> None:
    made = issued("shop.contoso.test", days=90)
    with site.engine() as engine:
        for number, data in enumerate((made.chain_pem, made.chain[0].public_bytes(Encoding.DER))):
            watch_file(engine, data, f"file {number}")
        item = watch_file(engine, pfx(made), None, b"secret")
        assert (item.title, item.seen.names) == ("shop.contoso.test", ("shop.contoso.test",))
        look_at_all(later(engine, days=59))
        assert told(engine) == []
        assert [len(one.events) for one in look_at_all(later(engine, days=60, hours=1))] == [1] * 3
        look_at_all(later(engine, days=61.5))
        for days in (77, 84, 88, 89.5, 91, 500):
            look_at_all(later(engine, days=days))
        assert told(engine) == [EventKind.WATCHED_ENDING] * 3 * 6
        with engine.store.read() as unit:
            assert set(unit.secrets.names()) <= {END}
            assert {watched.state(engine.now() + timedelta(days=91)) for watched in unit.watches.list()} == {"expired"}


def test_a_renewed_file_takes_the_place_of_the_one_before(site: Site, peer: Exchange) -> None:
    with site.engine() as engine:
        before = watch_file(engine, issued("shop.contoso.test", days=20).chain_pem, "Shop")
        renewed = issued("shop.contoso.test", "www.contoso.test", days=200)
        after = replace_file(engine, "Shop", pfx(renewed), b"secret")
        assert (after.id, after.title, after.days_left(engine.now())) == (before.id, "Shop", 199)
        assert after.changes[1:] == ("new names www.contoso.test",)
        assert told(engine) == [EventKind.WATCHED_ENDING, EventKind.WATCHED_REPLACED]
        look_at_all(later(engine, days=195))
        assert told(engine)[2:] == [EventKind.WATCHED_ENDING]
        with pytest.raises(ConfigurationError, match="'Shop' has this certificate already"):
            replace_file(engine, before.id, renewed.chain_pem)
        watch_endpoint(engine, place(peer, 443), "Mail")
        with pytest.raises(ConfigurationError, match=r"'Mail' is what .* serves, and not a file"):
            replace_file(engine, "Mail", renewed.chain_pem)
        with pytest.raises(InvalidMaterial):
            replace_file(engine, "Shop", b"nothing")
        with engine.store.read() as unit:
            assert unit.watches.get("Shop").seen == after.seen
            assert set(unit.secrets.names()) <= {END}


def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(site: Site) -> None:
    made = issued("shop.contoso.test")
    with site.engine() as engine:
        with pytest.raises(InvalidMaterial) as caught:
            watch_file(engine, pfx(made), None)
        assert "--password-file" in caught.value.hint
        with pytest.raises(InvalidMaterial, match="the password is wrong"):
            watch_file(engine, pfx(made), None, b"wrong")
        watch_file(engine, made.chain_pem, None)
        with pytest.raises(ConfigurationError, match="is watched already"):
            watch_file(engine, made.chain_pem, None)


@pytest.mark.parametrize(("port", "starttls"), [(443, None), (25, "smtp"), (143, "imap"), (110, "pop3")])
def test_what_a_port_serves_is_seen_with_and_without_starttls(
    site: Site, peer: Exchange, port: int, starttls: Any
) -> None:
    with site.engine() as engine:
        item = watch_endpoint(engine, place(peer, port, starttls=starttls, name="mail.contoso.test"), None)
    current = peer.server.state.served(port)
    assert current
    assert item.seen.thumbprint == current.thumbprint


def test_a_new_certificate_at_a_port_is_told_of_once(site: Site, peer: Exchange) -> None:
    with site.engine() as engine:
        before = watch_endpoint(engine, place(peer, 25, starttls="smtp", name="mail.contoso.test"), "Mail")
        assert look_at_all(later(engine, hours=11)) == []
        stored = peer.server.add_certificate(
            pfx(issued("mail.contoso.test", "new.contoso.test", days=300, lifetime=301)), "secret"
        )
        (now,) = look_at_all(later(engine, hours=13))
        (again,) = look_at_all(later(engine, hours=26))
        events = told(engine)
    assert before.seen.thumbprint != now.watched.seen.thumbprint == stored.thumbprint
    assert any("new.contoso.test" in change for change in now.watched.changes)
    assert again.events == ()
    assert events.count(EventKind.WATCHED_CHANGED) == 1


def test_a_service_that_goes_away_is_told_of_after_three_looks_and_what_was_seen_stays(
    site: Site, peer: Exchange
) -> None:
    with site.engine() as engine:
        item = watch_endpoint(engine, place(peer, 443), "Web")
        gone = item.model_copy(update={"place": Place(host="127.0.0.1", port=free_port())})
        with engine.store.write() as unit:
            assert unit.watches.save(item, gone, engine.now())
        looks = [look_at_all(later(engine, hours=13 * n)) for n in range(5)]
        assert told(engine).count(EventKind.WATCHED_UNSEEN) == 1
    assert [one.watched.failures for look in looks for one in look] == [1, 2, 3, 4, 5]
    assert looks[-1][0].watched.seen == item.seen


def test_nothing_is_watched_where_nothing_can_be_seen(site: Site) -> None:
    with site.engine() as engine:
        with pytest.raises(Unreachable, match="nothing can be seen there"):
            watch_endpoint(engine, Place(host="127.0.0.1", port=free_port()), None)
        with engine.store.read() as unit:
            assert unit.watches.list() == []


def test_of_two_looks_at_the_same_moment_one_is_kept(site: Site) -> None:
    with site.engine() as engine:
        item = watch_file(engine, issued("shop.contoso.test").chain_pem, None)
        after = item.model_copy(update={"looked_at": utc_now() + timedelta(hours=1)})
        with engine.store.write() as unit:
            assert unit.watches.save(item, after, utc_now())
            assert not unit.watches.save(item, after, utc_now())
            unit.watches.remove(item.id)
            assert not unit.watches.save(after, after, utc_now())


def test_the_commands(site: Site, peer: Exchange, tmp_path: Path) -> None:
    file = tmp_path / "shop.pfx"
    file.write_bytes(pfx(issued("shop.contoso.test", days=20)))
    host, port = peer.server.ports[25]
    site.cli("watch", "add", "--file", str(file), "--password-file", "-", "--title", "Shop", given="secret", code=0)
    site.cli(
        "watch", "add", "--endpoint", f"{host}:{port}", "--starttls", "smtp", "--name", "mail.contoso.test", code=0
    )
    site.cli("watch", "add", code=2)
    site.cli("watch", "add", "--endpoint", f"{host}:{port}", "--starttls", "ftp", code=2)
    listed = json.loads(site.cli("watch", "list", "--json", code=0).out)
    shown = site.cli("watch", "list", code=0).out
    site.cli("watch", "look", code=3)
    site.cli("watch", "look", "Shop", code=0)
    file.write_bytes(pfx(issued("shop.contoso.test", days=300)))
    replaced = site.cli(
        *("watch", "replace", "Shop", "--file", str(file), "--password-file", "-"), given="secret", code=0
    )
    site.cli("watch", "remove", "Shop", code=0)
    gone = site.cli("watch", "look", "Shop", code=2)
    shop = next(one for one in listed if one["title"] == "Shop")
    assert (shop["days_left"], shop["state"], shop["place"]) == (19, "ends soon", None)
    assert len(listed) == 2
    assert "'Shop' has another certificate: valid until" in replaced.out
    assert "shop.contoso.test" in shown
    assert "Nothing 'Shop' is watched" in gone.err
