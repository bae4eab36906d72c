"""Keeps what is in use, before the first change of it that is served, so that it can be put back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from certwright.domain.deployment import Change, Plan
from certwright.domain.errors import DeploymentError
from certwright.exchange.deployment import changes, memory
from certwright.exchange.deployment.apply import Work, organisational
from certwright.exchange.deployment.connectors import all_of, title
from certwright.exchange.deployment.rollout import shown
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.model import Connector
from certwright.exchange.references import certificates_of
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.verification import sending
from certwright.exchange.verification.ports import Sight
from certwright.exchange.verification.verify import served_web_site
from certwright.sdk.context import Memory


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """What `plan` changes, as it is before that.

    `wish` and `snapshot` are what the plan was made from, `sights` what ports served then. It is kept in `store`.
    """

    plan: Plan
    work: Work
    wish: Wish
    snapshot: Snapshot
    sights: Sequence[Sight]
    store: Memory

    def keep_server(self, server: str) -> None:
        """Keep what `server` uses."""
        organisation, facts = self.work.organisation, self.wish.facts
        state = organisation.state(server)
        web_site = served_web_site(self.sights, server)
        before = memory.Before.of(state, web_site, organisation.session(server).protected())
        receive = [c for c in self.plan.changes if c.action == changes.SET_CONNECTOR["receive"] and c.target == server]
        own = self._unchanged(receive, state.connectors or ())
        if before.web_site and self.wish.left(server) is None:
            memory.record_web_site(self.store, server, before.web_site)
        memory.begin(self.store, facts, server, before, [memory.Named.of(c, state.certificates) for c in own])
        self.work.journal.note(f"{server}: before this {shown(state)}.")

    def keep_connectors(self, now: datetime) -> None:
        """Keep what connectors of the organisation name, and how their queues are."""
        work, facts = self.work, self.wish.facts
        current = organisational(work.organisation, work.servers) or ()
        owned = self._unchanged([c for c in self.plan.changes if c.action in changes.ORGANISATIONAL], current)
        sending.remember(self.store, work.organisation, self.snapshot, owned, facts.thumbprint, now)
        stored = certificates_of(self.snapshot)
        memory.begin_connectors(self.store, facts, [memory.Named.of(c, stored) for c in owned])
        told = [f"{c.identity or c.name} names {c.tls_certificate_name or 'no certificate'}" for c in owned]
        work.journal.note(f"Before this {'; '.join(told) or 'no connector is changed'}.")

    def _unchanged(self, planned: Sequence[Change], current: Sequence[Connector]) -> list[Connector]:
        """Those of `current` that are to be changed and name what they named when that was planned; others are left."""
        known, overtaken = all_of(self.snapshot), self.work.overtaken
        kept = []
        for change in planned:
            now, then = (changes.connector_of(change, connectors) for connectors in (current, known))
            if now is None:
                called = title(then) if then else changes.title(change)
                overtaken[change.typed] = DeploymentError(
                    f"{called} cannot be read now, so that nobody would know what to put back: it stays as it is."
                )
                continue
            if then is None or (now.tls_certificate_name or "") == (then.tls_certificate_name or ""):
                kept.append(now)
                continue
            overtaken[change.typed] = DeploymentError(
                f"{title(now)} names {now.tls_certificate_name or 'no certificate'} now: somebody else changed it "
                "since the plan was made, so it stays as it is."
            )
        return kept
