"""What dns-lexicon's providers do wrong is seen, mended or told: its own code for PowerDNS, before Debian's server."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError, SolverError, Unreachable
from certwright.engine import catalog
from certwright.lexicon import worker
from certwright.lexicon.worker import Failure, Job, Report
from certwright.sdk.dns import DnsProvider, TxtRecord
from peers.dns_lexicon__powerdns import LexiconFront, serve
from peers.dns_peer import ZONE, Fault
from world.dns_accounts import provider, reached

NAME = f"_acme-challenge.{ZONE}"
ONE, TWO = TxtRecord(NAME, "1" * 43), TxtRecord(NAME, "-" * 43)
Make = Callable[..., DnsProvider[Any]]


@pytest.fixture(scope="module")
def started() -> Iterator[LexiconFront]:
    with serve() as front:
        yield front


@pytest.fixture
def front(started: LexiconFront) -> LexiconFront:
    started.write(NAME, [])
    started.requests.clear()
    return started


@pytest.fixture
def make(front: LexiconFront) -> Iterator[Make]:
    with reached("lexicon:powerdns", front) as made:
        yield made


def test_a_record_that_was_removed_along_is_put_back(front: LexiconFront, make: Make) -> None:
    front.write(NAME, ["somebody else's", ONE.value, TWO.value])
    front.meddlers = [lambda: front.write(NAME, [])]
    make().remove(ZONE, [ONE])
    assert front.read(NAME) == sorted(["somebody else's", TWO.value])


def test_a_service_that_keeps_one_value_at_a_name_is_told(front: LexiconFront, make: Make) -> None:
    front.write(NAME, ["somebody else's"])
    front.meddlers = [lambda: front.write(NAME, [ONE.value])]
    with pytest.raises(SolverError) as raised:
        make().add(ZONE, [ONE, TWO])
    assert "too few are kept at a name" in "\n".join(raised.value.explain())
    assert front.read(NAME) == [ONE.value]


def test_what_the_service_does_not_list_is_told(
    front: LexiconFront, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_PAUSES", (0.0, 0.0))
    front.meddlers = [lambda: front.write(NAME, [])]
    with pytest.raises(SolverError) as raised:
        make().add(ZONE, [ONE])
    assert "does not list it" in "\n".join(raised.value.explain())


def test_a_record_that_is_there_is_not_written_again_nor_one_deleted_that_is_gone(
    front: LexiconFront, make: Make
) -> None:
    make().remove(ZONE, [ONE])
    make().add(ZONE, [ONE])
    front.requests.clear()
    make().add(ZONE, [ONE])
    make().remove(ZONE, [TWO])
    assert {request.method for request in front.requests} == {"GET"}


def test_it_works_in_a_process_of_its_own(front: LexiconFront) -> None:
    ours = provider("lexicon:powerdns", {**front.params, "per_second": 1000})
    assert ours.check() == f"dns-lexicon has signed in for the zone {ZONE}."
    ours.add(ZONE, [ONE, TWO])
    assert front.read(NAME) == sorted([ONE.value, TWO.value])
    ours.remove(ZONE, [ONE, TWO])
    assert front.read(NAME) == []
    with pytest.raises(SolverError, match="could not sign in"):
        provider("lexicon:powerdns", front.wrong_params).check()


def test_what_takes_too_long_is_ended(front: LexiconFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog.plugin("dns", "lexicon:powerdns").cls, "seconds", 0.01)
    monkeypatch.setattr(catalog.plugin("dns", "lexicon:powerdns").cls, "per_second", 1000)
    with pytest.raises(Unreachable) as raised:
        provider("lexicon:powerdns", front.params).check()
    assert "took longer than 0.015 s" in "\n".join(raised.value.explain())


def test_one_process_at_a_time_speaks_with_a_service(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    together = Barrier(2)

    def run(_job: Job, _seconds: float) -> Report:
        with suppress(BrokenBarrierError):
            together.wait(0.2)
            return Report(failure=Failure.OTHER, words="two were at work")
        return Report()

    monkeypatch.setattr(catalog.plugin("dns", "lexicon:powerdns").cls, "run", staticmethod(run))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: make().add(ZONE, [ONE]), range(2)))


def test_a_service_that_is_busy_is_asked_again_and_one_that_refuses_is_not(front: LexiconFront, make: Make) -> None:
    front.fail(Fault.UNAVAILABLE, 2)
    make().check()
    front.requests.clear()
    front.fail(Fault.FORBIDDEN, 5)
    with pytest.raises(SolverError):
        make().check()
    assert len(front.requests) == 1
    front.fail(Fault.BROKEN, 0)


def test_the_librarys_words_are_shown_without_the_secret(make: Make) -> None:
    with pytest.raises(SolverError) as raised:
        make(auth_token="geheim-\n4711 x").check()
    told = "\n".join(raised.value.explain())
    assert "InvalidHeader" in told
    assert "geheim" not in told
    assert "4711" not in told


def test_what_stands_behind_the_question_mark_of_an_address_is_not_shown(make: Make) -> None:
    with pytest.raises((SolverError, Unreachable)) as raised:
        make(pdns_server="http://127.0.0.1:1/?key=canary").check()
    assert "canary" not in "\n".join(raised.value.explain())


def test_without_a_zone_nothing_is_tried(make: Make) -> None:
    assert "no zone was given" in make(zone=None, pdns_server="http://127.0.0.1:1").check()


def test_what_a_provider_needs_beside_is_told_before_anything_is_done() -> None:
    with pytest.raises(ConfigurationError, match="needs boto3") as raised:
        provider("lexicon:route53", {})
    assert raised.value.hint == "pip install 'dns-lexicon[route53]'"
    assert "dns-lexicon[route53]" in catalog.plugin("dns", "lexicon:route53").page


def test_a_provider_that_breaks_in_any_way_is_reported() -> None:
    job = Job(provider="no_such", action="check", zone=ZONE, options={}, records=[(NAME, "")], per_second=4)
    assert worker.run(job, 60).failure is Failure.OTHER


def test_the_librarys_process_is_not_given_the_master_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = f"import os\nopen({str(tmp_path / 'seen')!r}, 'w').write(repr(dict(os.environ)))\n"
    (tmp_path / "sitecustomize.py").write_text(spy)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(":"))
    monkeypatch.setenv("CERTWRIGHT_MASTER_KEY", "the master key")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    worker.run(Job(provider="no_such", action="check", zone=ZONE, options={}, records=[], per_second=4), 60)
    seen = (tmp_path / "seen").read_text()
    assert "HTTPS_PROXY" in seen
    assert "the master key" not in seen
