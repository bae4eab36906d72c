"""Our client signs in by Kerberos: Debian's KDC, MIT's libraries, the simulator; and what is said when it may not."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.errors import CertwrightError
from certwright.exchange_simulator import Access, Scheme
from certwright.remoting.endpoint import Identity
from certwright.remoting.psrp import Command
from peers import kerberos
from peers.fresh import run_fresh
from peers.powershell import Relay, Simulated, simulated

pytestmark = [pytest.mark.e2e, kerberos.BUILDS_LIBRARIES]

NAME = f"admin@{kerberos.REALM}"
NOTHING: dict[str, str] = {}
SECRET = "hunter2"


@dataclass(frozen=True)
class World:
    realm: kerberos.Realm
    keytab: Path
    tickets: Path


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with kerberos.realm() as realm:
        for name in ("admin", "guest"):
            realm.add_user(name)
        realm.add_user("expired", options='-pwexpire "yesterday"')
        realm.add_user("locked", options="-allow_tix")
        realm.add_service("HTTP/stranger.contoso.test")
        keytab = realm.add_service("HTTP/localhost", "HTTP/mail.contoso.test")
        yield World(realm, keytab, realm.kinit(NAME))


def outcome(keytab: str, identity: dict[str, str], access: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """In the other process: the servers that our client gets to know, or what a person is told."""
    schemes = tuple(Scheme(s) for s in access.pop("schemes", ["Kerberos"]))
    how = Access(schemes=schemes, keytab=Path(keytab), **access)
    is_tls = changed.pop("tls", False)
    with simulated(how, username=NAME, password=kerberos.PASSWORD) as one:
        url = one.server.powershell_url if is_tls else one.server.powershell_http_url
        changed = {"url": url.replace("127.0.0.1", "localhost"), **changed}
        return _read(one, identity, changed)


def _read(one: Simulated, identity: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    try:
        with one.session(Identity(**identity), **changed) as shell:
            found = shell.read(Command("Get-ExchangeServer")).objects
    except CertwrightError as error:
        return {"told": "\n".join(error.explain()), "may_pass": error.retryable}
    return {"servers": [item.properties["Name"] for item in found]}


def result(
    world: World,
    identity: dict[str, str] = NOTHING,
    *,
    cache: Path | None = None,
    access: dict[str, Any] | None = None,
    **changed: Any,
) -> dict[str, Any]:
    return dict(world.realm.run(outcome, str(world.keytab), identity, access or {}, changed, cache=cache))


def told(world: World, identity: dict[str, str] = NOTHING, **options: Any) -> str:
    text = str(result(world, identity, **options)["told"])
    assert SECRET not in text
    return text


def known(name: str = NAME, password: str = kerberos.PASSWORD, auth: str = "kerberos") -> dict[str, str]:
    return {"auth": auth, "username": name, "password": password}


SERVERS = {"servers": ["EX01"]}


@pytest.mark.parametrize("scheme", ["Kerberos", "Negotiate"])
@pytest.mark.parametrize("tls", [False, True])
def test_the_current_users_ticket(world: World, scheme: str, tls: bool) -> None:
    assert result(world, cache=world.tickets, access={"schemes": [scheme]}, tls=tls) == SERVERS


def test_the_sign_in_is_bound_to_the_channel(world: World) -> None:
    assert result(world, cache=world.tickets, access={"channel_binding": True}, tls=True) == SERVERS


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_a_name_and_a_password(world: World, auth: str) -> None:
    assert result(world, known(auth=auth)) == SERVERS
    assert result(world, known(name=NAME.lower(), auth=auth)) == SERVERS


def with_keytab(keytab: str, client: str) -> dict[str, Any]:
    """In the other process: as a service, with no ticket but the keys of its account."""
    os.environ["KRB5_CLIENT_KTNAME"] = client
    return outcome(keytab, {}, {}, {})


def test_a_service_takes_its_ticket_from_a_keytab(world: World, tmp_path: Path) -> None:
    keys = world.realm.user_keytab(NAME)
    arguments = (str(world.keytab), str(keys))
    assert world.realm.run(with_keytab, *arguments, cache=tmp_path / "tickets") == SERVERS


def test_servers_that_share_an_account_behind_one_name(world: World) -> None:
    assert result(world, cache=world.tickets, service_host="mail.contoso.test") == SERVERS


# --- what is said when it may not ------------------------------------------------------------------------------------


def test_no_ticket(world: World, tmp_path: Path) -> None:
    text = told(world, cache=tmp_path / "nothing")
    assert "There is no Kerberos ticket of the current user on this machine." in text
    assert "kinit user@DOMAIN" in text
    assert "KRB5_CLIENT_KTNAME" in text


def test_an_expired_ticket(world: World) -> None:
    text = told(world, cache=world.realm.expired_tickets(NAME))
    assert "The Kerberos ticket of the current user has expired." in text
    assert "kinit" in text


@pytest.mark.parametrize(
    ("identity", "says", "hint"),
    [
        (known(password=SECRET), f"The domain refused the password of {NAME}.", "credential add"),
        (known(f"nobody@{kerberos.REALM}"), f"The domain does not know nobody@{kerberos.REALM}.", "user@DOMAIN"),
        (known(f"expired@{kerberos.REALM}"), f"password of expired@{kerberos.REALM} has expired", "Set a new one"),
        (known(f"locked@{kerberos.REALM}"), "is locked, disabled or expired", "Get-ADUser"),
        (known("admin@FABRIKAM.TEST"), "does not know where the domain FABRIKAM.TEST is", "krb5.conf"),
    ],
)
def test_what_the_domain_refuses(world: World, identity: dict[str, str], says: str, hint: str) -> None:
    found = result(world, identity)
    assert not found["may_pass"]
    text = told(world, identity)
    assert says in text
    assert hint in text


def test_a_service_name_that_the_domain_does_not_know(world: World) -> None:
    text = told(world, cache=world.tickets, service_host="balancer.contoso.test")
    assert "The domain knows no service HTTP/balancer.contoso.test." in text
    assert "setspn -Q HTTP/balancer.contoso.test" in text
    assert "service_host" in text


def test_a_service_name_of_another_account(world: World) -> None:
    text = told(world, cache=world.tickets, service_host="stranger.contoso.test")
    assert "refused the sign-in of the current user although the domain gave a ticket" in text
    assert "setspn -Q HTTP/stranger.contoso.test" in text


def test_somebody_who_may_not(world: World) -> None:
    text = told(world, cache=world.realm.kinit(f"guest@{kerberos.REALM}"))
    assert "knows the current user, but does not let it use PowerShell (fault 5)" in text
    assert "role group" in text


def test_a_clock_that_is_wrong(world: World) -> None:
    found = world.realm.run_later(outcome, str(world.keytab), known(), {}, {})
    assert "The clock of this machine is not that of the domain" in found["told"]
    assert "timedatectl" in found["told"]


def without_controllers(keytab: str, configuration: str) -> dict[str, Any]:
    """In the other process: in a realm whose controller does not listen."""
    os.environ["KRB5_CONFIG"] = configuration
    return outcome(keytab, known(), {}, {})


def test_no_domain_controller_answers(world: World, tmp_path: Path) -> None:
    lines = (world.realm.folder / "krb5.conf").read_text().splitlines()
    other = tmp_path / "krb5.conf"
    other.write_text("\n".join("    kdc = 127.0.0.1:9" if "kdc = " in line else line for line in lines))
    found = world.realm.run(without_controllers, str(world.keytab), str(other))
    assert f"No domain controller of the domain {kerberos.REALM} answers." in found["told"]
    assert "port 88" in found["told"]
    assert found["may_pass"]


def test_ntlm_where_only_kerberos_is_taken(world: World) -> None:
    text = told(world, known(auth="ntlm"))
    assert "it offers Kerberos." in text
    assert "Choose auth=current or kerberos." in text


# --- idle connections ------------------------------------------------------------------------------------------------


def cut_in_between(keytab: str) -> list[int]:
    """In the other process: how many objects each read gave, with the connection closed before it."""
    how = Access(schemes=(Scheme.KERBEROS,), keytab=Path(keytab))
    with simulated(how, username=NAME, password=kerberos.PASSWORD) as one:
        url = one.server.powershell_http_url.replace("127.0.0.1", "localhost")
        with Relay(url) as relay, one.session(Identity(), url=relay.url, service_host="localhost") as shell:
            counts = []
            for _ in range(3):
                counts.append(len(shell.read(Command("Get-ExchangeServer")).objects))
                relay.cut()
            shell.change(Command("Set-PopSettings", {"X509CertificateName": "mail.contoso.test"}))
    return [*counts, len(one.mutations)]


def test_a_connection_closed_while_idle_is_no_trouble(world: World) -> None:
    assert world.realm.run(cut_in_between, str(world.keytab), cache=world.tickets) == [1, 1, 1, 1]


# --- without the libraries -------------------------------------------------------------------------------------------


def test_the_missing_libraries_are_named(world: World) -> None:
    found = run_fresh(without_libraries, known(), environment=world.realm.environment())
    assert "pip install 'certwright[kerberos]'" in found["told"]
    assert all(word in found["told"] for word in ("gcc", "python3-dev", "libkrb5-dev"))


def without_libraries(identity: dict[str, str]) -> dict[str, Any]:
    """In the other process: Kerberos against a server that would take it."""
    with simulated() as one:
        return _read(one, identity, {})
