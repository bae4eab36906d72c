"""Months of renewals: outages, a moved window, a lost way of proof, and two nodes, one of which is killed each week.

`make soak` plays a whole year with many certificates; here it is shortened.
"""

import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.acme_server.config import CaConfig, Profile
from certwright.domain.certificates import CertificateFacts, load_certificates
from certwright.domain.events import EventKind
from certwright.domain.managed import ManagedCertificate
from certwright.engine.context import Engine
from certwright.engine.validations import put_validation
from peers.acme_server import loopback_config
from peers.ports import free_port
from world.processes import Running, start
from world.site import ISSUER, Authority, Site, describe, register
from world.year import Clock, live

pytestmark = pytest.mark.e2e
WHOLE = "SOAK" in os.environ
CERTIFICATES, DAYS = (1000, 365) if WHOLE else (6, 63)
SEED = int((os.environ.get("SOAK") or "1").split()[0])
BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY
CONFIG = AcmeServerConfig(
    ca=CaConfig(profiles={"days45": Profile(description="45 days", lifetime=timedelta(days=45))}),
    renewal_info_retry_after=12 * 3600,
)


def expiry(engine: Engine, managed: ManagedCertificate) -> datetime | None:
    with engine.store.read() as unit:
        version = unit.managed.current(managed.id)
    return CertificateFacts.of(load_certificates(version.chain_pem.encode())[0]).not_after if version else None


def pass_time(site: Site, clock: Clock, until: datetime, chance: random.Random) -> None:
    """Live until then; the first node is killed on the way and begun again, the other goes on."""

    def node(number: int, entries: int) -> Running:
        arguments = str(site.folder), until.timestamp(), number, entries
        return start(live, *arguments, folder=site.folder, environment=site.environment)

    other = node(1, 0)
    deaths = [chance.randint(5, 60), 0]
    while clock() < until:
        ended = node(0, deaths.pop(0)).wait(3600)
        assert ended.code in (0, -signal.SIGKILL), ended.told
    ended = other.wait(3600)
    assert ended.code == 0, ended.told


@contextmanager
def away(site: Site, clock: Clock) -> Iterator[None]:
    """The authority cannot be reached."""
    with site.engine(now=clock) as engine:
        with engine.store.read() as unit:
            issuer = unit.issuers.get(ISSUER)
        for params in ({**issuer.params, "directory": f"https://127.0.0.1:{free_port()}/directory"}, issuer.params):
            with engine.store.write() as unit:
                unit.issuers.update(issuer.model_copy(update={"params": params}))
            if params is not issuer.params:
                yield


@pytest.mark.timeout(6 * 3600 if WHOLE else 300)
def test_nothing_expires_and_nothing_is_asked_for_twice(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    clock = Clock(tmp_path / "clock", BEGIN)
    loopback = loopback_config(CONFIG)
    with AcmeServer(loopback, clock=clock) as server:
        ca = Authority(server, loopback.validation.http_port, loopback.validation.tls_port)
        site = Site(tmp_path).initialise()
        register(site, ca)
        with site.engine(now=clock) as engine:
            every = [describe(engine, ca, f"host{number}.contoso.test") for number in range(CERTIFICATES)]
        moved: set[bytes] = set()
        now = BEGIN
        for week in range(DAYS // 7):
            now = BEGIN + (week + 1) * WEEK
            with site.engine(now=clock) as engine:
                if week == 5:  # it wants a third of them renewed at once
                    for last in server.issued[-CERTIFICATES:][::3]:
                        moved.add(last.certificate.tbs_certificate_bytes)
                        server.set_renewal_window(
                            last.certificate, now - 2 * WEEK, now - WEEK, "https://ca.contoso.test/incident"
                        )
                if week in (6, 7):  # one cannot be proved for a week
                    way = ca.validation if week == 7 else ca.validation.model_copy(update={"params": {"port": 1}})
                    put_validation(engine, every[0].id, way)
            if week == 4:
                with away(site, clock):
                    pass_time(site, clock, now - 4 * DAY, chance)
            pass_time(site, clock, now, chance)
            with site.engine(now=clock) as engine:
                ends = {managed.title: expiry(engine, managed) for managed in every}
            assert all(end and end > now for end in ends.values()), (week, ends)
        issued = list(server.issued)
        with site.engine(now=clock) as engine, engine.store.read() as unit:
            told = [event for _, event in unit.events.list(limit=100_000)]
    by_name: dict[str, list[CertificateFacts]] = {}
    for each in issued:
        facts = CertificateFacts.of(each.certificate)
        by_name.setdefault(str(facts.names[0]), []).append(facts)
    early = [
        (name, second.not_before)
        for name, mine in by_name.items()
        for first, second in pairwise(mine)
        if (second.not_before - first.not_before) < first.lifetime / 2
    ]
    assert len(early) <= len(moved), early
    assert any(event.kind is EventKind.RENEWAL_MOVED for event in told)
    assert any("incident" in event.message for event in told if event.kind is EventKind.RENEWAL_MOVED)
