"""From events in the store to messages that arrive: once, also when channels or processes break."""

import itertools
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.events import EventKind
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.rules import Digest, Matter, QuietHours, Rule
from certwright.domain.watching import Seen, Watched
from certwright.engine.audit import sign_head, verify
from certwright.engine.channels import add_channel, put_rule, remove_channel, try_channel
from certwright.engine.gaps import advice
from certwright.engine.notify import deliver
from certwright.rest import Api
from peers.dns_peer import Fault
from peers.hook import PATH, SECRET, Hook
from peers.mailbox import mailbox
from peers.vendor import served
from unit.domain.workshop import Authority, ec_key
from world import dying, processes
from world.alarms import EMAIL, OUTAGE, Alarms, alarms
from world.dying import Boundary, Death

pytestmark = pytest.mark.e2e
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAILED = EventKind.ISSUANCE_FAILED


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Alarms]:
    with alarms(tmp_path) as made:
        yield made


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setattr(Api, "pauses", (0.0, 0.0, 0.0))
    monkeypatch.setattr("certwright.rest.api.await_turn", lambda _place, _per_second: None)
    hook = Hook()
    with served(hook):
        yield hook
    assert hook.complaints == []


def url(hook: Hook) -> str:
    return f"{hook.url}{PATH}?room=7"


@pytest.fixture
def told(one: Alarms, hook: Hook) -> Alarms:
    """With a web hook."""
    one.channel("webhook", "chat", url=url(hook), secret=SECRET)
    return one


def test_a_failure_that_repeats_is_told_once_with_all_that_matters_and_then_that_it_is_over(
    told: Alarms, hook: Hook
) -> None:
    (mail,) = told.certificates("mail.contoso.test")
    told.issued(mail, days=40)
    told.happen(FAILED, mail, hint="Look at its status page.", times=2)
    assert told.deliver() == []
    told.now += HOUR
    told.happen(FAILED, mail, hint="Look at its status page.")
    subject = "mail.contoso.test could not be renewed; expires 2026-12-14"
    assert told.told() == [("chat", subject)]
    (body,) = hook.messages.values()
    for part in (OUTAGE, "2026-11-04 12:00 UTC (3 times)", "in 39 days", "Look at its status page."):
        assert part in body["text"]
    assert told.told(DAY / 2) == []
    told.happen(EventKind.CERTIFICATE_ISSUED, mail)
    assert told.told() == [("chat", "mail.contoso.test is renewed again")]
    assert told.told(DAY) == []


def test_where_the_audit_trail_stands_is_sent_elsewhere_by_a_rule_that_says_so(told: Alarms, hook: Hook) -> None:
    signed = sign_head(told.engine)
    assert signed
    assert told.deliver() == []
    put_rule(told.engine, Rule(name="heads", matters=(Matter.AUDIT,), digest=Digest.DAILY))
    subject = f"The audit trail stands at {signed.head.number}"
    assert told.told() == [("chat", subject)]
    (body,) = hook.messages.values()
    (seen,) = re.findall(r"--seen (\d+):([0-9a-f]{64})", body["text"])
    assert verify(told.engine, {int(seen[0]): seen[1]}).faults == ()
    assert verify(told.engine, {int(seen[0]): "0" * 64}).faults
    assert told.told(19 * HOUR) == []
    assert told.told(HOUR) == [("chat", subject)]


def test_ten_thousand_failures_of_one_cause_are_one_message(told: Alarms, hook: Hook) -> None:
    ids = told.certificates(*(f"host{number:05}.contoso.test" for number in range(10_000)))
    put_rule(told.engine, Rule(name="problems", failures=1))
    told.happen(FAILED, *ids)
    assert told.told() == [("chat", "10000 certificates could not be renewed")]
    ((section,),) = [body["sections"] for body in hook.messages.values()]
    assert (section["certificates"], section["names"][0]) == (10_000, "host00000.contoso.test")
    assert len(hook.requests) == 1
    assert told.told(HOUR) == []


def test_a_process_that_is_killed_anywhere_tells_once(tmp_path: Path, hook: Hook) -> None:
    """Each message has one id, and the receiver knows it again; none is lost."""
    with alarms(tmp_path / "template") as one:
        one.channel("webhook", "chat", url=url(hook), secret=SECRET)
        one.happen(EventKind.NEEDS_PERSON, *one.certificates("mail"))
    twice = 0
    for nth in itertools.count(1):
        assert nth < 60, "it never survived"
        hook.messages.clear()
        hook.requests.clear()
        site = one.site.copied(tmp_path / str(nth))
        death = Death(Boundary.EFFECT, nth)
        killed = processes.run(dying.notify, death, folder=site.folder, environment=site.environment).code
        if killed == 0:
            break
        assert killed == -9
        with site.engine() as engine:
            deliver(engine)
        (body,) = hook.messages.values()
        assert body["subject"] == "Urgent: mail needs a person"
        twice += len(hook.requests) == 2
    assert nth > 5, "it was hardly ever killed"
    assert twice == 1, "it was never killed between sending and noting"


def test_while_a_channel_is_broken_the_message_waits_and_the_others_are_told(told: Alarms, hook: Hook) -> None:
    with mailbox() as box:
        mail = {"sender": "certwright@contoso.test", "security": "none", "direct": False}
        told.channel("smtp", "mail", **mail, host="127.0.0.1", port=box.port)
        box.reply("DATA", *["451 4.3.0 try later"] * 3)
        told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
        first = {a.channel: a for a in told.deliver()}
        assert first["chat"].error is None
        assert first["mail"].again == told.now + timedelta(minutes=1)
        assert told.deliver() == []
        second, third = told.deliver(timedelta(minutes=1)), told.deliver(timedelta(minutes=2))
        assert [a.channel for a in (*second, *third)] == ["mail", "mail"]
        assert told.told(timedelta(minutes=4)) == [
            ("mail", "Urgent: edge needs a person"),
            ("chat", "The notification channel 'mail' does not work"),
        ]
        assert box.mails[0]["To"] == EMAIL  # the issuer's account, without being named


def test_a_channel_that_is_stored_anew_is_tried_at_once(told: Alarms, hook: Hook) -> None:
    told.channel("webhook", "chat", url=url(hook), secret="the wrong key".replace(" ", "-"))
    told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
    (refused,) = told.deliver()
    assert refused.again == told.now + HOUR
    told.channel("webhook", "chat", url=url(hook), secret=SECRET)
    assert told.told() == [("chat", "Urgent: edge needs a person")]


def test_what_never_gets_through_is_given_up_after_days(told: Alarms, hook: Hook) -> None:
    told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
    hook.fail(Fault.UNAVAILABLE, times=1000)
    ends = [told.deliver(timedelta(hours=6))[0].again for _ in range(13)]
    assert ends[-1] is None
    assert None not in ends[:-1]
    assert told.deliver(DAY) == []


def test_without_a_channel_news_waits_for_one(one: Alarms, hook: Hook) -> None:
    one.happen(EventKind.NEEDS_PERSON, *one.certificates("edge"))
    assert one.deliver() == []
    one.channel("webhook", "chat", url=url(hook), secret=SECRET)
    assert one.told(3 * DAY) == [("chat", "Urgent: edge needs a person")]


def test_who_expires_without_renewal_is_told_of_each_day_also_if_nothing_ever_failed(told: Alarms) -> None:
    near, far, short, _ = told.certificates("near", "far", "short", "never issued")
    told.issued(near, days=9)
    told.issued(far, days=40)
    told.issued(short, days=5, lifetime=6)
    assert told.told() == [("chat", "near expires soon and was not replaced; expires 2026-11-13")]
    assert told.told(HOUR) == []
    assert told.told(DAY) == [("chat", "near expires soon and was not replaced; expires 2026-11-13")]
    told.issued(near, days=90)
    told.happen(EventKind.CERTIFICATE_ISSUED, near)
    assert told.told(DAY)[0] == ("chat", "near is replaced now")


def test_what_is_still_in_use_is_told_of_though_a_fresh_version_is_there(told: Alarms) -> None:
    (mail,) = told.certificates("mail")
    told.issued(mail, days=80)
    given_up = Condition(
        health=Health.FAILING, rule="given-up", message="It is not tried again.", ends=told.now + 9 * DAY
    )
    with told.engine.store.write() as unit:
        unit.healths.put(mail, given_up)
    assert told.told() == [("chat", "mail expires soon and was not replaced; expires 2026-11-13")]
    told.happen(EventKind.TASKS_DONE, mail)
    with told.engine.store.write() as unit:
        unit.healths.put(mail, given_up.model_copy(update={"health": Health.OK, "ends": told.now + 80 * DAY}))
    assert told.told(DAY) == [("chat", "mail is replaced now")]
    assert told.told(DAY) == []


def test_what_went_well_is_told_once_a_week(told: Alarms) -> None:
    mail, web = told.certificates("mail", "web")
    told.happen(EventKind.CERTIFICATE_ISSUED, mail, web)
    told.happen(EventKind.DEPLOYED, mail, web)
    assert told.told(3 * DAY) == []
    assert told.told(2 * DAY) == [("chat", "Certificates: 2 issued, 2 deployed")]
    assert told.told(8 * DAY) == []


def test_a_rule_names_its_channels_matters_and_quiet_hours(told: Alarms, hook: Hook) -> None:
    told.channel("webhook", "pager", url=url(hook), secret=SECRET)
    night = QuietHours.parse("00:00-13:00")
    put_rule(told.engine, Rule(name="problems", channels=("pager",), matters=(Matter.DRIFT,), quiet=night))
    told.happen(EventKind.DRIFT, *told.certificates("mail"), message="mail serves another certificate.")
    told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
    assert told.told() == []
    assert told.told(HOUR) == [("pager", "mail is not served as deployed")]


def test_what_is_removed_is_told_of_no_more(told: Alarms) -> None:
    (mail,) = told.certificates("mail")
    put_rule(told.engine, Rule(name="problems", quiet=QuietHours.parse("00:00-13:00")))
    told.happen(EventKind.DRIFT, mail)
    assert told.deliver() == []
    with told.engine.store.write() as unit:
        unit.managed.remove(mail)
    assert told.deliver(HOUR) == []


def test_what_is_only_watched_is_told_of_too(told: Alarms) -> None:
    leaf = Authority("CA").certify("web", ec_key(), start=told.now - 80 * DAY, lifetime=90 * DAY)
    seen = Seen.of(CertificateFacts.of(leaf))
    watched = Watched(title="balancer", seen=seen, since=told.now, looked_at=told.now)
    with told.engine.store.write() as unit:
        unit.watches.add(watched, told.now)
    told.happen(EventKind.WATCHED_ENDING, watched.id, message="balancer: it ends in 10 days.")
    assert told.told() == [("chat", "balancer is watched, and something is the matter; expires 2026-11-14")]
    assert told.told(3 * DAY) == []
    told.happen(EventKind.WATCHED_CHANGED, watched.id, message="balancer: another certificate.")
    assert len(told.told()) == 1
    told.happen(EventKind.WATCHED_CHANGED, watched.id, message="balancer: another certificate.")
    told.happen(EventKind.WATCHED_REPLACED, watched.id, message="balancer: another certificate was given.")
    assert told.told(DAY) == [("chat", "balancer has another certificate now")]
    told.happen(EventKind.WATCHED_CHANGED, watched.id, message="balancer: another certificate.")
    with told.engine.store.write() as unit:
        unit.watches.remove(watched.id)
    assert told.told(DAY) == []


def test_a_heartbeat_is_called_once_a_day_unless_something_due_is_left_alone(one: Alarms, hook: Hook) -> None:
    one.channel("heartbeat", "watch", url=url(hook))
    assert one.told() == [("watch", "Heartbeat")]
    assert one.told(HOUR) == []
    assert one.told(DAY) == [("watch", "Heartbeat")]
    (mail,) = one.certificates("mail")
    with one.engine.store.write() as unit:
        unit.managed.set_next_check(mail, one.now)
    assert one.told(2 * DAY) == []


def test_while_another_process_tells_nothing_happens(told: Alarms) -> None:
    told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
    with told.engine.store.lease("notifications"):
        assert told.deliver() == []
    assert len(told.deliver()) == 1


def test_a_channel_that_is_broken_by_a_fault_of_its_own_stops_no_other(
    told: Alarms, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.channel("event_log", "aaa")
    monkeypatch.setattr("certwright.notifications.event_log._functions", lambda: 1 / 0)
    told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
    attempts = {a.channel: a for a in told.deliver()}
    assert "unexpected ZeroDivisionError" in str(attempts["aaa"].error)
    assert attempts["chat"].error is None


def test_advice_asks_for_what_is_missing(one: Alarms, hook: Hook) -> None:
    def asked() -> str:
        with one.engine.store.read() as unit:
            return "\n".join(advice(unit))

    assert "Nobody is told of problems" in asked()
    one.channel("smtp", "mail", sender="certwright@contoso.test")
    assert "All messages go by smtp: if that is broken, it cannot say so." in asked()
    one.channel("webhook", "chat", url=url(hook))
    assert "All messages go by" not in asked()
    assert "If this machine stops, nobody notices" in asked()
    one.channel("heartbeat", "watch", url=url(hook))
    assert asked() == ""
    put_rule(one.engine, Rule(name="problems", matters=(Matter.DRIFT,)))
    assert "No rule tells of issuance, deployment" in asked()


def test_a_test_message_says_what_was_answered(told: Alarms, hook: Hook) -> None:
    assert try_channel(told.engine, "chat") == "POST 127.0.0.1/… answered 202."
    with pytest.raises(NotFound, match="There is no credential 'other'"):
        try_channel(told.engine, "other")


def test_a_channel_that_a_rule_names_is_not_removed(told: Alarms) -> None:
    put_rule(told.engine, Rule(name="night", channels=("chat",)))
    with pytest.raises(ConfigurationError, match="is used by the notification rule 'night'"):
        remove_channel(told.engine, "chat")
    put_rule(told.engine, Rule(name="night"))
    told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
    remove_channel(told.engine, "chat")
    assert told.deliver() == []


def test_with_a_channel_goes_what_was_remembered_of_it(one: Alarms, hook: Hook) -> None:
    for _ in range(2):
        one.channel("heartbeat", "watch", url=url(hook))
        assert one.told() == [("watch", "Heartbeat")]
        remove_channel(one.engine, "watch")


def test_a_rule_names_channels_that_carry_messages(told: Alarms, hook: Hook) -> None:
    told.channel("heartbeat", "watch", url=url(hook))
    for name in ("watch", "nobody"):
        with pytest.raises(ConfigurationError, match=f"There is no channel '{name}' that carries messages") as caught:
            put_rule(told.engine, Rule(name="x", channels=(name,)))
        assert "chat" in caught.value.hint


def test_a_channel_that_cannot_work_is_not_stored(one: Alarms) -> None:
    with pytest.raises(ConfigurationError, match="no Windows Event Log"):
        add_channel(one.engine, "event_log", "log", {}, checked=True)
    with one.engine.store.read() as unit:
        assert unit.credentials.names() == ()


def test_nothing_secret_of_a_channel_lies_in_the_store_as_it_is(told: Alarms, hook: Hook) -> None:
    told.happen(EventKind.NEEDS_PERSON, *told.certificates("edge"))
    hook.fail(Fault.FORBIDDEN)
    told.deliver()
    with told.engine.store.read() as unit:
        shown = json.dumps([[c.shown, c.used_by.first] for c in unit.credentials.list()])
        (waiting,) = unit.outbox.waiting()
    files = b"".join(p.read_bytes() for p in told.site.settings.data_folder.iterdir() if p.is_file())
    for secret in (SECRET, "T0P5ECRET"):
        assert secret not in shown + waiting.told
        assert secret.encode() not in files
