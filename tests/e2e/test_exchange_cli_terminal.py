"""A person at a terminal: from the organisation to the certificate on every port, typing an e-mail address and yes."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from certwright.engine.material import version_facts
from world import nat
from world.contoso import AUTODISCOVER, OUTBOUND, PASSWORD, PUBLIC, USERNAME, Contoso, contoso
from world.site import Site
from world.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PATIENCE = 120
CTRL_C = "Ctrl-C"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Contoso, Site]]:
    with contoso(tmp_path / "exchange", ("EX01", "EX02")) as organisation:
        for name, value in nat.environment(organisation.organisation.servers.values(), (PUBLIC, AUTODISCOVER)).items():
            monkeypatch.setenv(name, value)
        site = Site(tmp_path / "site")
        (tmp_path / "site").mkdir()
        site.initialise()
        site.cli(
            "credential", "add", "exchange", "exchange", "--username", USERNAME, "--password-file", "-",
            given=PASSWORD, code=0,
        )  # fmt: skip
        yield organisation, site


def typed(site: Site, *arguments: str, answers: dict[str, str] | None = None, code: int = 0) -> str:
    """Run a command on a terminal and answer its questions, which come in this order; what a person sees."""
    environment = {**os.environ, **site.environment, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    del environment["COLUMNS"]
    terminal = Terminal([sys.executable, "-c", nat.COMMAND, *arguments], environment)
    try:
        for question, answer in (answers or {}).items():
            terminal.read_until(question, PATIENCE)
            if answer is CTRL_C:
                terminal.interrupt()
            else:
                terminal.type(f"{answer}\n")
        terminal.read_until(None, PATIENCE)
        ended = terminal.process.wait(timeout=20)
    finally:
        terminal.close()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.shown)
    assert "Traceback" not in shown
    assert ended == code, shown
    return shown


def set_up(organisation: Contoso, site: Site, answers: dict[str, str], *options: str, code: int = 0) -> str:
    """`exchange setup` as it is typed, but for the authority and the port that it asks, which are on the internet."""
    ca = organisation.ca
    internet = ["--directory", ca.server.directory_url, "--directory-ca-file", str(ca.server.ca_file), *ca.http_options]
    return typed(site, "exchange", "setup", *options, *internet, answers=answers, code=code)


def test_an_email_address_is_all_that_is_typed(place: tuple[Contoso, Site]) -> None:
    organisation, site = place
    seen = typed(site, "exchange", "discover", *organisation.reach_options)
    assert "Exchange 2019 CU15" in seen
    assert "Next: certwright exchange names" in seen

    said = set_up(organisation, site, {"E-mail address": "postmaster@contoso.test", "Set this up?": "y"})
    assert "Servers: ex01.contoso.test, ex02.contoso.test" in said
    assert f"{PUBLIC}: will be on it" in said
    assert f"{AUTODISCOVER}: will be on it" in said
    assert said.index("Names:") < said.index("E-mail address") < said.index("Set this up?")
    assert "Next: certwright certificate request" in said

    assert "Next: certwright exchange plan" in typed(site, "certificate", "request", PUBLIC)
    stopped = typed(site, "exchange", "plan", PUBLIC, code=1)
    assert f"certwright exchange acknowledge '{OUTBOUND}'" in stopped
    assert f"Acknowledged by now: {OUTBOUND}." in typed(site, "exchange", "acknowledge", OUTBOUND)
    planned = typed(site, "exchange", "plan", PUBLIC)
    assert f"Next: certwright exchange apply {PUBLIC} --plan" in planned
    assert not organisation.mutations

    refused = typed(site, "exchange", "apply", PUBLIC, answers={"Do this now?": "n"}, code=2)
    assert "Nothing was changed, as you wished." in refused
    assert not organisation.mutations
    refused = typed(site, "deploy", PUBLIC, answers={"Do this now?": "n"}, code=2)
    assert "Enable-ExchangeCertificate" in refused
    assert "Nothing was changed, as you wished." in refused
    assert not organisation.mutations
    done = typed(site, "exchange", "apply", PUBLIC, answers={"Do this now?": "y"})
    assert "deployed on ex01.contoso.test" in done
    assert "deployed on ex02.contoso.test" in done
    assert set(organisation.served().values()) == {site_version(site)}

    verified = typed(site, "exchange", "verify", PUBLIC)
    for service in ("IIS", "SMTP", "IMAP", "POP"):  # what it was given stays looked at
        assert len(re.findall(rf"^ {service} .* ok", verified, re.MULTILINE)) >= len(organisation.servers)
    assert "Everything was in place" in typed(site, "exchange", "apply", PUBLIC, code=3)
    assert "nothing of an earlier version" in typed(site, "exchange", "cleanup", PUBLIC, code=3)

    again = set_up(organisation, site, {}, code=2)
    assert f"There is a managed certificate '{PUBLIC}' already." in again
    assert f"certwright certificate show {PUBLIC}" in again
    assert "Or choose another title." in again


def site_version(site: Site) -> str:
    """SHA-256 of the certificate that was issued last."""
    with site.engine() as engine, engine.store.read() as unit:
        version = unit.managed.current(unit.managed.get(PUBLIC).id)
        assert version is not None
        return version_facts(version).sha256


def test_the_window_is_known_before_anybody_is_asked(place: tuple[Contoso, Site]) -> None:
    organisation, site = place
    options = (*organisation.reach_options, "--window", "night")
    assert "There is no maintenance window 'night'" in set_up(organisation, site, {}, *options, code=2)
    site.cli("window", "add", "night", "--open", "daily 01:00-04:00", "--zone", "UTC", code=0)
    answers = {"E-mail address": "postmaster@contoso.test", "Set this up?": "y"}
    said = set_up(organisation, site, answers, *options)
    assert said.index("Window:  night") < said.index("Set this up?")
    with site.engine() as engine, engine.store.read() as unit:
        assert unit.managed.get(PUBLIC).window == "night"


def test_a_question_that_is_broken_off_leaves_nothing_behind(place: tuple[Contoso, Site]) -> None:
    organisation, site = place
    stopped = set_up(organisation, site, {"E-mail address": CTRL_C}, *organisation.reach_options, code=2)
    assert "Nothing was done" in stopped
    declined = set_up(organisation, site, {"E-mail address": "postmaster@contoso.test", "Set this up?": "n"}, code=2)
    assert "Nothing was set up, as you wished." in declined
    with site.engine() as engine, engine.store.read() as unit:
        assert not unit.managed.list()
        assert not unit.issuers.list()
