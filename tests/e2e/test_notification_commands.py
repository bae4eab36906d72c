"""`certwright notification` as people type it, and what `certificate renew` sends at its end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from certwright.domain.events import Event, EventKind
from certwright.wiring import utc_now
from peers.daemons import write_tls
from peers.hook import PATH, SECRET, Hook
from peers.mailbox import Mailbox, mailbox
from peers.postfix import postfix
from peers.vendor import served
from world.alarms import EMAIL, alarms
from world.channels import channel, problem
from world.leaks import Watch
from world.site import Site

pytestmark = pytest.mark.e2e


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    with served(hook):
        yield hook
    assert hook.complaints == []


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as served_box:
        yield served_box


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """With an issuer, whose account has an address, and a certificate that needs a person."""
    with alarms(tmp_path) as made:
        (edge,) = made.certificates("edge")
        with made.engine.store.write() as unit:
            unit.events.add(Event(kind=EventKind.NEEDS_PERSON, managed_id=edge, at=utc_now(), message="Halfway."))
        return made.site


def mail_options(box: Mailbox) -> list[str]:
    server = ["--host", "127.0.0.1", "--port", str(box.port), "--security", "none", "--no-direct"]
    return ["--sender", "certwright@contoso.test", *server]


def test_mail_goes_to_the_issuers_address_and_one_way_is_not_enough(site: Site, box: Mailbox) -> None:
    added = site.cli("notification", "channel", "add", "smtp", "mail", *mail_options(box), code=0)
    assert f"The mail server 127.0.0.1:{box.port} lets us send." in added.out
    assert "All messages go by smtp: if that is broken, it cannot say so." in added.out
    tested = site.cli("notification", "channel", "test", "mail", code=0)
    assert "Sent. The mail server" in tested.out
    assert "250 2.0.0 Ok: queued as 4711" in tested.out
    assert [mail["To"] for mail in box.mails] == [EMAIL]


def test_renew_tells_at_its_end_and_send_has_nothing_left(site: Site, box: Mailbox) -> None:
    site.cli("notification", "channel", "add", "smtp", "mail", *mail_options(box), code=0)
    renewed = site.cli("certificate", "renew", code=3)
    assert "Nothing is due.\nTold by mail: Urgent: edge needs a person." in renewed.out
    assert "Halfway." in box.mails[0].as_string()
    assert "Nothing is to be sent now." in site.cli("notification", "send", code=3).out


def test_renewal_does_not_fail_because_nobody_can_be_told(site: Site, hook: Hook, tmp_path: Path) -> None:
    hook.statuses.extend([403, 403])
    (tmp_path / "url").write_text(f"{hook.url}{PATH}?room=7\n")
    site.cli("notification", "channel", "add", "webhook", "chat", "--url-file", str(tmp_path / "url"), code=0)
    renewed = site.cli("certificate", "renew", code=3)
    assert "Not told by chat: Urgent: edge needs a person." in renewed.out
    assert "It is tried again from" in renewed.out
    refused = site.cli("notification", "channel", "test", "chat", code=1)
    assert "answered 403" in refused.err
    listed = json.loads(site.cli("notification", "channel", "list", "--json", code=0).out)
    assert [(c["name"], c["kind"], c["waiting"]) for c in listed["channels"]] == [("chat", "webhook", 1)]


def test_rules_are_added_listed_replaced_and_removed(site: Site) -> None:
    quiet = ["--quiet", "22:00-07:00", "--zone", "Europe/Berlin", "--digest", "daily", "--digest-at", "09:30"]
    site.cli("notification", "rule", "add", "night", "--matter", "drift", "--matter", "expiring", *quiet, code=0)
    shown = site.cli("notification", "rule", "list", code=0).out
    assert "drift, expiring" in shown
    assert "daily at 09:30, quiet 22:00-07:00 (Europe/Berlin)" in shown
    site.cli("notification", "rule", "add", "night", "--failures", "5", code=0)
    rules = {r["name"]: r for r in json.loads(site.cli("notification", "rule", "list", "--json", code=0).out)}
    assert set(rules) == {"problems", "summary", "night"}
    assert (rules["night"]["failures"], rules["night"]["quiet"]) == (5, None)
    site.cli("notification", "rule", "remove", "night", code=0)
    gone = site.cli("notification", "rule", "remove", "night", code=2)
    assert "There is no notification rule 'night'." in gone.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--zone", "Berlin"], "There is no time zone 'Berlin'"),
        (["--quiet", "late"], "names no quiet hours"),
        (["--digest-at", "noon"], "is no time of the day"),
        (["--matter", "weather"], "matters.0: Input should be 'issuance'"),
        (["--channel", "nobody"], "There is no channel 'nobody'"),
        (["--failures", "0"], "failures: "),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(site: Site, options: list[str], told: str) -> None:
    assert told in site.cli("notification", "rule", "add", "x", *options, code=2).err


def test_no_secret_of_a_channel_is_seen_anywhere(site: Site, hook: Hook, tmp_path: Path) -> None:
    hook.statuses.append(403)
    (tmp_path / "secrets").mkdir()
    address, key = tmp_path / "secrets" / "url", tmp_path / "secrets" / "key"
    address.write_text(f"{hook.url}{PATH}?room=7")
    key.write_text(SECRET)
    watch = Watch(site, tmp_path)
    add = ["notification", "channel", "add", "webhook", "chat", "--url-file", str(address), "--secret-file", str(key)]
    watch.run(*add)
    watch.run("notification", "channel", "test", "chat", code=1)
    watch.run("notification", "send")
    watch.run("notification", "channel", "list")
    watch.run("credential", "list", "--json")
    assert len(hook.messages) == 1
    assert watch.leaks([SECRET.encode(), b"T0P5ECRET"]) == []


def test_postfix_takes_a_message_over_tls(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with postfix(write_tls(tmp_path, ca.issue_cert("localhost"))) as port:
        made = channel(
            "smtp",
            sender="certwright@contoso.test",
            to=["admin@contoso.test", "postmaster@mail.contoso.test"],
            host="localhost",
            port=port,
            ca_file=str(tmp_path / "ca.pem"),
            direct=False,
        )
        assert made.check() == f"The mail server localhost:{port} lets us send."
        assert "answered: 250 2.0.0 Ok: queued as" in made.send(problem("Köln"))
