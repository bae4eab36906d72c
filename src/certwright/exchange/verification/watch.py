"""Looks at the ports of one deployment, wave by wave and at the end, and says what is wrong there."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography import x509

from certwright.domain.deployment import Change, PortKey, ServedRow, Verdict
from certwright.domain.errors import CertwrightError, DeploymentError
from certwright.exchange.deployment.announced import Unannounced, unannounced
from certwright.exchange.deployment.apply import Left
from certwright.exchange.deployment.changes import (
    RESTART,
    SET_CONNECTOR,
    SET_NAME,
    TRANSPORT_SERVICES,
    imports_issuers,
    names_of,
)
from certwright.exchange.deployment.memory import Deployment
from certwright.exchange.deployment.situation import Situation, replaced, stored, with_replaced
from certwright.exchange.deployment.undo import IRREVOCABLE
from certwright.exchange.deployment.wish import Wish, requested_services
from certwright.exchange.model import MAIL_ACCESS, SUPPORTED, Connector, Service
from certwright.exchange.verification import verify
from certwright.exchange.verification.chains import Gap, gap, told
from certwright.exchange.verification.ports import Port, Sight, asked, look, of, row

_SET_RECEIVE = SET_CONNECTOR["receive"]


@dataclass(slots=True)
class Watch:
    """What is looked at, and what is known of it.

    `before` is what ports served at first. `requested` are the services that get the certificate, `unannounced` servers
    whose SMTP may go on serving another one, both by server. `moved` are servers on which mail services are assigned to
    the certificate, `restarted` and `left` what was restarted, and what failed and is left for a person. `aside` are
    servers that stay as they are for now, so that a balancer may show either. `issuers` were imported with the
    certificate, `seen` is told of each port as it is looked at, `gaps` are those that were seen to send it without
    them.
    """

    ports: tuple[Port, ...]
    name: str
    sha256: str
    now: Callable[[], datetime]
    patience: verify.Patience
    before: verify.Before = field(default_factory=dict)
    requested: Mapping[str, Service | None] = field(default_factory=dict)
    unannounced: Mapping[str, Unannounced] = field(default_factory=dict)
    connectors: tuple[Connector, ...] = ()
    moved: set[str] = field(default_factory=set)
    restarted: list[Change] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    aside: set[str] = field(default_factory=set)
    issuers: tuple[x509.Certificate, ...] = ()
    seen: Callable[[ServedRow], None] = lambda _: None
    gaps: dict[PortKey, Gap] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[Port, ...]:
        """The ports that are to serve the certificate, or must not change."""
        every = asked(self.ports, self.requested)
        return tuple(p for p in every if p.server not in self.aside and not (p.shared and self.aside))

    def add(self, further: Sequence[Port]) -> tuple[ServedRow, ...]:
        """Watch further ports, too; what they serve at this moment is what they served before."""
        known = {port.key for port in self.ports}
        new = tuple(port for port in further if port.key not in known)
        self.ports += new
        rows = verify.baseline(self.look(new), self.now())
        self.before = {**verify.before_of(rows), **self.before}
        return rows

    def learn(self, found: Situation, wish: Wish) -> None:
        """Know what each server is to serve once `wish` is fulfilled, and on which mail services have moved already."""
        states, earlier = found.snapshot.servers, stored(found, replaced(found, wish))
        self.connectors = found.snapshot.connectors
        self.requested = {s.server: requested_services(s, with_replaced(wish, s, found)) for s in states}
        ours = {state.server: state.certificate(wish.facts.thumbprint) for state in states}
        self.moved |= {s for s, c in ours.items() if c and c.services and c.services & IRREVOCABLE}
        plain = {state.server: unannounced(state, wish, earlier) for state in states}
        self.unannounced = {server: one for server, one in plain.items() if one}

    def look(self, chosen: Sequence[Port] | None = None) -> list[Sight]:
        """What ports serve now."""
        return look(self.ports if chosen is None else chosen, self.name, heard=self._heard)

    def settle(self, chosen: Sequence[Port]) -> list[ServedRow]:
        """The verdicts on these ports, once nothing is wrong or patience has ended."""
        return verify.settle(chosen, self.name, self.judge, self.patience, self._may_follow, self._heard)

    def settle_undone(self, deployment: Deployment | None, kept: Service | None) -> list[ServedRow]:
        """The verdicts after an undo of `deployment`, None if nothing had been begun.

        `kept` are the services that may go on serving the certificate; without them the undo is not complete, and
        nothing is waited for.
        """
        sha256 = deployment.sha256 if deployment else self.sha256
        done = deployment.settled if deployment else ()

        def judge(sights: Sequence[Sight]) -> list[ServedRow]:
            back = [sight for sight in sights if sight.port.server not in done]
            stays = [sight for sight in sights if sight.port.server in done]
            now = self.now()
            rows = verify.judge_undone(back, self.before, sha256, kept or IRREVOCABLE, now)
            return [*rows, *verify.judge_undone(stays, self.before, sha256, SUPPORTED, now)]

        def heard(sight: Sight) -> None:
            for judged in judge([sight]):
                self.seen(judged)

        patience = self.patience if kept or not deployment else verify.Patience(total=0)
        looked_at = [port for port in self.ports if not (port.shared and done)]
        return verify.settle(looked_at, self.name, judge, patience, heard=heard)

    def judge(self, sights: Sequence[Sight]) -> list[ServedRow]:
        """The verdicts on what was seen."""
        for sight in sights:
            self.gaps.pop(sight.port.key, None)
            if found := gap(sight, self.sha256, self.issuers):
                self.gaps[sight.port.key] = found
        rows = verify.judge(sights, self.before, self.sha256, self.now(), self.unannounced, self.connectors)
        return [told(row, self.gaps.get(row.key)) for row in rows]

    def _heard(self, sight: Sight) -> None:
        """Tell of a port by itself; what others show beside it is judged when all are seen."""
        for judged in verify.judge([sight], self.before, self.sha256, self.now(), self.unannounced):
            self.seen(judged)

    def awaited(self, chosen: Sequence[Port], rows: Sequence[ServedRow]) -> list[Port] | None:
        """Ports that only a person can bring up to date; None if anything else is wrong."""
        return verify.awaited_restarts(chosen, rows, self._is_current, self._awaits_transport)

    def wrong(self, servers: Collection[str]) -> dict[str, CertwrightError]:
        """What is wrong on servers that have changed, by server; what a person has to complete is not."""
        chosen = of(self.asked, servers)
        rows = self.settle(chosen)
        found: dict[str, CertwrightError] = {}
        for server in servers:
            own = of(chosen, [server])
            verdicts = [row for row in rows if row.server == server]
            if self.awaited(own, verdicts) is None:
                failed = [row for row in verdicts if row.verdict.is_failure]
                found[server] = DeploymentError(
                    f"{len(failed)} of {len(verdicts)} ports of {server} do not serve the new certificate.",
                    causes=[row.summary for row in failed],
                )
        return found

    def is_stale(self, change: Change) -> bool | None:
        """Whether the services that `change` restarts serve another certificate; None if POP or IMAP is not seen.

        For one that imports issuers: whether a port of the server sends the certificate without them; None if none is
        seen to send it. SMTP switches by itself after a while, and so may a chain: it is waited for, but not as long as
        for all.
        """
        if imports_issuers(change):
            chains = self._patiently(of(self.ports, [change.target]), self._judge_chains)
            return any(row.verdict is Verdict.STALE for row in chains) if chains else None
        chosen = [port for port in self.ports if restarts(change, port)]
        if names_of(change) != TRANSPORT_SERVICES:
            return verify.is_stale(self.look(chosen), self.sha256)
        return any(row.verdict is Verdict.STALE for row in self._patiently(chosen, self.judge))

    def _patiently(self, chosen: Sequence[Port], judge: Callable[[list[Sight]], list[ServedRow]]) -> list[ServedRow]:
        hurried = replace(self.patience, total=self.patience.total / 5)
        return verify.settle(chosen, self.name, judge, hurried)

    def _judge_chains(self, sights: Sequence[Sight]) -> list[ServedRow]:
        """A row for each port that serves the certificate; it is stale without the issuers."""
        seen = [sight for sight in sights if sight.leaf and sight.leaf.sha256 == self.sha256]
        lacking = {s.port.key for s in seen if gap(s, self.sha256, self.issuers)}
        verdicts = dict.fromkeys(lacking, Verdict.STALE)
        return [row(s, None, verdicts.get(s.port.key, Verdict.OK), self.now()) for s in seen]

    def _may_follow(self, port: Port) -> bool:
        return port.service not in MAIL_ACCESS or self._is_current(port)

    def _is_current(self, port: Port) -> bool:
        """Whether the port's service was restarted with the settings it is to have."""
        naming = (port.server, SET_NAME.get(port.service))
        unset = any((one.change.target, one.change.action) == naming for one in self.left)
        return not unset and any(restarts(change, port) for change in self.restarted)

    def _awaits_transport(self, port: Port) -> bool:
        """Whether SMTP has the certificate as Exchange tells, and a person still has something to do for it.

        Transport was not restarted since, or a receive connector could not be set: that one goes on with the earlier
        certificate, which it would do after an undo as well.
        """
        unset = any((one.change.target, one.change.action) == (port.server, _SET_RECEIVE) for one in self.left)
        is_assigned = port.service is Service.SMTP and port.server in self.moved
        return is_assigned and (unset or not any(restarts(change, port) for change in self.restarted))


def restarts(change: Change, port: Port) -> bool:
    """Whether `change` restarts what answers on `port`."""
    return (
        change.action == RESTART
        and change.target == port.server
        and names_of(change) == verify.RESTARTS.get(port.service)
    )
