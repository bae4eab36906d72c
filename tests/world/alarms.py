"""A site whose certificates have events, and nothing else: what notifications are made from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from certwright.domain import certificates
from certwright.domain.events import Event, EventKind
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import CertificateVersion, Issuer, KeyForm, ManagedCertificate
from certwright.engine.channels import add_channel
from certwright.engine.context import Engine
from certwright.engine.notify import Attempt, deliver
from certwright.store.schema import managed
from unit.domain.workshop import Authority, ec_key
from world.site import Site

START = datetime(2026, 11, 4, 12, tzinfo=UTC)
OUTAGE = "The authority le does not answer: cannot connect."
EMAIL = "postmaster@contoso.test"


@dataclass
class Alarms:
    """The site's engine at the moment `now`, which tests move."""

    site: Site
    now: datetime = START
    engine: Engine = field(init=False)

    def certificates(self, *titles: str) -> list[str]:
        """Managed certificates, never issued and on no schedule; their ids."""
        made = [
            ManagedCertificate(title=title, identifiers=(Identifier.parse("mail.contoso.test"),), issuer="le")
            for title in titles
        ]
        rows = [{"id": c.id, "title": c.title, "issuer": c.issuer, "body": c, "revision": 1} for c in made]
        with self.engine.store.write() as unit:
            unit.managed.connection.execute(insert(managed), rows)  # ten thousand at once
        return [certificate.id for certificate in made]

    def issued(self, managed_id: str, *, days: int, lifetime: int = 90) -> None:
        """Give it a version that ends in so many days."""
        start = self.now + timedelta(days=days - lifetime)
        leaf = Authority("CA").certify("mail", ec_key(), start=start, lifetime=timedelta(days=lifetime))
        version = CertificateVersion(
            managed_id=managed_id,
            issuer="le",
            chain_pem=certificates.pem([leaf]).decode(),
            key_form=KeyForm.ELSEWHERE,
            fingerprint="f",
            issued_at=start,
        )
        with self.engine.store.write() as unit:
            unit.versions.add(version, None)

    def happen(self, kind: EventKind, *ids: str, message: str = OUTAGE, hint: str = "", times: int = 1) -> None:
        """Events, now."""
        with self.engine.store.write() as unit:
            for managed_id in ids * times:
                unit.events.add(Event(kind=kind, managed_id=managed_id, at=self.now, message=message, hint=hint))

    def channel(self, kind: str, name: str, **params: Any) -> None:
        """Store a channel, unchecked."""
        add_channel(self.engine, kind, name, params, checked=False)

    def deliver(self, after: timedelta = timedelta()) -> list[Attempt]:
        """Send what is due, a while later."""
        self.now += after
        return deliver(self.engine)

    def told(self, after: timedelta = timedelta()) -> Sequence[tuple[str, str]]:
        """As `deliver`: channel and subject of what got through."""
        return [(a.channel, a.subject) for a in self.deliver(after) if a.error is None]


@contextmanager
def alarms(folder: Path) -> Iterator[Alarms]:
    """A new site with an issuer; there is no authority behind it."""
    site = Site(folder).initialise()
    made = Alarms(site)
    with site.engine(now=lambda: made.now) as engine:
        made.engine = engine
        with engine.store.write() as unit:
            unit.issuers.add(Issuer(name="le", kind="acme", params={"email": EMAIL}), b"account key")
        yield made
