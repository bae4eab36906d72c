"""A certificate is described in the browser by what there is already: a web server, or a file."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from certwright.domain.access import Role
from certwright.domain.certificates import CLIENT_AUTHENTICATION, EMAIL_PROTECTION
from certwright.domain.keys import KeySource, KeyType, private_key_pem
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.watching import Place
from certwright.engine.watch import watch_file
from certwright.store.audit import END
from peers.nonsense import Behaviour, nonsense, says, silent
from peers.old_tls import s_server
from peers.ports import free_port
from world.existing import MANY_DAYS, Existing, existing
from world.web import Browser, House, landed, upload

PASSWORD = "an unlikely word"
SHOP = ("www.contoso.com", "shop.contoso.com")
LEFT = '"/new/names?names=127.0.0.1">Go on by typing the names'


@pytest.fixture
def browser(house: House) -> Browser:
    return house.signed_in(Role.OPERATOR)


@pytest.fixture
def issuer(house: House) -> str:
    """One that issues for the inside of networks."""
    with house.engine.store.write() as unit:
        made = Issuer(name="own", kind="acme", params={"directory": "https://ca.test/"}, account={"url": "x"})
        able = made.capabilities.model_copy(update={"internal_names": True})
        unit.issuers.add(made.model_copy(update={"capabilities": able}), b"account key")
    return "issuer:own"


@pytest.fixture
def shop(house: House) -> Existing:
    """A certificate that was bought."""
    return existing(house.folder, *SHOP, now=house.clock())


def described(house: House, title: str = SHOP[0]) -> ManagedCertificate:
    with house.engine.store.read() as unit:
        return unit.managed.get(title)


class TestWebServer:
    def test_what_it_presents_is_told_and_its_names_are_proposed(self, house: House, browser: Browser) -> None:
        now = datetime.now(UTC)
        with s_server(house.folder, existing(house.folder, *SHOP, now=now).files) as port:
            path, seen = landed(browser, browser.post("/new/server", host="127.0.0.1", port=str(port)))
        assert path.startswith("/new/names/")
        assert f"What 127.0.0.1:{port} presents" in seen.words
        assert "www.contoso.com, shop.contoso.com" in seen.words
        assert "Fabrikam CA" in seen.words
        assert "ecdsa-p384; the new certificate gets another of the same kind" in seen.words
        assert f"{now + timedelta(days=MANY_DAYS):%Y-%m-%d}" in seen.words
        for name in SHOP:
            assert f'value="{name}" checked' in seen.text
        assert 'value="127.0.0.1" >' in seen.text
        assert "127.0.0.1 is a private or reserved address. No public authority issues for it: leave it" in seen.words
        assert "The certificate is not for 127.0.0.1: it names www.contoso.com, shop.contoso.com." in seen.words
        assert "script: Runs a program of yours" in seen.words
        assert "exchange:" not in seen.words

    def test_it_is_described_watched_and_put_to_use_by_a_task_that_fits(
        self, house: House, browser: Browser, issuer: str
    ) -> None:
        with s_server(house.folder, existing(house.folder, *SHOP, now=datetime.now(UTC)).files) as port:
            at = Place(host="127.0.0.1", port=port)
            for title, sent in (("One", {"task": "script"}), ("Two", {})):
                path, _ = landed(browser, browser.post("/new/server", host="127.0.0.1", port=str(port)))
                wanted = {"name": SHOP[0], "proof": "http_listener", "issuer": issuer, "title": title}
                path, seen = landed(browser, browser.post(path, **wanted, watch="yes", **sent))
                made = described(house, title)
                assert path == f"/certificates/{made.id}" + ("/tasks/add/script" if sent else "")
                assert seen.status == 200
        made = described(house, "Two")
        assert [str(name) for name in made.identifiers] == [SHOP[0]]
        assert (made.key.source, made.key.type) == (KeySource.GENERATED, KeyType.ECDSA_P384)
        with house.engine.store.read() as unit:
            assert [(item.title, item.place) for item in unit.watches.list()] == [(str(at), at)]
            assert unit.managed.due(house.clock(), 10) == []

    def test_it_is_watched_beside_a_file_that_somebody_called_so(
        self, house: House, browser: Browser, issuer: str, shop: Existing
    ) -> None:
        with s_server(house.folder, existing(house.folder, *SHOP, now=datetime.now(UTC)).files) as port:
            at = Place(host="127.0.0.1", port=port)
            watch_file(house.engine, shop.pem, str(at))
            path, _ = landed(browser, browser.post("/new/server", host="127.0.0.1", port=str(port)))
            sent = {"name": SHOP[0], "proof": "http_listener", "issuer": issuer, "watch": "yes"}
            path, _ = landed(browser, browser.post(path, **sent))
        assert path == f"/certificates/{described(house).id}"
        with house.engine.store.read() as unit:
            (item,) = (item for item in unit.watches.list() if item.place)
        assert (item.place, item.title) == (at, f"{at} ({item.seen.sha256[:8]})")

    def test_a_host_that_is_covered_is_not_proposed_twice(self, house: House, browser: Browser) -> None:
        made = existing(house.folder, "*.contoso.com", "127.0.0.1", now=datetime.now(UTC))
        with s_server(house.folder, made.files) as port:
            _, seen = landed(browser, browser.post("/new/server", host="127.0.0.1", port=str(port)))
        assert seen.text.count('name="name" value=') == 2

    @pytest.mark.parametrize(
        ("behave", "told"),
        [
            (None, "refuses the connection. Look whether the server runs, at this port, and whether a firewall"),
            (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "which is not TLS. Look whether TLS is spoken at this port"),
            (silent, "did not finish within 10 s. Look whether the server runs"),
        ],
    )
    def test_where_nothing_is_presented_it_is_said_with_the_way_on(
        self, browser: Browser, behave: Behaviour | None, told: str
    ) -> None:
        if behave is None:
            path, seen = landed(browser, browser.post("/new/server", host="127.0.0.1", port=str(free_port())))
        else:
            with nonsense(behave) as port:
                path, seen = landed(browser, browser.post("/new/server", host="127.0.0.1", port=str(port)))
        assert (seen.status, path.startswith("/new/server?again=")) == (422, True)
        assert told in seen.words
        assert 'value="127.0.0.1"' in seen.text
        assert LEFT in seen.text
        assert ">127.0.0.1</textarea>" in browser.get("/new/names?names=127.0.0.1").text.replace("\n", "")

    def test_a_host_that_does_not_exist_is_told_with_how_to_go_on(self, browser: Browser) -> None:
        _, seen = landed(browser, browser.post("/new/server", host="nothing.invalid"))
        assert (seen.status, "nothing.invalid:443 presents no certificate" in seen.words) == (422, True)
        assert '<a href="/new" title="certwright certificate new">New certificate</a>' in seen.text

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            ({"host": "https://www.contoso.com/"}, "is the address of a page, not a name. Write the host name alone."),
            ({"host": "www.contoso.com:8443"}, "contains a colon. Write the host name alone, without a port."),
            ({"host": "www.contoso.com", "port": "70000"}, "less than or equal to 65535"),
        ],
    )
    def test_a_mistake_is_told_at_its_field(self, browser: Browser, sent: dict[str, str], told: str) -> None:
        _, seen = landed(browser, browser.post("/new/server", **sent))
        field = "port" if "port" in sent else "host"
        assert (seen.status, f'id="{field}-error"' in seen.text, told in seen.words) == (422, True, True)


class TestFile:
    def test_its_names_and_kind_of_key_are_proposed_and_nothing_secret_stays(
        self, house: House, browser: Browser, shop: Existing, issuer: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        path, seen = landed(browser, upload(browser, "/new/file", shop.pfx(PASSWORD).read_bytes(), password=PASSWORD))
        assert "What the file holds" in seen.words
        assert "ecdsa-p384; the new certificate gets another of the same kind" in seen.words
        assert all(f'value="{name}" checked' in seen.text for name in SHOP)
        wanted = {"proof": "http_listener", "issuer": issuer, "more": "\n".join(SHOP)}
        path, seen = landed(browser, browser.post(path, **wanted, watch="yes"))
        made = described(house)
        assert path == f"/certificates/{made.id}"
        assert (made.key.source, made.key.type) == (KeySource.GENERATED, KeyType.ECDSA_P384)
        with house.engine.store.read() as unit:
            (item,) = unit.watches.list()
            assert (item.title, item.place) == (f"www.contoso.com until {item.seen.not_after:%Y-%m-%d}", None)
            assert set(unit.secrets.names()) == {END, "issuer:le", "issuer:own"}
        secrets = [PASSWORD.encode(), b"PRIVATE KEY", shop.files.key.read_bytes().splitlines()[1]]
        for kept in (house.folder / "data").rglob("*"):
            assert not (kept.is_file() and [each for each in secrets if each in kept.read_bytes()]), kept
        assert not [each for each in secrets if each.decode() in caplog.text]

    def test_the_key_is_kept_if_somebody_wants_that(
        self, house: House, browser: Browser, shop: Existing, issuer: str
    ) -> None:
        sent = {"password": PASSWORD, "keep_private_key": "yes"}
        path, seen = landed(browser, upload(browser, "/new/file", shop.pfx(PASSWORD).read_bytes(), **sent))
        assert "ecdsa-p384; the new certificate keeps it" in seen.words
        landed(browser, browser.post(path, name=SHOP[0], proof="http_listener", issuer=issuer))
        made = described(house)
        assert made.key.source is KeySource.OWN_KEY
        with house.engine.store.read() as unit:
            assert unit.secrets.get(made.key.own_key or "") == private_key_pem(shop.key)
            assert unit.watches.list() == [], "the tick was taken away"

    @pytest.mark.parametrize(
        ("options", "password", "told"),
        [
            (
                (),
                "wrong",
                "The PFX file cannot be read: the password is wrong, or it is damaged. Look at the password.",
            ),
            ((), "", "The PFX file is protected by a password, or damaged. Give its password"),
        ],
    )
    def test_a_pfx_that_cannot_be_opened_is_told(
        self, browser: Browser, shop: Existing, options: tuple[str, ...], password: str, told: str
    ) -> None:
        pfx = shop.pfx(PASSWORD, *options).read_bytes()
        path, seen = landed(browser, upload(browser, "/new/file", pfx, password=password))
        assert (seen.status, path.startswith("/new/file?again="), told in seen.words) == (422, True, True)
        assert "Go on by typing the names" in seen.words

    def test_a_file_without_a_key_will_do_unless_the_key_is_to_be_kept(self, browser: Browser, shop: Existing) -> None:
        pfx = shop.pfx(PASSWORD, "-nokeys").read_bytes()
        _, seen = landed(browser, upload(browser, "/new/file", pfx, password=PASSWORD))
        assert (seen.status, "There is no private key in the file. None is needed" in seen.words) == (200, True)
        sent = {"password": PASSWORD, "keep_private_key": "yes"}
        _, seen = landed(browser, upload(browser, "/new/file", pfx, **sent))
        assert (seen.status, "comes with no private key, so there is none to keep." in seen.words) == (422, True)

    def test_a_pem_file_with_a_protected_key_is_read_without_its_password(
        self, browser: Browser, shop: Existing
    ) -> None:
        cipher = BestAvailableEncryption(PASSWORD.encode())
        key = shop.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, cipher)
        _, seen = landed(browser, upload(browser, "/new/file", key + shop.files.chain.read_bytes()))
        assert (seen.status, 'value="www.contoso.com" checked' in seen.text) == (200, True)
        assert "no private key" not in seen.words
        _, seen = landed(
            browser, upload(browser, "/new/file", key + shop.files.chain.read_bytes(), keep_private_key="yes")
        )
        assert (seen.status, "The private key is encrypted. Give its password" in seen.words) == (422, True)

    def test_one_that_has_ended_is_told_and_not_watched(self, house: House, browser: Browser) -> None:
        old = existing(house.folder, *SHOP, now=house.clock(), days=-3)
        _, seen = landed(browser, upload(browser, "/new/file", old.pem))
        assert seen.status == 200
        assert f"It ended on {house.clock() - timedelta(days=3):%Y-%m-%d}" in seen.words
        assert "Watch the certificate" not in seen.words

    def test_names_of_the_intranet_are_told_with_the_way_out(self, house: House, browser: Browser) -> None:
        inside = existing(house.folder, "mail.contoso.com", "ex01", "ex01.contoso.local", now=house.clock())
        _, seen = landed(browser, upload(browser, "/new/file", inside.pem))
        assert 'value="mail.contoso.com" checked' in seen.text
        assert 'value="ex01" >' in seen.text
        assert "ex01 is a single label, not a full name. No public authority issues for it: leave it out" in seen.words
        assert "ex01.contoso.local ends in .local, which is not part of the public internet." in seen.words

    @pytest.mark.parametrize(
        ("usages", "told"),
        [
            ((EMAIL_PROTECTION,), "It is for mail (S/MIME), and not for servers."),
            ((CLIENT_AUTHENTICATION,), "It is for clients that sign in, and not for servers."),
            ((CLIENT_AUTHENTICATION, EMAIL_PROTECTION), "for mail (S/MIME) and for clients that sign in, and not"),
            (("1.3.6.1.5.5.7.3.3",), "It is for another purpose, and not for servers."),
        ],
    )
    def test_one_that_is_not_for_servers_is_told(
        self, house: House, browser: Browser, usages: tuple[str, ...], told: str
    ) -> None:
        person = existing(house.folder, common_name="Anna Smith", now=house.clock(), usages=usages)
        _, seen = landed(browser, upload(browser, "/new/file", person.pem))
        assert (seen.status, "The certificate names no host" in seen.words, told in seen.words) == (422, True, True)
        assert '<a href="/watched/add/file" title="certwright watch add">' in seen.text
        device = existing(house.folder, "pc.contoso.com", now=house.clock(), usages=usages)
        _, seen = landed(browser, upload(browser, "/new/file", device.pem))
        assert (seen.status, told in seen.words) == (200, True)

    def test_one_with_nothing_but_a_common_name_is_named_by_it(self, house: House, browser: Browser) -> None:
        ancient = existing(house.folder, common_name="www.contoso.com", now=house.clock())
        _, seen = landed(browser, upload(browser, "/new/file", ancient.pem))
        assert (seen.status, 'value="www.contoso.com" checked' in seen.text) == (200, True)
        assert "It has a common name alone" in seen.words

    def test_what_is_no_certificate_is_told(self, browser: Browser, shop: Existing) -> None:
        for sent, told in ((b"nothing", "neither PEM nor DER"), (shop.files.key.read_bytes(), "neither PEM nor DER")):
            _, seen = landed(browser, upload(browser, "/new/file", sent))
            assert (seen.status, told in seen.words) == (422, True)
        _, seen = landed(browser, browser.post("/new/file", password="x"))
        assert (seen.status, "No file was chosen." in seen.words) == (422, True)


def test_each_start_is_said_in_a_line_to_who_may(house: House) -> None:
    whole, limited = house.signed_in(Role.OPERATOR), house.signed_in(Role.OPERATOR, "berlin")
    starts = ("An Exchange server", "A web server", "Names that I type", "An existing PFX or PEM file", "Only watch a")
    assert [start for start in starts if start not in whole.get("/new").words] == []
    assert [start for start in starts if start in limited.get("/new").words] == ["Names that I type"]
    for path in ("/new/server", "/new/file"):
        assert limited.post(path, host="www.contoso.com").status == 403
