"""Months of renewals: outages, a moved window, a lost DNS provider, and two nodes, one of which is killed each week.

`make soak` plays a whole year with many certificates; here it is shortened.
"""

import base64
import os
import random
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509

from certwright.acme_server import AcmeServer, AcmeServerConfig
from certwright.acme_server.config import CaConfig, Profile
from certwright.acme_server.resources import IssuedCertificate
from certwright.domain.events import EventKind
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import Validation
from certwright.engine.credentials import store_credential
from certwright.engine.material import version_facts
from peers.acme_server import loopback_config
from peers.bind import World, bind_world
from peers.ports import free_port
from world.processes import Running, start
from world.site import ISSUER, Authority, Site, describe, register
from world.year import ASKED_EVERY, THREADS, Clock, live

pytestmark = pytest.mark.e2e
WHOLE = "SOAK" in os.environ
CERTIFICATES, DAYS = (1000, 365) if WHOLE else (6, 70)
SEED = int((os.environ.get("SOAK") or "1").split()[0])
BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY
CONFIG = AcmeServerConfig(
    ca=CaConfig(profiles={"days45": Profile(description="45 days", lifetime=timedelta(days=45))}),
    renewal_info_retry_after=int(ASKED_EVERY.total_seconds()),
)
OUTAGES = (4, 21)
"""Weeks at whose end the authority is away for three days; in the first of them all become due."""
MOVED, LOST = 5, 8
"""The week before which the authority wants a third renewed at once, and that in which the DNS provider refuses us."""
ZONE, TOGETHER = "contoso.test", 60
"""So many names have one registered domain, and every third of these is proved by DNS; each other name has its own."""
ORDERS, ORDERS_SPAN = 300, timedelta(hours=3)
PER_DOMAIN, DOMAIN_SPAN = 50, WEEK
"""What Let's Encrypt allows, as whom the authority is known."""
ROUNDED = 0.01
"""Of one of them: certificates know whole seconds."""


@dataclass(frozen=True)
class House:
    """An installation, its authority and its DNS, in simulated time."""

    site: Site
    clock: Clock
    ca: Authority
    world: World

    def know_us(self, *, well: bool) -> None:
        """Let the DNS provider take what we write, or not."""
        key = self.world.key
        secret = key.secret if well else base64.b64encode(bytes(32)).decode()
        values = {"server": self.world.primary, "key_name": key.name, "key": secret, "algorithm": key.algorithm}
        with self.site.engine(now=self.clock) as engine:
            store_credential(engine, "rfc2136", "dns", values, checked=well)

    def describe(self) -> list[ManagedCertificate]:
        """All certificates."""
        by_dns = Validation(challenge="dns-01", solver="dns", params={"credential": "dns"})
        with self.site.engine(now=self.clock) as engine:
            return [
                describe(
                    engine,
                    self.ca,
                    f"host{number}.{ZONE}" if number < TOGETHER else f"host.site{number}.test",
                    validation=by_dns if is_by_dns(number) else self.ca.validation,
                )
                for number in range(CERTIFICATES)
            ]

    def ends(self) -> dict[str, datetime | None]:
        """When the present version of each ends."""
        with self.site.engine(now=self.clock) as engine, engine.store.read() as unit:
            found = [(one.title, unit.managed.current(one.id)) for one in unit.managed.list()]
        return {title: version_facts(version).not_after if version else None for title, version in found}

    def pass_time(self, until: datetime, chance: random.Random) -> None:
        """Live until then; the first node is killed on the way and begun again, the other goes on."""

        def node(number: int, entries: int) -> Running:
            arguments = str(self.site.folder), self.world.resolver, until.timestamp(), number, entries
            return start(live, *arguments, folder=self.site.folder, environment=self.site.environment)

        other = node(1, 0)
        deaths = [chance.randint(5, 60), 0]
        while self.clock() < until:
            ended = node(0, deaths.pop(0)).wait(3600)
            assert ended.code in (0, -signal.SIGKILL), ended.told
        ended = other.wait(3600)
        assert ended.code == 0, ended.told

    @contextmanager
    def away(self) -> Iterator[None]:
        """The authority cannot be reached."""
        with self.site.engine(now=self.clock) as engine:
            with engine.store.read() as unit:
                issuer = unit.issuers.get(ISSUER)
            for params in ({**issuer.params, "directory": f"https://127.0.0.1:{free_port()}/directory"}, issuer.params):
                with engine.store.write() as unit:
                    unit.issuers.update(issuer.model_copy(update={"params": params}))
                if params is not issuer.params:
                    yield


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = Clock(tmp_path / "clock", BEGIN)
    with bind_world() as world:
        world.zone(ZONE)
        loopback = loopback_config(CONFIG)
        loopback = replace(loopback, validation=replace(loopback.validation, resolver=world.resolver))
        with AcmeServer(loopback, clock=clock) as server:
            ca = Authority(server, loopback.validation.http_port, loopback.validation.tls_port)
            site = Site(tmp_path, (world.resolver,)).initialise()
            register(site, ca, authority="letsencrypt")
            made = House(site, clock, ca, world)
            made.know_us(well=True)
            yield made


def is_by_dns(number: int) -> bool:
    """Whether this one is proved by DNS."""
    return number < TOGETHER and number % 3 == 0


def least_left(moments: Iterable[datetime], most: int, span: timedelta) -> float:
    """How much was left at worst in a bucket of so many that is full again within `span`, as Let's Encrypt counts."""
    left, worst, last = float(most), float(most), datetime.min.replace(tzinfo=UTC)
    for moment in sorted(moments):
        left = min(most, left + most * ((moment - last) / span)) - 1
        worst, last = min(worst, left), moment
    return worst


@pytest.mark.timeout(6 * 3600 if WHOLE else 300)
def test_nothing_expires_and_nothing_is_asked_for_twice(house: House) -> None:
    chance = random.Random(SEED)
    every, server = house.describe(), house.ca.server
    moved: set[bytes] = set()
    for week in range(DAYS // 7):
        now = BEGIN + (week + 1) * WEEK
        if week == MOVED:
            for last in server.issued[-CERTIFICATES:][::3]:
                moved.add(last.certificate.tbs_certificate_bytes)
                begun = now - 2 * WEEK
                server.set_renewal_window(last.certificate, begun, now - WEEK, "https://ca.contoso.test/incident")
        house.know_us(well=week != LOST)
        if week in OUTAGES:
            house.pass_time(now - 4 * DAY, chance)
            with house.away():
                house.pass_time(now - DAY, chance)
        house.pass_time(now, chance)
        ends = house.ends()
        assert all(end > now for end in ends.values() if end), (week, ends)
        assert None not in ends.values() or week == 0, "only the authority's limit keeps some waiting at first"
    issued = list(server.issued)
    with house.site.engine(now=house.clock) as engine, engine.store.read() as unit:
        told = [event for _, event in unit.events.list(limit=1_000_000)]
    failed = [event for event in told if event.kind is EventKind.ISSUANCE_FAILED]
    lost = {e.managed_id for e in failed if BEGIN + LOST * WEEK <= e.at < BEGIN + (LOST + 1) * WEEK}
    assert lost
    assert lost <= {one.id for number, one in enumerate(every) if is_by_dns(number)}
    assert any(event.kind is EventKind.RENEWAL_MOVED and "incident" in event.message for event in told)
    by_name: dict[str, list[x509.Certificate]] = {}
    for each in issued:
        by_name.setdefault(each.identifiers[0].value, []).append(each.certificate)
    for mine in by_name.values():
        for first, second in pairwise(mine):
            age = second.not_valid_before_utc - first.not_valid_before_utc
            assert age > timedelta(days=45) / 2 or first.tbs_certificate_bytes in moved, "asked for twice"
    orders = list(server.state.orders.values())
    orphans = [order for order in orders if order.certificate_id is None]
    assert len(orphans) <= len(failed) + DAYS // 7 * 3 * THREADS, "only a failure or a kill leaves an order behind"
    counted = [order.expires - CONFIG.order_lifetime for order in orders if order.replaces is None]
    assert least_left(counted, ORDERS, ORDERS_SPAN) > -ROUNDED
    together = [e.certificate.not_valid_before_utc for e in issued if e.replaces is None and is_together(e)]
    assert least_left(together, PER_DOMAIN, DOMAIN_SPAN) > -ROUNDED


def is_together(one: IssuedCertificate) -> bool:
    """Whether it is for the registered domain that many have."""
    return one.identifiers[0].value.endswith(f".{ZONE}")
