"""Signing in to the simulator by Kerberos: Debian's KDC, pypsrp with the MIT libraries as client."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from certwright.exchange_simulator import Access, ExchangeOrganisation, ExchangeServer, Scheme, ServerSpec
from peers import kerberos
from peers.exchange_identity import call, curl, opened
from peers.exchange_shell import TestAuthority
from peers.fresh import Raised

pytestmark = [pytest.mark.e2e, kerberos.BUILDS_LIBRARIES]

NAME = f"admin@{kerberos.REALM}"


@dataclass(frozen=True)
class World:
    realm: kerberos.Realm
    keytab: Path
    tickets: Path


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with kerberos.realm() as realm:
        realm.add_user("admin")
        realm.add_user("guest")
        realm.add_user("expired", options='-pwexpire "yesterday"')
        keytab = realm.add_service("HTTP/localhost", "HTTP/ex01.contoso.test", "host/localhost")
        yield World(realm, keytab, realm.kinit(NAME))


@contextmanager
def server_with(
    folder: Path, keytab: str, *, schemes: tuple[str, ...] = ("Kerberos",), **access: Any
) -> Iterator[ExchangeServer]:
    """In the other process: an Exchange server, and its CA in ``folder``."""
    authority = TestAuthority()
    authority.write_root(folder)
    endpoint = authority.issue("localhost", address="127.0.0.1")
    how = Access(schemes=tuple(Scheme(s) for s in schemes), keytab=Path(keytab), **access)
    with ExchangeOrganisation(
        [ServerSpec(name="EX01", fqdn="ex01.contoso.test", access=how)],
        tls_chain=endpoint.chain_pem,
        tls_key=endpoint.key_pem,
        username=NAME,
        password=kerberos.PASSWORD,
    ) as organisation:
        yield organisation["EX01"]


def sign_in(folder: str, keytab: str, access: dict[str, Any], auth: str, options: dict[str, Any]) -> list[str]:
    """In the other process: the names of the servers that a client gets to know."""
    tls = options.pop("tls", False)
    with server_with(Path(folder), keytab, **access) as server:
        url = server.powershell_url if tls else server.powershell_http_url
        url = url.replace("127.0.0.1", "localhost")
        defaults = {"negotiate_service": "HTTP", "root": Path(folder, "root.pem")}
        with opened(url, auth, **{**defaults, **options}) as pool:
            return [s["Name"] for s in call(pool, "Get-ExchangeServer")]


def signed_in(
    world: World,
    tmp_path: Path,
    auth: str = "kerberos",
    *,
    access: dict[str, Any] | None = None,
    cache: Path | None = None,
    **options: Any,
) -> Any:
    return world.realm.run(
        sign_in, str(tmp_path), str(world.keytab), access or {}, auth, options, cache=cache or world.tickets
    )


@pytest.mark.parametrize("scheme", ["Kerberos", "Negotiate"])
@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_a_ticket_over_http_with_sealed_messages(world: World, tmp_path: Path, scheme: str, auth: str) -> None:
    assert signed_in(world, tmp_path, auth, access={"schemes": [scheme]}) == ["EX01"]


def test_a_ticket_inside_tls(world: World, tmp_path: Path) -> None:
    assert signed_in(world, tmp_path, tls=True) == ["EX01"]


def test_a_name_and_a_password(world: World, tmp_path: Path) -> None:
    nothing = world.realm.folder / "nothing"
    assert signed_in(world, tmp_path, cache=nothing, username=NAME, password=kerberos.PASSWORD) == ["EX01"]


def test_a_key_table_instead_of_a_password(world: World, tmp_path: Path) -> None:
    table = world.realm.user_keytab(NAME)
    tickets = world.realm.kinit(NAME, "", "-k", "-t", str(table))
    assert signed_in(world, tmp_path, cache=tickets) == ["EX01"]
    assert world.realm.kinit(NAME).exists()  # the password is still good


def test_the_service_has_another_name_than_the_url(world: World, tmp_path: Path) -> None:
    assert signed_in(world, tmp_path, negotiate_hostname_override="ex01.contoso.test") == ["EX01"]
    assert signed_in(world, tmp_path, negotiate_service="host") == ["EX01"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"negotiate_hostname_override": "balancer.contoso.test"}, "not found in Kerberos database"),
        ({"username": NAME, "password": "wrong"}, "Preauthentication failed"),
        ({"username": f"nobody@{kerberos.REALM}", "password": "x"}, "not found in Kerberos database"),
        ({"username": f"expired@{kerberos.REALM}", "password": kerberos.PASSWORD}, "expired"),
    ],
)
def test_what_the_kdc_refuses(world: World, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(Raised, match=words):
        signed_in(world, tmp_path, **options)


def test_tickets_that_are_not_there_or_have_expired(world: World, tmp_path: Path) -> None:
    with pytest.raises(Raised, match="No Kerberos credentials available"):
        signed_in(world, tmp_path, cache=tmp_path / "nothing")
    with pytest.raises(Raised, match="expired"):
        signed_in(world, tmp_path, cache=world.realm.expired_tickets(NAME))


@pytest.mark.parametrize("credential", [{"username": NAME, "password": kerberos.PASSWORD}, {}])
def test_clocks_that_differ(world: World, tmp_path: Path, credential: dict[str, str]) -> None:
    tickets = world.realm.kinit(NAME)  # none for the service yet
    with pytest.raises(Raised, match="Clock skew too great"):
        world.realm.run_later(sign_in, str(tmp_path), str(world.keytab), {}, "kerberos", credential, cache=tickets)


def test_somebody_else_is_let_in_to_nothing(world: World, tmp_path: Path) -> None:
    with pytest.raises(Raised, match=r"guest@CONTOSO\.TEST.*isn't assigned to any management roles") as refused:
        signed_in(world, tmp_path, cache=world.realm.kinit(f"guest@{kerberos.REALM}"))
    assert refused.value.kind == "WSManFaultError"


def test_a_service_that_has_other_keys(world: World, tmp_path: Path) -> None:
    other = world.realm.add_service("HTTP/other.contoso.test")
    with pytest.raises(Raised, match="Failed to authenticate"):
        world.realm.run(sign_in, str(tmp_path), str(other), {}, "kerberos", {}, cache=world.tickets)


@pytest.mark.parametrize("scheme", ["Kerberos", "Negotiate"])
def test_extended_protection_wants_the_binding(world: World, tmp_path: Path, scheme: str) -> None:
    access = {"schemes": [scheme], "channel_binding": True}
    assert signed_in(world, tmp_path, access=access, tls=True) == ["EX01"]
    with pytest.raises(Raised, match="Failed to authenticate"):
        signed_in(world, tmp_path, access=access, tls=True, negotiate_send_cbt=False)


def test_ntlm_is_offered_beside_kerberos(world: World, tmp_path: Path) -> None:
    access = {"schemes": ["Negotiate"]}
    options: dict[str, Any] = {"username": "CONTOSO\\admin", "password": kerberos.PASSWORD}
    assert signed_in(world, tmp_path, "ntlm", access=access, **options) == ["EX01"]


def test_notice_gives_the_licences_of_the_libraries(world: World) -> None:
    notice = (Path(__file__).parents[2] / "NOTICE").read_text()
    declared = {d.name: d.metadata["License"] for d in distributions(path=[str(world.realm.libraries)])}
    assert set(declared) == {"decorator", "gssapi", "krb5"}
    for name, licence in declared.items():
        assert f"    {name:<20} {licence}" in notice


def test_kinit_says_what_is_wrong(world: World) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        world.realm.kinit(NAME, "wrong")
    assert "Password incorrect" in refused.value.stderr


def unsealed(folder: str, keytab: str) -> int:
    """In the other process: the status of an answer to a plain message."""
    with server_with(Path(folder), keytab) as server:
        url = server.powershell_http_url.replace("127.0.0.1", "localhost")
        try:
            with opened(url, "kerberos", negotiate_service="HTTP", encryption="never"):
                return 200
        except Exception as error:  # noqa: BLE001 - of requests or of pypsrp
            return int(getattr(error, "code", 0))


def test_plain_messages_are_refused_over_http(world: World, tmp_path: Path) -> None:
    assert world.realm.run(unsealed, str(tmp_path), str(world.keytab), cache=world.tickets) == 500


def curl_status(folder: str, keytab: str, schemes: list[str]) -> int:
    """In the other process: what curl gets with the tickets that are there."""
    with server_with(Path(folder), keytab, schemes=tuple(schemes)) as server:
        return curl(server.powershell_http_url.replace("127.0.0.1", "localhost"), "--negotiate", ":")


def test_curls_own_negotiate(world: World, tmp_path: Path) -> None:
    arguments = [str(tmp_path), str(world.keytab), ["Negotiate"]]
    assert world.realm.run(curl_status, *arguments, cache=world.tickets) == 200
    assert world.realm.run(curl_status, *arguments, cache=tmp_path / "nothing") == 401
