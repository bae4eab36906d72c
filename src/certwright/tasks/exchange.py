"""Microsoft Exchange: imports the certificate on every server and assigns it to IIS, SMTP, IMAP and POP.

The task reads first and shows what it will do. It imports the certificate everywhere before anything uses it. Then one
server changes and is looked at, then the others in waves: the web sites are bound, the mail services assigned, receive
connectors follow, and the certificate that servers use among themselves is kept. Send connectors and the hybrid
configuration follow last. If a port does not serve the new certificate, what can be taken back is taken back.

It needs Exchange 2013 or later, its remote PowerShell, and an account with the role group Organization Management
(Server Management works too, but cannot read or change send connectors).
"""

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Finding, Inspection, Plan, ServedRow, failures
from certwright.domain.errors import CertwrightError, ConfigurationError, DeploymentError, NeedsPerson, Unreachable
from certwright.domain.formats import intermediates
from certwright.exchange import addresses
from certwright.exchange.access.organisation import Organisation, connect
from certwright.exchange.deployment import changes, memory, undo
from certwright.exchange.deployment.apply import Work, import_secrets, organisational
from certwright.exchange.deployment.outstanding import completed, outstanding
from certwright.exchange.deployment.plan import chosen, left_out, make_plan, workable
from certwright.exchange.deployment.rehearse import rehearse
from certwright.exchange.deployment.restore_point import RestorePoint
from certwright.exchange.deployment.rollout import Hooks, carry_out_plan
from certwright.exchange.deployment.situation import Situation
from certwright.exchange.deployment.waves import Order
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.discovery.discover import discover, listed
from certwright.exchange.judgement import drift
from certwright.exchange.judgement.checks import Context
from certwright.exchange.model import Service
from certwright.exchange.settings import Settings
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.verification import balancers, chains, evidence, ports, sending, verify
from certwright.exchange.verification.watch import Watch
from certwright.remoting.psrp import Limits, Parameter
from certwright.sdk.task import Task


class Exchange(Task[Settings]):
    """The task. `limits` and `patience` bound how long Exchange may take to answer and its ports to follow."""

    Params = Settings
    limits = Limits()
    patience = verify.Patience()
    pauses: tuple[float, ...] = (1, 4)
    _sights: list[ports.Sight] | None = None
    _kept: Service | None = None
    _snapshot: Snapshot = Snapshot(())
    _found: Snapshot = Snapshot(())
    _findings: tuple[Finding, ...] = ()
    _left_out: tuple[str, ...] = ()

    @classmethod
    def destinations(cls, params: Settings) -> frozenset[str]:
        """Each server's PowerShell."""
        return params.destinations

    @property
    def organisations(self) -> tuple[str, ...]:
        """The domains that the servers are in."""
        return self.params.organisations

    def identify(self) -> tuple[str, ...]:
        """The domains of all servers that Exchange lists: every task of the organisation has these in common."""
        with self.context.journal.step("Ask which organisation this is"), self._organisation() as organisation:
            _, servers = listed(organisation, self.params.servers)
        return tuple(sorted(addresses.domains(servers)))

    def baseline(self) -> tuple[ServedRow, ...]:
        """What each port serves before anything is done."""
        self._sights = self._watch.look()
        rows = verify.baseline(self._sights, self.context.now())
        self._watch.before = verify.before_of(rows)
        return rows

    def plan(self) -> Plan:
        """What has to be done on each server."""
        sights = self._sights if self._sights is not None else self._watch.look()
        served = verify.served(sights, self._watch.sha256, self._watch.issuers)
        begun = memory.load(self.context.memory)
        with self._organisation() as organisation:
            wanted = (self.context.material.facts.thumbprint,)
            snapshot = discover(organisation, self.params.servers, self.context.journal, deployed=wanted)
        found = Situation(snapshot, begun, served, memory.web_sites(self.context.memory))
        self._learn(found)
        self._watch_edges(snapshot)
        rows = verify.baseline(sights, self.context.now())
        known = replace(found, snapshot=snapshot.knowing(self.context.revoked()))
        made = make_plan(known, self._wish, self.context.now(), replace(self._known, rows=rows))
        self._findings = made.findings
        self._left_out = left_out(found, self._wish, self.context.now(), self._others)
        unseen = self._unseen(rows, {change.target for change in made.changes})
        told = evidence.findings(unseen, self._known.certificate, attended=self.context.attended)
        return made.model_copy(update={"findings": (*told, *made.findings)})

    def rehearse(self, plan: Plan) -> tuple[Finding, ...]:
        """What Exchange says to each change when it is asked with -WhatIf."""
        with self._organisation() as organisation:
            work = self._work(organisation, import_secrets(plan, self.context.material, self._wish.friendly_name))
            return rehearse(plan, work, self._snapshot.rights)

    def apply(self, plan: Plan) -> None:
        """Do what `plan` says."""
        self._resume_baseline()
        with self._organisation() as organisation:
            work = self._work(organisation, import_secrets(plan, self.context.material, self._wish.friendly_name))
            carry_out_plan(plan, work, self._hooks(plan, work))
            led = any(change.action in changes.ORGANISATIONAL for change in plan.changes)
            followed = organisational(organisation, work.servers) if led else None
            self._snapshot = drift.after(self._snapshot, work.states, followed)

    def verify(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        """What each port serves now.

        Raises:
            NeedsPerson: if all is done but for what a person has to do, or a later run on servers that were away.
        """
        watch = self._watch
        watch.before = {**watch.before, **verify.before_of(baseline)}
        watch.aside = {*self._away, *self._alone, *self._others}
        if not watch.asked:
            self.context.journal.note("No port was looked at: the parameter verify leaves none for these services.")
        watch.gaps.clear()
        rows = watch.settle(watch.asked)
        restarts = watch.awaited(watch.asked, rows)
        if restarts is None:
            return tuple(rows)
        sent = self._sent()
        if failures(sent):
            return (*rows, *sent)
        if not watch.left and not self._alone:
            memory.keep_done(self.context.memory, watch.aside)
            self._finish(watch.aside)
        self._leave(rows)
        error = outstanding(
            self.context.certificate_title,
            left=watch.left,
            restarts=restarts,
            copies=balancers.own_copies(watch.asked, rows, self._earlier),
            gaps=watch.gaps.values(),
            unseen=[one for one in self._unseen(rows, set(self.params.servers) - watch.aside) if one.places],
            away=self._away,
            failed=self._alone,
            others=self._left_out,
            findings=self._findings,
        )
        if error:
            raise error
        memory.forget_web_sites(self.context.memory)
        return (*rows, *sent)

    def inspect(self) -> Inspection:
        """What each port serves now, with the verdict for this version, and what differs from what was deployed."""
        seen = self.baseline()
        watch, last = self._watch, drift.kept(self.context.memory)
        watch.before = {**watch.before, **dict(last.served if last else ())}
        sights = self._sights or []
        try:
            with self._organisation() as organisation:
                found = discover(organisation, self.params.servers, self.context.journal, details=False)
                followed = organisational(organisation, self.params.servers)
        except (Unreachable, DeploymentError) as failure:
            judged = tuple(watch.judge(sights))
            unread = drift.unread(failure, self._known.certificate)
            return Inspection(rows=judged, seen=seen, findings=(*self._not_seen(judged, self.params.servers), unread))
        snapshot = drift.after(found, {}, followed)
        store = self.context.memory
        self._learn(Situation(snapshot, memory.load(store), web_sites=memory.web_sites(store)))
        asked = {port.key for port in watch.asked}
        rows = watch.judge([sight for sight in sights if sight.port.key in asked])
        return Inspection(
            rows=tuple(rows),
            seen=(*seen, *self._watch_edges(snapshot)),
            findings=(
                *(drift.drift(snapshot, last, sights, title=self.context.certificate_title) if last else ()),
                *self._not_seen(rows, set(self.params.servers) - self._away.keys()),
                *chains.findings(watch.gaps.values(), self.context.certificate_title),
            ),
        )

    def plan_undo(self) -> Plan:
        """What takes back what was deployed and verified last, server by server."""
        found = memory.last(self.context.memory)
        if found is None:
            raise ConfigurationError(
                "No deployment is known here that was verified and could be taken back.",
                hint="What was in use before can be put back by hand: see the guide, 'Exchange by hand'.",
            )
        with self._organisation() as organisation:
            return undo.plan(found[0], self._work(organisation, {}), self.context.now())

    def reopen(self) -> None:
        """Have the undo be about what was verified last."""
        memory.reopen(self.context.memory)

    def undo(self) -> tuple[str, ...]:
        """Take back what can be taken back, by the memory; servers that the task has no more are let go."""
        deployment = self._begun()
        if deployment is None:
            self.context.journal.note("Nothing that is served had been changed: there is nothing to take back.")
            return ()
        keeps = self.params.do_not_require_ssl
        gone = undo.let_go(deployment, self.params.servers, self.context.now(), do_not_require_ssl=keeps)
        left = tuple(sentence for sentences in gone.values() for sentence in sentences)
        for sentence in left:
            self.context.journal.note(sentence)
        with self._organisation() as organisation:
            try:
                work = self._work(organisation, {})
                self._kept = undo.undo(undo.without(deployment, gone), work, self.context.now())
            except NeedsPerson as stuck:
                state = undo.mixed_state(verify.baseline(self._watch.look(), self.context.now()))
                raise NeedsPerson(stuck.message, causes=[*state, *stuck.causes, *left], hint=stuck.hint) from stuck
        for server in gone:
            memory.settle(self.context.memory, server)
        return left

    def verify_undone(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        """What each port serves after the undo; after one that is not complete yet, as it is, without waiting."""
        watch, kept, store = self._watch, self._kept, self.context.memory
        watch.before = {**verify.before_of(baseline), **memory.baseline(store)}
        deployment = memory.load(store)
        rows = watch.settle_undone(deployment, kept)
        if kept and not failures(rows):
            self._finish(deployment.unreached if deployment else ())
        return tuple(rows)

    def _watch_edges(self, snapshot: Snapshot) -> tuple[ServedRow, ...]:
        """Look at Edge servers too, where the ports were left to us."""
        if self.params.verify is not None:
            return ()
        return self._watch.add(ports.resolved(ports.edge(edge.fqdn or edge.name for edge in snapshot.edges)))

    def _sent(self) -> list[ServedRow]:
        """The verdict on send connectors that were changed."""
        store, version = self.context.memory, self.context.material.facts.thumbprint
        if not sending.is_remembered(store, version):
            return []
        with self._organisation() as organisation:
            return sending.verify(store, organisation, self._snapshot, self.context.journal, self.patience)

    def _finish(self, aside: Collection[str]) -> None:
        """All is verified, or taken back, but for what was begun on servers that stood aside now."""
        memory.finish(self.context.memory, aside)
        sending.forget(self.context.memory)

    def _leave(self, rows: Sequence[ServedRow]) -> None:
        """Keep what there is now, so that a later look can tell what somebody has changed."""
        store, requested, facts = self.context.memory, self._watch.requested, self.context.material.facts
        skipped = {*self._away, *self._alone, *self._left_out}
        services = {s: given for s, given in requested.items() if given is not None and s not in skipped}
        after = completed(self._snapshot, self._watch.left)
        drift.keep(store, drift.deployed(after, facts, services, rows, drift.kept(store), self._found))

    @cached_property
    def _watch(self) -> Watch:
        facts, params = self.context.material.facts, self.params
        name = verify.asked_name(facts, params.servers[0])
        public = verify.public_names(facts) if params.verify is None else ()
        names = public if params.public_names is None else params.public_names
        every = ports.resolved((*params.ports, *ports.public(n for n in names if n.lower() != "off")))
        issuers = tuple(intermediates(self.context.material.chain))
        now, seen = self.context.now, self.context.seen
        return Watch(every, name, facts.sha256, now, self.patience, issuers=issuers, seen=seen)

    @cached_property
    def _wish(self) -> Wish:
        material, params = self.context.material, self.params
        return Wish(
            facts=material.facts,
            has_key=material.key is not None,
            intermediates=len(self._chain),
            predecessors=tuple(earlier.facts.thumbprint for earlier in self.context.predecessors),
            services=params.chosen,
            do_not_require_ssl=params.do_not_require_ssl,
            keep_internal=params.keep_internal_transport_certificate,
            friendly_name=params.friendly_name or self.context.certificate_title,
            restarts=bool(params.hosts),
            restart_transport=params.restart_transport,
            restart_web_site=params.restart_web_site,
            connectors=params.connectors,
            servers=params.chosen_servers,
            order=Order(params.chosen_canary, params.chosen_pools, params.wave_width),
            last=drift.kept(self.context.memory),
        )

    def _unseen(self, rows: Sequence[ServedRow], servers: Iterable[str]) -> tuple[evidence.Blind, ...]:
        """Of these servers, those of which something that is to serve the certificate was not seen."""
        chosen = set(servers)
        requested = {s: self._watch.requested.get(s) for s in self.params.servers if s in chosen}
        return evidence.blind(rows, requested)

    def _not_seen(self, rows: Sequence[ServedRow], servers: Iterable[str]) -> tuple[Finding, ...]:
        return evidence.findings(self._unseen(rows, servers), self._known.certificate, attended=False)

    @property
    def _earlier(self) -> frozenset[str | None]:
        """The earlier versions, as rows show them."""
        return frozenset(ports.shown(version.facts) for version in self.context.predecessors)

    @property
    def _chain(self) -> tuple[CertificateFacts, ...]:
        """The issuers that are imported with the certificate: all but the root."""
        return tuple(map(CertificateFacts.of, intermediates(self.context.material.chain)))

    @property
    def _known(self) -> Context:
        """Who looks on, and what is recorded of the organisation."""
        subjects = [f"organisation:{name}" for name in self.organisations]
        records = self.context.records
        examined = all((records(subject, "doctor") or {}).get("passed") for subject in subjects)
        proven = examined and all(records(subject, "supervised") for subject in subjects)
        known = frozenset(name for subject in subjects for name in records(subject, "acknowledged") or ())
        return Context(
            acknowledged=known,
            attended=self.context.attended,
            proven=proven,
            chain=self._chain,
            certificate=shlex.quote(self.context.certificate_title),
        )

    @cached_property
    def _alone(self) -> dict[str, CertwrightError]:
        """Servers that failed and were taken back alone."""
        return {}

    @property
    def _others(self) -> frozenset[str]:
        """Servers of the task that were not chosen."""
        return frozenset(self.params.servers) - frozenset(self.params.chosen_servers)

    @property
    def _away(self) -> dict[str, str]:
        """Servers that have to be left alone now, and why."""
        return {state.server: state.away for state in chosen(self._snapshot, self._wish) if state.away}

    def _organisation(self) -> Organisation:
        return connect(self.params, self.context.credentials, self.limits)

    def _work(self, organisation: Organisation, secrets: dict[str, Parameter]) -> Work:
        context, watch = self.context, self._watch
        servers = [state.server for state in workable(self._snapshot, self._wish)]
        return Work(
            organisation,
            context.journal,
            context.guard,
            secrets,
            watch.is_stale,
            self.pauses,
            restarted=watch.restarted,
            version=context.material.facts.thumbprint,
            moved=watch.moved,
            left=watch.left,
            servers=tuple(servers) or self.params.servers,
            do_not_require_ssl=self.params.do_not_require_ssl,
            revoked=context.revoked(),
        )

    def _hooks(self, plan: Plan, work: Work) -> Hooks:
        store, facts, now = self.context.memory, self.context.material.facts, self.context.now
        alone = self.params.rollback == "server"
        point = RestorePoint(plan, work, self._wish, self._snapshot, self._sights or (), store)
        return Hooks(
            before_use=point.keep_server,
            before_import=lambda server: memory.record_import(store, server, facts.thumbprint),
            before_connectors=lambda: point.keep_connectors(now()),
            verify=self._watch.wrong,
            alone=(lambda server, failure: self._take_back(work, server, failure)) if alone else None,
            settled=(lambda server: memory.settle(store, server)) if alone else None,
        )

    def _begun(self) -> memory.Deployment | None:
        """What may have to be taken back."""
        found = memory.load(self.context.memory)
        return found.knowing(self.context.revoked()) if found else None

    def _take_back(self, work: Work, server: str, failure: CertwrightError) -> None:
        """One server that failed goes back by itself; if it cannot now, the next run goes on with it."""
        self._alone[server] = failure
        self.context.journal.note(f"{server} failed and goes back alone: {failure.message}")
        if deployment := self._begun():
            try:
                undo.undo_server(deployment, server, work, self.context.now())
            except CertwrightError as stuck:
                failed, keeps = {server: stuck}, self.params.do_not_require_ssl
                self._alone[server] = undo.stuck(deployment, failed, self.context.now(), do_not_require_ssl=keeps)

    def _resume_baseline(self) -> None:
        """What ports served before is kept for a run that goes on with this one."""
        if self._sights is not None:
            memory.keep_baseline(self.context.memory, self._watch.before)
        else:
            self._watch.before = memory.baseline(self.context.memory)

    def _learn(self, found: Situation) -> None:
        """Keep what `apply` and `verify` need of what the plan is made from."""
        self._snapshot = self._found = found.snapshot
        self._watch.learn(found, self._wish)
