"""What Prometheus is told, read as Prometheus would."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from certwright.domain import certificates, limits
from certwright.domain.authorities import CATALOGUE
from certwright.domain.errors import Unreachable
from certwright.domain.identifiers import Identifier, parse_all
from certwright.domain.managed import CertificateVersion, Issuer, KeyForm, ManagedCertificate
from certwright.domain.watching import Seen, Watched
from certwright.engine.context import Engine
from certwright.engine.ledger import charges
from certwright.engine.status import judge_stale
from certwright.engine.tally import Tally
from certwright.server import metrics
from certwright.server.duties import Duties, Duty
from certwright.server.metrics import METRICS, Exposition
from certwright.server.readiness import Readiness
from unit.domain.workshop import Authority, ec_key

NOW, DAY = datetime(2026, 11, 22, 12, tzinfo=UTC), timedelta(days=1)


@pytest.fixture
def duties(engine: Engine) -> Duties:
    def fail(_: Engine) -> None:
        raise Unreachable("It is away.")

    return Duties(engine, (Duty("good", "A", DAY, lambda _: None), Duty("bad", "B", DAY, fail)))


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def exposition(engine: Engine, tally: Tally, duties: Duties) -> Exposition:
    return Exposition(engine, tally, [duties], Readiness(engine.store, tally))


def scrape(exposition: Exposition) -> dict[str, Metric]:
    told = exposition.text()
    assert told is not None
    return {metric.name: metric for metric in text_string_to_metric_families(told.decode())}


def values(metric: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels.values()): sample.value for sample in metric.samples}


def add(engine: Engine, title: str, days: float | None = None, due: timedelta | None = None) -> None:
    made = ManagedCertificate(title=title, identifiers=parse_all([f"{title}.contoso.com"]), issuer="le")
    with engine.store.write() as unit:
        unit.managed.add(made)
        unit.managed.set_next_check(made.id, NOW - due if due is not None else None)
        if days is None:
            return
        leaf = Authority("CA").certify("mail", ec_key(), start=NOW - 30 * DAY, lifetime=(30 + days) * DAY)
        unit.versions.add(
            CertificateVersion(
                managed_id=made.id,
                issuer="le",
                chain_pem=certificates.pem([leaf]).decode(),
                key_form=KeyForm.ELSEWHERE,
                fingerprint="f",
                issued_at=NOW,
            ),
            None,
        )


def watch(engine: Engine, title: str, days: float, failures: int = 0) -> None:
    leaf = Authority("CA").certify("shop", ec_key(), start=NOW - 30 * DAY, lifetime=(30 + days) * DAY)
    seen = Seen.of(certificates.CertificateFacts.of(leaf))
    with engine.store.write() as unit:
        unit.watches.add(Watched(title=title, seen=seen, since=NOW, looked_at=NOW, failures=failures), NOW)


def test_all_metrics_that_are_documented_are_told_and_no_other(engine: Engine, exposition: Exposition) -> None:
    add(engine, "mail", 5)
    watch(engine, "shop", 5)
    told = {name: metric for name, metric in scrape(exposition).items() if not name.startswith("process_")}
    assert told.keys() == METRICS.keys()
    for name, metric in told.items():
        assert metric.documentation == METRICS[name].meaning
        assert all(set(sample.labels) == set(METRICS[name].labels) for sample in metric.samples)


def test_certificates_are_counted_by_the_days_they_have_left(engine: Engine, exposition: Exposition) -> None:
    for title, days in (("a", -1), ("b", 0.5), ("c", 5), ("d", 6), ("e", 90), ("f", None)):
        add(engine, title, days)
    told = scrape(exposition)
    counts = {labels[0]: count for labels, count in values(told["certwright_certificates"]).items()}
    assert counts == {"expired": 1, "0-1": 1, "1-3": 0, "3-7": 2, "7-14": 0, "14-30": 0, "30+": 1, "none": 1}
    soonest = values(told["certwright_soonest_expiry_timestamp_seconds"])[()]
    assert soonest == pytest.approx((NOW - DAY).timestamp(), abs=60)


def test_what_is_watched_is_counted_as_what_is_managed(engine: Engine, exposition: Exposition) -> None:
    for title, days, failures in (("a", -1, 0), ("b", 5, 0), ("c", 300, 0), ("d", 300, 3)):
        watch(engine, title, days, failures)
    told = scrape(exposition)
    counts = {labels[0]: count for labels, count in values(told["certwright_watched"]).items()}
    assert counts == {"expired": 1, "0-1": 0, "1-3": 0, "3-7": 1, "7-14": 0, "14-30": 0, "30+": 2}
    healths = {labels[0]: count for labels, count in values(told["certwright_watched_health"]).items()}
    assert healths == {"critical": 1, "failing": 0, "attention": 2, "paused": 0, "renewing": 0, "ok": 1}
    soonest = values(told["certwright_watched_soonest_expiry_timestamp_seconds"])[()]
    assert soonest == pytest.approx((NOW - DAY).timestamp(), abs=60)


def test_managed_certificates_are_counted_by_health(engine: Engine, exposition: Exposition) -> None:
    add(engine, "a", 5)
    add(engine, "b", 90)
    add(engine, "c", 0.5)
    judge_stale(engine)
    healths = {
        labels[0]: count for labels, count in values(scrape(exposition)["certwright_certificates_health"]).items()
    }
    assert (healths["critical"], healths["attention"]) == (1, 1)
    assert sum(healths.values()) == 3


def test_no_series_is_added_by_a_certificate(engine: Engine, exposition: Exposition) -> None:
    add(engine, "first", 5)
    watch(engine, "first", 5)
    before = {name: len(metric.samples) for name, metric in scrape(exposition).items()}
    for number in range(20):
        add(engine, f"host{number}", 5 if number % 2 else None, due=timedelta(hours=number))
        watch(engine, f"host{number}", number)
    assert {name: len(metric.samples) for name, metric in scrape(exposition).items()} == before


def test_days_left_are_counted_seldom(engine: Engine, exposition: Exposition, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> float:
        return sum(values(scrape(exposition)["certwright_certificates"]).values())

    add(engine, "a", 5)
    assert counted() == 1
    add(engine, "b", 5)
    assert counted() == 1
    monkeypatch.setattr(metrics, "_SOONEST_SECONDS", 0.0)
    monkeypatch.setattr(metrics, "_SHARE", 0)
    fresh = metrics._Census()
    for expected in (2, 3):
        with engine.store.read() as unit:
            assert sum(fresh.read(unit, NOW).managed.days_left.values()) == expected
        add(engine, f"c{expected}", 5)


def test_what_is_due_and_since_when(engine: Engine, exposition: Exposition) -> None:
    add(engine, "a", due=timedelta(hours=1))
    add(engine, "b", due=timedelta(minutes=1))
    add(engine, "c", due=-timedelta(minutes=1))
    told = scrape(exposition)
    assert values(told["certwright_due"]) == {(): 2}
    assert values(told["certwright_lag_seconds"]) == {(): 3600}


def test_the_emptiest_bucket_of_each_limit_of_each_issuer_is_told(engine: Engine, exposition: Exposition) -> None:
    (authority,) = (a for a in CATALOGUE if a.name == "letsencrypt")
    issuer = Issuer(name="encrypt", kind="acme", params={"authority": "letsencrypt"})
    assert issuer.authority == authority
    with engine.store.write() as unit:
        unit.issuers.add(issuer, b"key")
        for names, orders in ((["a.contoso.com"], 3), (["b.fabrikam.com"], 5)):
            managed = ManagedCertificate(title="x", identifiers=tuple(map(Identifier.parse, names)), issuer="encrypt")
            for _ in range(orders):
                asked = charges(managed, issuer, None)
                unit.ledger.save(limits.taken(asked, unit.ledger.get(c.key for c in asked), NOW), NOW)
    told = scrape(exposition)
    left, most = values(told["certwright_limit_left"]), values(told["certwright_limit_most"])
    assert left.keys() == most.keys()
    assert left["encrypt", "orders"] == most["encrypt", "orders"] - 8
    assert left["encrypt", "registered-domain"] == most["encrypt", "registered-domain"] - 5


def test_duties_tell_when_they_were_done_and_how_often_they_failed(duties: Duties, exposition: Exposition) -> None:
    stop = threading.Event()
    doing = threading.Thread(target=duties.run, args=(stop,))
    doing.start()
    while not (duties.succeeded and duties.failures["bad"]):
        stop.wait(0.01)
    stop.set()
    doing.join()
    told = scrape(exposition)
    assert values(told["certwright_duty_timestamp_seconds"]) == {("good",): NOW.timestamp()}
    assert values(told["certwright_duty_failures"]) == {("good",): 0, ("bad",): 1}


def test_what_the_store_knows_is_left_out_while_it_cannot_be_read(engine: Engine, exposition: Exposition) -> None:
    with engine.store.write() as unit:
        unit.managed.connection.execute(text("ALTER TABLE managed RENAME TO elsewhere"))
    told = scrape(exposition)
    assert "certwright_due" not in told
    assert "certwright_running" in told


def test_one_scrape_at_a_time(exposition: Exposition) -> None:
    with exposition._lock:
        assert exposition.text() is None
    assert exposition.text()
