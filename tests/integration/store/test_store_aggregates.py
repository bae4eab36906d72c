from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certwright.domain.clocks import LOOKED_AT_LEAST, SKEW
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.errors import ConfigurationError, NotFound, StoreError
from certwright.domain.events import Event, EventKind
from certwright.domain.managed import (
    CertificateVersion,
    Issuer,
    ManagedCertificate,
    TaskSettings,
)
from certwright.domain.runs import DeploymentState, Entry, Outcome, Phase, Run, RunKind, Stage
from certwright.domain.validation import Validation
from certwright.sdk.context import Credential
from certwright.store import Store
from certwright.store.managed import due_query
from certwright.store.uses import Users

pytestmark = pytest.mark.usefixtures("issuer")
NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = NOW + timedelta(minutes=5)


def managed(title: str = "mail", *names: str, **fields: object) -> ManagedCertificate:
    given = {"title": title, "identifiers": names or (f"{title}.contoso.com",), "issuer": "le", **fields}
    return ManagedCertificate.model_validate(given)


def version(of: ManagedCertificate, number: int = 1) -> CertificateVersion:
    return CertificateVersion(
        managed_id=of.id, issuer="le", chain_pem=f"chain {number}", fingerprint=of.fingerprint, issued_at=NOW
    )


def exchange(**params: str) -> TaskSettings:
    return TaskSettings(kind="exchange", title="Exchange", params=params)


def add(store: Store, *certificates: ManagedCertificate) -> None:
    with store.write() as unit:
        for certificate in certificates:
            unit.managed.add(certificate)


class TestIssuers:
    def test_they_are_kept_by_name(self, store: Store, issuer: Issuer) -> None:
        zero = Issuer(name="a-zero", kind="acme", params={"directory": "https://zero.test"})
        with store.write() as unit:
            unit.issuers.add(zero, b"other key", ("kid", b"\x00\xff"))
        with store.read() as unit:
            assert unit.issuers.list() == [zero, issuer]
            assert unit.issuers.get("le") == issuer
            assert unit.issuers.account_key("a-zero") == b"other key"
            assert unit.issuers.external_account_binding("a-zero") == ("kid", b"\x00\xff")
            assert unit.issuers.external_account_binding("le") is None

    def test_one_name_is_one_issuer(self, store: Store, issuer: Issuer) -> None:
        with store.write() as unit, pytest.raises(ConfigurationError, match="issuer 'le' already"):
            unit.issuers.add(issuer, b"another key")
        with store.read() as unit:
            assert unit.issuers.account_key("le") == b"account key"

    def test_an_update_keeps_the_key(self, store: Store, issuer: Issuer) -> None:
        registered = issuer.model_copy(update={"account": {"url": "https://ca.test/acct/1"}})
        with store.write() as unit:
            unit.issuers.update(registered)
            assert unit.issuers.get("le") == registered
            assert unit.issuers.account_key("le") == b"account key"

    def test_an_unknown_one_is_not_found(self, store: Store, issuer: Issuer) -> None:
        with store.write() as unit:
            with pytest.raises(NotFound, match="no issuer 'ghost'") as caught:
                unit.issuers.get("ghost")
            assert caught.value.hint == "Issuers: le."
            with pytest.raises(NotFound):
                unit.issuers.account_key("ghost")
            with pytest.raises(NotFound):
                unit.issuers.update(issuer.model_copy(update={"name": "ghost"}))
            with pytest.raises(NotFound):
                unit.issuers.remove("ghost")

    def test_one_in_use_is_not_removed(self, store: Store) -> None:
        web = managed("web")
        add(store, managed("mail"), web)
        with store.write() as unit:
            with pytest.raises(ConfigurationError, match="used by 'mail', 'web'"):
                unit.issuers.remove("le")
            unit.managed.remove(web.id)
            with pytest.raises(ConfigurationError, match="used by 'mail'"):
                unit.issuers.remove("le")

    def test_removing_takes_the_keys_along(self, store: Store, issuer: Issuer) -> None:
        with store.write() as unit:
            unit.issuers.remove("le")
            assert unit.issuers.list() == []
            unit.issuers.add(issuer, b"new key")
            assert unit.issuers.account_key("le") == b"new key"


class TestManaged:
    def test_they_are_found_by_id_title_beginning_and_name(self, store: Store) -> None:
        mail = managed("Post", "mail.contoso.com", "autodiscover.contoso.com", id="ab12cd34ef56")
        web = managed("Web", "www.contoso.com", "autodiscover.contoso.com", id="ab12cd99ef56")
        add(store, mail, web)
        with store.read() as unit:
            for reference in ("ab12cd34ef56", "ab12cd3", "Post", "mail.contoso.com", "MAIL.contoso.com."):
                assert unit.managed.get(reference) == mail
            for reference in ("autodiscover.contoso.com", "ab12"):
                with pytest.raises(ConfigurationError, match="fits several") as caught:
                    unit.managed.get(reference)
                assert "ab12cd34ef56 (Post), ab12cd99ef56 (Web)" in caught.value.hint
            for reference in ("ab1", "ab12cd34ef567", "post", "contoso.com", "", "%", "ab12%"):
                with pytest.raises(NotFound):
                    unit.managed.get(reference)

    def test_those_with_a_task_of_a_kind_are_found(self, store: Store) -> None:
        named = managed("web", tasks=(TaskSettings(kind="script", title="it", params={"kind": "exchange"}),))
        add(store, managed("shop", tasks=(exchange(),)), managed("mail", tasks=(exchange(),)), managed("api"), named)
        with store.read() as unit:
            assert [each.title for each in unit.managed.with_task("exchange")] == ["mail", "shop"]

    def test_a_title_beats_a_beginning_and_a_name(self, store: Store) -> None:
        one, other = managed("one", "two.contoso.com", id="abcdef000000"), managed("abcdef")
        third = managed("two.contoso.com", "third.contoso.com")
        add(store, one, other, third)
        with store.read() as unit:
            assert unit.managed.get("abcdef") == other
            assert unit.managed.get("two.contoso.com") == third

    def test_what_comes_close_is_suggested(self, store: Store) -> None:
        with store.read() as unit, pytest.raises(NotFound) as caught:
            unit.managed.get("mail")
        assert "certificate new" in caught.value.hint
        add(store, managed("mail", "mail.contoso.com"))
        with store.read() as unit:
            with pytest.raises(NotFound) as caught:
                unit.managed.get("mial.contoso.com")
            assert caught.value.hint == "Did you mean 'mail.contoso.com'?"
            with pytest.raises(NotFound) as caught:
                unit.managed.get("zzzzzzzz")
            assert "certificate list" in caught.value.hint

    def test_only_what_stands_near_in_order_is_suggested_and_nothing_for_an_id(self, store: Store) -> None:
        add(store, managed("b-mail"), managed("0123456789ab"), *(managed(f"a-mx-{each}") for each in range(100)))
        with store.read() as unit:
            for reference, told in (
                ("a-mx-10x", "Did you mean 'a-mx-10', 'a-mx-"),
                ("a-mail", "`certwright certificate list` shows all."),
                ("0123456789ac", "`certwright certificate list` shows all."),
                ("b-mail" * 1000, "`certwright certificate list` shows all."),
            ):
                with pytest.raises(NotFound) as caught:
                    unit.managed.get(reference)
                assert caught.value.hint.replace(" or ", ", ").startswith(told)

    def test_titles_are_unique(self, store: Store) -> None:
        web = managed("web")
        add(store, managed("mail"), web)
        with store.write() as unit:
            with pytest.raises(ConfigurationError, match="'mail' already") as taken:
                unit.managed.add(managed("mail", "other.contoso.com"))
            assert "certwright certificate show mail" in taken.value.hint
            with pytest.raises(ConfigurationError, match="'mail' already"):
                unit.managed.update(web.model_copy(update={"title": "mail"}))
            assert [m.title for m in unit.managed.list()] == ["mail", "web"]

    def test_the_first_of_them_are_listed_and_those_with_a_tag(self, store: Store) -> None:
        mail, web, wiki = managed("mail"), managed("web", tags=("berlin",)), managed("wiki", tags=("berlin",))
        add(store, wiki, web, mail)
        with store.read() as unit:
            assert unit.managed.list(limit=2) == [mail, web]
            assert unit.managed.list("berlin") == [web, wiki]
            assert unit.managed.list("berlin", 1) == [web]

    def test_the_issuer_must_be_there(self, store: Store) -> None:
        with store.write() as unit, pytest.raises(NotFound, match="no issuer 'ghost'"):
            unit.managed.add(managed(issuer="ghost"))

    def test_an_update_is_seen_under_its_new_names(self, store: Store) -> None:
        before = managed("mail", "old.contoso.com")
        after = managed("post", "new.contoso.com", "new.contoso.com", id=before.id)
        add(store, before)
        with store.write() as unit:
            assert unit.managed.update(after) == 2
            assert unit.managed.get("new.contoso.com") == unit.managed.get("post") == after
            for gone in ("mail", "old.contoso.com"):
                with pytest.raises(NotFound):
                    unit.managed.get(gone)

    def test_what_was_removed_cannot_be_updated(self, store: Store) -> None:
        with store.write() as unit:
            for act in (
                unit.managed.update,
                lambda m: unit.managed.remove(m.id),
                lambda m: unit.managed.revision(m.id),
            ):
                with pytest.raises(NotFound):
                    act(managed())

    def test_removing_takes_all_but_history_along(self, store: Store) -> None:
        task = exchange()
        mail, other = managed("mail", tasks=(task,)), managed("other", "mail.contoso.com")
        add(store, mail, other)
        issued, kept = version(mail), version(other)
        run = Run(managed_id=mail.id, kind=RunKind.REQUEST, started_at=NOW)
        with store.write() as unit:
            unit.versions.add(issued, b"key")
            unit.versions.add(kept, b"kept")
            unit.orders.begin(mail.id, "le", "f", b"csr", b"order key", NOW)
            unit.deployments.save(DeploymentState(task_id=task.id, managed_id=mail.id))
            unit.deployments.memory_put(task.id, "done", [1])
            unit.runs.start(run)
            unit.events.add(Event(kind=EventKind.DEPLOYED, managed_id=mail.id, at=NOW, message="m"))
        with store.write() as unit:
            unit.managed.remove(mail.id)
        with store.read() as unit:
            assert unit.managed.list() == [other]
            assert unit.managed.get("mail.contoso.com") == other
            assert unit.versions.list(mail.id) == []
            assert unit.versions.private_key(issued.id) is None
            assert unit.versions.private_key(kept.id) == b"kept"
            assert unit.orders.get(mail.id) is None
            assert unit.orders.private_key(mail.id) is None
            assert unit.deployments.get(task.id) is None
            assert unit.deployments.memory_get(task.id, "done") is None
            assert unit.runs.get(run.id) == run
            assert len(unit.events.list()) == 1

    def test_a_task_that_is_removed_takes_its_state_along(self, store: Store) -> None:
        gone, kept = exchange(), exchange()
        mail = managed(tasks=(gone, kept))
        add(store, mail)
        with store.write() as unit:
            for task in (gone, kept):
                unit.deployments.save(DeploymentState(task_id=task.id, managed_id=mail.id))
                unit.deployments.memory_put(task.id, "done", True)
                unit.records.put(f"task:{task.id}", "plan", {}, NOW)
        with store.write() as unit:
            unit.managed.update(mail.model_copy(update={"tasks": (kept,)}))
        with store.read() as unit:
            assert unit.deployments.get(gone.id) is None
            assert unit.deployments.memory_get(gone.id, "done") is None
            assert unit.deployments.get(kept.id) is not None
            assert unit.deployments.memory_get(kept.id, "done") is True
            assert unit.records.last(f"task:{gone.id}", "plan") is None
            assert unit.records.last(f"task:{kept.id}", "plan") is not None


class TestSchedule:
    def test_what_is_due_comes_longest_overdue_first(self, store: Store) -> None:
        certificates = [managed(f"c{n}") for n in range(5)]
        add(store, *certificates)
        with store.write() as unit:
            for minutes, certificate in zip((-5, 0, 1, -9), certificates, strict=False):
                unit.managed.set_next_check(certificate.id, NOW + timedelta(minutes=minutes))
        with store.read() as unit:
            assert [c.title for c in unit.managed.due(NOW, 10)] == ["c3", "c0", "c1"]
            assert [c.title for c in unit.managed.due(NOW, 2)] == ["c3", "c0"]
            assert unit.managed.next_check(certificates[2].id) == NOW + timedelta(minutes=1)
            assert unit.managed.next_check(certificates[4].id) is None

    def test_what_a_wrong_clock_has_put_off_comes_after_what_is_due(self, store: Store) -> None:
        certificates = [managed(f"c{n}") for n in range(4)]
        add(store, *certificates)
        planned = (400 * DAY, timedelta(), LOOKED_AT_LEAST + SKEW, DAY / 2)
        with store.write() as unit:
            for ahead, certificate in zip(planned, certificates, strict=True):
                unit.managed.set_next_check(certificate.id, NOW + ahead)
            assert [c.title for c in unit.managed.due(NOW, 10)] == ["c1", "c0"]
            assert [c.title for c in unit.managed.due(NOW, 1)] == ["c1"]

    def test_what_is_taken_off_is_never_due(self, store: Store) -> None:
        mail = managed()
        add(store, mail)
        with store.write() as unit:
            unit.managed.set_next_check(mail.id, NOW)
            unit.managed.set_next_check(mail.id, None)
            assert unit.managed.due(NOW + timedelta(days=9999), 10) == []

    def test_moments_are_compared_whatever_their_zone(self, store: Store) -> None:
        from zoneinfo import ZoneInfo

        mail = managed()
        add(store, mail)
        tokyo = NOW.astimezone(ZoneInfo("Asia/Tokyo"))
        with store.write() as unit:
            unit.managed.set_next_check(mail.id, tokyo)
        with store.read() as unit:
            assert unit.managed.next_check(mail.id) == NOW
            assert unit.managed.due(NOW.astimezone(ZoneInfo("America/New_York")), 1) == [mail]
            assert unit.managed.due(NOW - timedelta(microseconds=1), 1) == []

    def test_a_moment_without_a_zone_is_a_mistake(self, store: Store) -> None:
        with store.write() as unit, pytest.raises(Exception, match="needs a time zone"):
            unit.managed.set_next_check("x", NOW.replace(tzinfo=None))

    def test_the_partial_index_answers(self, store: Store) -> None:
        with store.read() as unit:
            connection = unit.managed.connection
            text = str(due_query(NOW, 500).compile(connection, compile_kwargs={"literal_binds": True}))
            if connection.dialect.name == "sqlite":
                plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
                assert plan == ["SEARCH managed USING INDEX ix_managed_due (next_action_at>? AND next_action_at<?)"]
            else:
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # so few rows would be read as they come
                connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
                plan = list(connection.exec_driver_sql(f"EXPLAIN (COSTS off) {text}").scalars())
                assert plan[1].strip() == "->  Index Scan using ix_managed_due on managed"
                assert plan[2].strip().startswith("Index Cond: (next_action_at <= ")


class TestVersions:
    def test_the_newest_is_current(self, store: Store) -> None:
        mail, other = managed(), managed("other")
        add(store, mail, other)
        first, second = version(mail, 1), version(mail, 2)
        with store.write() as unit:
            assert unit.managed.current(mail.id) is None
            unit.versions.add(first, b"key 1")
            assert unit.managed.current(mail.id) == first
            unit.versions.add(second, None)
            unit.versions.add(version(other), b"x")
        with store.read() as unit:
            assert unit.managed.current(mail.id) == second
            assert unit.versions.list(mail.id) == [second, first]
            assert unit.versions.get(first.id) == first
            assert unit.versions.private_key(first.id) == b"key 1"
            assert unit.versions.private_key(second.id) is None

    def test_revocation_is_noted_once(self, store: Store) -> None:
        mail = managed()
        add(store, mail)
        issued = version(mail)
        with store.write() as unit:
            unit.versions.add(issued, None)
            unit.versions.mark_revoked(issued.id, NOW)
            unit.versions.mark_revoked(issued.id, LATER)
            assert unit.versions.get(issued.id) == issued.model_copy(update={"revoked_at": NOW})
            with pytest.raises(NotFound):
                unit.versions.mark_revoked("ghost", NOW)

    def test_one_for_what_was_removed_is_refused(self, store: Store) -> None:
        with store.write() as unit, pytest.raises(NotFound, match="was removed"):
            unit.versions.add(version(managed()), b"key")

    def test_the_same_one_twice_is_refused_and_the_first_is_kept(self, store: Store) -> None:
        mail = managed()
        add(store, mail)
        issued = version(mail)
        with store.write() as unit:
            unit.versions.add(issued, b"key")
        with pytest.raises(StoreError), store.write() as unit:
            unit.versions.add(issued, b"other")
        with store.read() as unit:
            assert unit.versions.private_key(issued.id) == b"key"


class TestOrders:
    def test_one_is_kept_until_it_is_closed(self, store: Store) -> None:
        mail = managed()
        add(store, mail)
        with store.write() as unit:
            begun = unit.orders.begin(mail.id, "le", mail.fingerprint, b"csr", b"key", NOW)
        with store.write() as unit:
            assert unit.orders.get(mail.id) == begun
            assert begun.url is None
            unit.orders.set_url(mail.id, "https://ca.test/order/1")
        with store.write() as unit:
            found = unit.orders.get(mail.id)
            assert found
            assert (found.csr, found.url, found.created_at) == (b"csr", "https://ca.test/order/1", NOW)
            assert unit.orders.private_key(mail.id) == b"key"
            unit.orders.close(mail.id)
            unit.orders.close(mail.id)
            assert unit.orders.get(mail.id) is None
            assert unit.orders.private_key(mail.id) is None

    def test_there_is_at_most_one(self, store: Store) -> None:
        mail = managed()
        add(store, mail)
        with store.write() as unit:
            unit.orders.begin(mail.id, "le", "f", b"csr", None, NOW)
            with pytest.raises(StoreError, match="in flight already"):
                unit.orders.begin(mail.id, "le", "f", b"other", b"other", NOW)
            assert unit.orders.private_key(mail.id) is None

    def test_it_belongs_to_something(self, store: Store) -> None:
        with store.write() as unit:
            with pytest.raises(NotFound):
                unit.orders.begin("ghost", "le", "f", b"csr", None, NOW)
            with pytest.raises(NotFound):
                unit.orders.set_url("ghost", "https://ca.test/order/1")

    def test_version_order_and_event_come_together_or_not_at_all(self, store: Store) -> None:
        mail = managed()
        add(store, mail)
        with store.write() as unit:
            unit.orders.begin(mail.id, "le", "f", b"csr", b"key", NOW)

        def keep(*, fail: bool) -> None:
            with store.write() as unit:
                unit.versions.add(version(mail), unit.orders.private_key(mail.id))
                unit.orders.close(mail.id)
                unit.events.add(Event(kind=EventKind.CERTIFICATE_ISSUED, managed_id=mail.id, at=NOW, message="m"))
                if fail:
                    raise KeyError

        with pytest.raises(KeyError):
            keep(fail=True)
        with store.read() as unit:
            assert unit.managed.current(mail.id) is None
            assert unit.orders.private_key(mail.id) == b"key"
            assert unit.events.list() == []
        keep(fail=False)
        with store.read() as unit:
            current = unit.managed.current(mail.id)
            assert current
            assert unit.versions.private_key(current.id) == b"key"
            assert unit.orders.get(mail.id) is None
            assert [event.kind for _, event in unit.events.list()] == [EventKind.CERTIFICATE_ISSUED]


class TestRuns:
    def test_a_run_begins_and_ends(self, store: Store) -> None:
        run = Run(managed_id="m", kind=RunKind.DEPLOY, started_at=NOW)
        with store.write() as unit:
            unit.runs.start(run)
        with store.write() as unit:
            assert unit.runs.get(run.id) == run
            unit.runs.finish(run.id, Outcome.FAILED, "It broke.", LATER)
            ended = run.model_copy(update={"outcome": Outcome.FAILED, "message": "It broke.", "ended_at": LATER})
            assert unit.runs.get(run.id) == ended
            with pytest.raises(NotFound, match="no run 'ghost'"):
                unit.runs.get("ghost")

    def test_they_are_listed_newest_first(self, store: Store) -> None:
        runs = [Run(managed_id="ab"[n % 2], kind=RunKind.TEST, started_at=NOW) for n in range(4)]
        with store.write() as unit:
            for run in runs:
                unit.runs.start(run)
            assert unit.runs.list() == runs[::-1]
            assert unit.runs.list("a") == [runs[2], runs[0]]
            assert unit.runs.list("b", limit=1) == [runs[3]]

    def test_the_journal_can_be_followed_over_all_runs_or_in_one(self, store: Store) -> None:
        runs = [Run(id=name, managed_id="m", kind=RunKind.REQUEST, started_at=NOW) for name in ("one", "two")]
        told = [
            Entry(step=1, phase=Phase.START, title="Order"),
            Entry(step=2, parent=1, phase=Phase.NOTE, title="Nonce"),
            Entry(step=1, phase=Phase.END, title="Order", outcome=Outcome.DONE, detail="quick"),
        ]
        with store.write() as unit:
            for run in runs:
                unit.runs.start(run)
            said = [entry.model_copy(update={"run_id": run.id, "at": NOW}) for entry in told for run in runs]
            unit.runs.append(*said[:4])
            unit.runs.append(*said[4:])
        stored = [entry.model_copy(update={"sequence": number}) for number, entry in enumerate(said, 1)]
        with store.read() as unit:
            assert unit.runs.entries_after(0) == stored
            assert unit.runs.entries_after(2, limit=2) == stored[2:4]
            assert unit.runs.entries_after(2, "two") == [stored[3], stored[5]]
            assert unit.runs.entries("one") == [stored[0], stored[2], stored[4]]
            assert unit.runs.entries_after(6) == []

    def test_sequence_numbers_are_never_used_again(self, store: Store) -> None:
        run = Run(managed_id="m", kind=RunKind.REQUEST, started_at=NOW)
        with store.write() as unit:
            unit.runs.start(run)
            unit.runs.append(Entry(run_id=run.id, at=NOW, step=0, phase=Phase.NOTE, title="a"))
            (first,) = unit.runs.entries(run.id)
            unit.runs.connection.exec_driver_sql("DELETE FROM entries")
            unit.runs.append(Entry(run_id=run.id, at=NOW, step=0, phase=Phase.NOTE, title="b"))
            (second,) = unit.runs.entries(run.id)
        assert second.sequence > first.sequence

    def test_what_a_dead_process_left_open_is_closed(self, store: Store) -> None:
        mine = Run(managed_id="m", kind=RunKind.REQUEST, started_at=NOW)
        done = Run(managed_id="m", kind=RunKind.REQUEST, started_at=NOW)
        others = Run(managed_id="n", kind=RunKind.REQUEST, started_at=NOW)
        with store.write() as unit:
            for run in (mine, done, others):
                unit.runs.start(run)
            unit.runs.finish(done.id, Outcome.DONE, "", NOW)
            unit.runs.interrupt_dead("m", LATER)
            found = unit.runs.get(mine.id)
            assert (found.outcome, found.ended_at) == (Outcome.INTERRUPTED, LATER)
            assert unit.runs.get(done.id).outcome is Outcome.DONE
            assert unit.runs.get(others.id).outcome is None

    def test_an_entry_needs_its_run(self, store: Store) -> None:
        with pytest.raises(StoreError, match="refused"), store.write() as unit:
            unit.runs.append(Entry(run_id="ghost", at=NOW, step=0, phase=Phase.NOTE, title="a"))


class TestCredentials:
    ADMIN = Credential("exchange", "CONTOSO\\admin", "pä$$")

    def test_they_are_shown_without_their_password(self, store: Store) -> None:
        with store.write() as unit:
            unit.credentials.add("exchange", self.ADMIN)
            assert unit.credentials.get("exchange", "exchange") == self.ADMIN
            (info,) = unit.credentials.list()
        assert (info.name, info.kind, info.shown, info.used_by) == (
            "exchange",
            "exchange",
            {"username": "CONTOSO\\admin"},
            Users((), 0),
        )
        assert "pä$$" not in repr(info)

    def test_a_new_password_takes_the_place_of_the_old(self, store: Store) -> None:
        with store.write() as unit:
            unit.credentials.add("exchange", self.ADMIN)
            unit.credentials.add("exchange", Credential("exchange", "admin@contoso.com", "new"))
            assert unit.credentials.get("exchange", "exchange") == Credential("exchange", "admin@contoso.com", "new")
            assert len(unit.credentials.list()) == 1

    def test_a_name_is_of_one_kind(self, store: Store) -> None:
        with store.write() as unit:
            unit.credentials.add("exchange", self.ADMIN)
            with pytest.raises(ConfigurationError, match="'exchange' of the kind exchange already"):
                unit.credentials.add("pfx", Credential("exchange", "", "other"))
            assert unit.credentials.get("exchange", "exchange").password == "pä$$"

    def test_an_unknown_one_is_not_found_and_those_are_named_that_could_be_meant(self, store: Store) -> None:
        def named(look: Callable[[], object]) -> str:
            with pytest.raises(NotFound) as caught:
                look()
            return caught.value.hint

        with store.write() as unit:
            kept = unit.credentials
            assert named(lambda: kept.get("ghost", "exchange")) == "Credentials for this: none yet."
            kept.add("exchange", self.ADMIN)
            kept.add_typed("sign-in", "oidc", "contoso", {}, {})
            assert named(lambda: kept.get("ghost", "exchange")) == "Credentials for this: exchange."
            assert named(lambda: kept.typed("dns", "ghost")) == "Credentials for this: none yet."
            assert named(lambda: kept.typed("sign-in", "ghost")) == "Credentials for this: contoso."
            assert named(lambda: kept.remove("ghost")) == "Credentials for this: contoso, exchange."

    @pytest.mark.parametrize(
        ("fields", "user"),
        [
            ({"tasks": (exchange(credential="exchange"),)}, "'mail' (task 'Exchange')"),
            ({"tasks": (exchange(host_credential="exchange"),)}, "'mail' (task 'Exchange')"),
            ({"pfx_password_credential": "exchange"}, "'mail'"),
            (
                {
                    "validations": (
                        Validation(solver="dns", params={"credential": "exchange"}),
                        Validation(solver="dns", params={"credential": "exchange"}, names=(".contoso.com",)),
                    )
                },
                "'mail'",
            ),
        ],
    )
    def test_one_in_use_is_not_removed(self, store: Store, fields: dict[str, Any], user: str) -> None:
        mail = managed(**fields)
        add(store, mail)
        with store.write() as unit:
            unit.credentials.add("exchange", self.ADMIN)
            assert unit.credentials.list()[0].used_by == Users((user,), 0)
            with pytest.raises(ConfigurationError, match="is used by") as caught:
                unit.credentials.remove("exchange")
            assert user in caught.value.message
            unit.managed.remove(mail.id)
            unit.credentials.remove("exchange")
            assert unit.credentials.list() == []
            assert unit.secrets.find("credential:exchange") is None

    def test_many_users_are_counted(self, store: Store) -> None:
        for number in range(10, 22):
            add(store, managed(f"host{number}", tasks=(exchange(credential="exchange"),)))
        with store.write() as unit:
            unit.credentials.add("exchange", self.ADMIN)
            used_by = unit.credentials.list()[0].used_by
            assert (len(used_by.first), used_by.more) == (10, 2)
            with pytest.raises(ConfigurationError, match=r"is used by 'host\d\d' \(task 'Exchange'\), .*, and 2 more"):
                unit.credentials.remove("exchange")

    def test_a_parameter_of_the_same_value_is_no_use(self, store: Store) -> None:
        add(store, managed(tasks=(exchange(server="exchange"),)))
        with store.write() as unit:
            unit.credentials.add("exchange", self.ADMIN)
            unit.credentials.remove("exchange")


class TestAnswers:
    def test_they_are_there_until_they_are_taken_away(self, store: Store) -> None:
        with store.write() as unit:
            unit.answers.put("token", "token.one", NOW)
            unit.answers.put("token", "token.two", NOW)
        with store.write() as unit:
            assert unit.answers.get("token") == "token.two"
            assert unit.answers.get("TOKEN") is None
            unit.answers.remove("token")
            unit.answers.remove("token")
            assert unit.answers.get("token") is None

    def test_one_is_claimed_unless_another_is_there(self, store: Store) -> None:
        with store.write() as unit:
            assert unit.answers.claim("name", "one", NOW)
            assert unit.answers.claim("name", "one", LATER)
            assert not unit.answers.claim("name", "two", LATER)
            assert unit.answers.get("name") == "one"
            unit.answers.remove("name")
            assert unit.answers.claim("name", "two", LATER)

    def test_what_crashed_runs_left_expires(self, store: Store) -> None:
        with store.write() as unit:
            unit.answers.put("old", "old.x", NOW)
            unit.answers.put("new", "new.x", LATER)
            assert unit.answers.expire(LATER) == 1
            assert unit.answers.get("old") is None
            assert unit.answers.get("new") == "new.x"


class TestDeployments:
    def test_the_last_state_is_kept(self, store: Store) -> None:
        task = exchange()
        mail = managed(tasks=(task,))
        add(store, mail)
        row = ServedRow(
            server="EX01",
            service="IIS",
            address="127.0.0.1",
            port=443,
            protocol="https",
            verdict=Verdict.OK,
            before="ab",
        )
        begun = DeploymentState(task_id=task.id, managed_id=mail.id, version_id="v1", baseline=(row,))
        done = begun.model_copy(
            update={"stage": Stage.DEPLOYED, "served": (row, row), "updated_at": NOW, "message": "m"}
        )
        with store.write() as unit:
            assert unit.deployments.get(task.id) is None
            unit.deployments.save(begun)
            assert unit.deployments.get(task.id) == begun
            unit.deployments.save(done)
            assert unit.deployments.get(task.id) == done

    def test_those_that_wait_for_a_change_are_found(self, store: Store) -> None:
        tasks = (exchange(), exchange())
        mail = managed(tasks=tasks)
        add(store, mail)
        refused, other = (DeploymentState(task_id=task.id, managed_id=mail.id, stage=Stage.FAILED) for task in tasks)
        refused = refused.model_copy(update={"retryable": False})
        with store.write() as unit:
            for state in (refused, other.model_copy(update={"message": '"retryable":false'})):
                unit.deployments.save(state)
            assert unit.deployments.refused() == [refused]

    def test_a_task_remembers_json(self, store: Store) -> None:
        value = {"flags": ["IIS", "SMTP"], "n": 1, "none": None}
        with store.write() as unit:
            unit.deployments.memory_put("t", "before", value)
            unit.deployments.memory_put("t", "nothing", None)
            unit.deployments.memory_put("other", "before", 2)
        with store.write() as unit:
            assert unit.deployments.memory_get("t", "before") == value
            assert unit.deployments.memory_get("t", "nothing", "default") is None
            assert unit.deployments.memory_get("t", "missing", "default") == "default"
            unit.deployments.memory_put("t", "before", [])
            assert unit.deployments.memory_get("t", "before") == []
            unit.deployments.memory_clear("t")
            assert unit.deployments.memory_get("t", "before") is None
            assert unit.deployments.memory_get("other", "before") == 2

    def test_what_is_no_json_is_a_mistake(self, store: Store) -> None:
        with store.write() as unit, pytest.raises(TypeError):
            unit.deployments.memory_put("t", "k", NOW)


def test_events_can_be_followed(store: Store) -> None:
    happened = [
        Event(kind=kind, managed_id="m", at=NOW, message=f"{kind}.", run_id="r", version_id=None) for kind in EventKind
    ]
    with store.write() as unit:
        for event in happened:
            unit.events.add(event)
    with store.read() as unit:
        assert unit.events.list() == list(enumerate(happened, start=1))
        assert unit.events.list(after_sequence=2, limit=1) == [(3, happened[2])]
        assert unit.events.list(after_sequence=len(happened)) == []
