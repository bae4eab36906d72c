"""No password, key or Kerberos ticket is seen in what the commands of Exchange leave behind, with everything logged."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from certwright.domain.keys import load_own_key
from certwright.exchange_simulator import Access, Scheme
from peers import kerberos
from world.contoso import PASSWORD, PUBLIC, USERNAME, Contoso, contoso
from world.leaks import Watch
from world.site import Site

pytestmark = [pytest.mark.e2e, kerberos.BUILDS_LIBRARIES]

WRONG = "c4nary-wrong !%&/ 8gR"


@contextmanager
def watched(folder: Path, access: Access | None = None, **environment: str) -> Iterator[tuple[Contoso, Watch]]:
    """An organisation of one server, and an installation whose every trace is kept."""
    changed: dict[str, Any] = {"access": access} if access else {}
    with contoso(folder / "exchange", ("EX01",), **changed) as organisation:
        yield organisation, Watch(Site(folder / "site"), folder, environment)


def add_credential(watch: Watch, name: str, password: str) -> None:
    add = ["credential", "add", "exchange", name, "--username", USERNAME, "--password-file", "-"]
    watch.run(*add, given=password)


def live(organisation: Contoso, watch: Watch, reach: list[str], folder: Path) -> None:
    """Every command of Exchange."""
    run, ca = watch.run, organisation.ca
    run("exchange", "discover", *reach, "--export", str(folder / "snapshot.json"))
    run("exchange", "discover", "--compare", str(folder / "snapshot.json"), "--json")
    run("exchange", "names", "--json")
    run("exchange", "account", "--check", "--json")
    run("exchange", "account", "--script", USERNAME)
    made = run(
        "exchange", "setup", "--yes", "--json", "--email", "postmaster@contoso.test",
        *(word for port in organisation.verify for word in ("--verify", port)),
        "--directory", ca.server.directory_url, "--directory-ca-file", str(ca.server.ca_file), *ca.http_options,
    )  # fmt: skip
    managed = str(json.loads(made)["id"])
    run("certificate", "request", managed)
    run("exchange", "acknowledge", "Outbound to Office 365", "--json")
    run("exchange", "plan", managed, "--powershell", str(folder))
    run("exchange", "apply", managed, "--dry-run", "--on-server", "--json")
    run("exchange", "apply", managed, "--yes", "--json")
    run("exchange", "verify", managed, "--json")
    run("exchange", "verify", managed, "--outside", str(folder / "outside.py"))
    run("exchange", "status", "--json")
    run("exchange", "doctor", "--html", str(folder / "report.html"), "--json")
    run("exchange", "cleanup", managed, "--dry-run", "--json", code=3)
    run("exchange", "capture", str(folder / "capture.jsonl"))
    run("certificate", "log", managed, "--runs", "20", "--json")


def keys(site: Site) -> list[bytes]:
    """What makes up the private key of the certificate that was deployed."""
    with site.engine() as engine, engine.store.read() as unit:
        version = unit.managed.current(unit.managed.get(PUBLIC).id)
        assert version is not None
        pem = unit.versions.private_key(version.id)
        assert pem is not None
    numbers = load_own_key(pem).private_numbers()
    primes = [prime.to_bytes(128, "big") for prime in (numbers.p, numbers.q)]  # type: ignore[union-attr]
    return [*primes, *pem.splitlines()[5:10]]


def test_a_password_and_a_key_are_seen_nowhere(tmp_path: Path) -> None:
    with watched(tmp_path) as (organisation, watch):
        watch.run("init")
        add_credential(watch, "wrong", WRONG)
        reach = organisation.reach_options
        wrong = ["wrong" if word == "exchange" else word for word in reach]
        watch.run("exchange", "discover", *wrong, code=1)
        add_credential(watch, "exchange", PASSWORD)
        folder = tmp_path / "written"
        folder.mkdir()
        live(organisation, watch, reach, folder)
        watch.seen.update({str(path): path.read_bytes() for path in folder.iterdir()})
        assert {path.name for path in folder.iterdir()} >= {"do.ps1", "report.html", "capture.jsonl", "snapshot.json"}
        assert watch.leaks([PASSWORD.encode(), WRONG.encode(), *keys(watch.site)]) == []
        assert not list((tmp_path / "tmp").iterdir())


def by_ticket(keytab: str, folder: str, environment: dict[str, str]) -> list[str]:
    """In the other process: a life of commands with the tickets of the current user; where a secret can be seen."""
    access = Access(schemes=(Scheme.KERBEROS,), keytab=Path(keytab))
    place = Path(folder)
    with watched(place, access, **environment) as (organisation, watch):
        watch.run("init")
        (server,) = organisation.servers
        url = server.powershell_http_url.replace("127.0.0.1", "localhost")
        windows = server.winrm_http_url.replace("127.0.0.1", "localhost")
        name = server.spec.fqdn
        (place / "written").mkdir()
        reach = ["--server", name, "--endpoint", f"{name}={url}", "--winrm", f"{name}={windows}"]
        live(organisation, watch, reach, place / "written")
        cache = Path(environment["KRB5CCNAME"].removeprefix("FILE:")).read_bytes()
        secrets = [PASSWORD.encode(), *keys(watch.site), *pieces(cache)]
        return watch.leaks(secrets)


def pieces(cache: bytes) -> list[bytes]:
    """Parts of the tickets in a cache: their ends, which are encrypted and unlike anything else."""
    tickets = [found.start() for found in re.finditer(rb"\x61\x82..\x30\x82", cache, re.DOTALL)]
    assert tickets
    return [cache[start + 200 : start + 264] for start in tickets]


def test_a_ticket_is_seen_nowhere(tmp_path: Path) -> None:
    with kerberos.realm() as realm:
        user = realm.add_user(USERNAME.partition("@")[0], PASSWORD)
        keytab = realm.add_service("HTTP/localhost")
        tickets = realm.kinit(user, PASSWORD)
        environment = {k: v for k, v in realm.environment(tickets).items() if k.startswith("KRB5")}
        assert realm.run(by_ticket, str(keytab), str(tmp_path), environment, cache=tickets, timeout=280) == []
