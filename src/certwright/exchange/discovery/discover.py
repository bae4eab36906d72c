"""Reads an organisation; nothing is changed. Servers are read at the same time, each in one pass."""

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from certwright.domain.errors import DeploymentError, Unreachable
from certwright.exchange.access import records
from certwright.exchange.access.organisation import Organisation
from certwright.exchange.access.reading import Reading
from certwright.exchange.access.session import ExchangeSession
from certwright.exchange.discovery import hosts, servers
from certwright.exchange.discovery.away import away
from certwright.exchange.model import Rival, ServerInfo, ServerState, Unknown
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.versions import product
from certwright.remoting.psrp import Command
from certwright.sdk.journal import Journal, Step

_AT_ONCE = 32
_PAUSES = (1.0, 4.0)
_STEP = "{server}: read what Exchange has there"


def discover(
    organisation: Organisation,
    names: Sequence[str],
    journal: Journal,
    *,
    details: bool = True,
    complete: bool = True,
    deployed: Collection[str] = (),
    pauses: Sequence[float] = _PAUSES,
) -> Snapshot:
    """The organisation as Exchange tells of it now.

    Args:
        organisation: how it is reached.
        names: the servers to begin with, at least one; the others that Exchange lists are read too.
        journal: what is told who waits.
        details: read everything; else only the servers of `names`, as far as a deployment depends on it.
        complete: each of `names` must be read; else one that cannot be is among those that were not read, as it is with
            the others, if any server can be.
        deployed: thumbprints of certificates whose keys are asked for even where no service uses them yet.
        pauses: seconds before a server is read again whose session broke off, as it does when IIS restarts there.

    Raises:
        Unreachable, DeploymentError: if one of the servers of `names`, or where this is enough all, cannot be read.
    """
    if not details:
        session = organisation.session(names[0])
        states = [_small(organisation, name, journal) for name in names]
        return Snapshot(tuple(states), session.send_connectors(), session.protected())
    session, known = listed(organisation, names)
    wanted = _wanted(organisation, names, known, is_required=complete)
    with journal.step("organisation: read what all servers share"):
        snapshot, maintained = _shared(session)
    with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="discover") as pool:
        passes = [
            _Pass(organisation, session, server, maintained, journal, tuple(pauses), deployed) for server in wanted
        ]
        outcomes = list(pool.map(_Pass.run, passes))
    seen = [outcome for outcome in outcomes if isinstance(outcome, _Seen)]
    missed = [outcome for outcome in outcomes if isinstance(outcome, _Missed)]
    if not seen:
        raise missed[0].failure
    return replace(
        snapshot,
        servers=tuple(one.state for one in seen),
        edges=tuple(info for info in known if info.is_edge),
        unread=tuple(one.info for one in missed),
        rivals=tuple(rival for one in seen for rival in one.rivals),
        unknown=(*snapshot.unknown, *(one.unknown for one in missed)),
        domain_controller=organisation.directory.controller,
    )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A server to read; `named` if the user did so, `required` if it must be read."""

    name: str
    info: ServerInfo
    named: bool = False
    required: bool = False


def listed(organisation: Organisation, names: Sequence[str]) -> tuple[ExchangeSession, tuple[ServerInfo, ...]]:
    """A session with the first of the servers `names` that answers, and all servers that Exchange lists.

    Raises:
        Unreachable, DeploymentError: if none answers; what the first one's failure was.
    """
    failures: list[Unreachable] = []
    for session in dict.fromkeys(map(organisation.session, names)):
        try:
            found = session.read(Command("Get-ExchangeServer")).objects
        except Unreachable as failure:
            failures.append(failure)
        else:
            return session, tuple(map(records.server_info, found))
    raise failures[0]


def _wanted(
    organisation: Organisation, names: Sequence[str], listed: Sequence[ServerInfo], *, is_required: bool
) -> list[_Wanted]:
    """The servers of `names` first, then the others but for Edge servers.

    Raises:
        DeploymentError: if Exchange does not list one of `names`, or it is an Edge server.
    """
    by_name = {name.lower(): info for info in listed for name in (info.name, info.fqdn)}
    named = []
    for name in names:
        info = by_name.get(name.lower())
        if info is None:
            known = ", ".join(i.name for i in listed if not i.is_edge) or "none"
            raise DeploymentError(
                f"Exchange knows no server {name!r}; it knows {known}.",
                hint="Name it as Get-ExchangeServer lists it.",
            )
        if info.is_edge:
            raise DeploymentError(
                f"{name} is an Edge server, which has no PowerShell endpoint of its own.",
                hint="Leave it out of the servers; its certificate is installed by hand, in its own management shell.",
            )
        named.append(_Wanted(name, info, named=True, required=is_required))
    taken = {wanted.info.fqdn for wanted in named}
    others = (info for info in listed if not info.is_edge and info.fqdn not in taken)
    return [*named, *(_Wanted(organisation.called(info), info) for info in others)]


def _small(organisation: Organisation, server: str, journal: Journal) -> ServerState:
    with journal.step(_STEP.format(server=server)) as step:
        state = organisation.state(server)
        _tell(step, state)
        return state


def _tell(step: Step, state: ServerState) -> None:
    step.note(f"{_version(state)}, {len(state.certificates)} certificates")
    for unknown in state.unknown:
        step.note(f"unknown: {unknown.what}. {unknown.why}")


def _version(state: ServerState) -> str:
    known = product(state.info.version)
    return f"Exchange {known.name}" if known else state.info.version or "version unknown"


# --- what belongs to the organisation ---------------------------------------------------------------------------------


def _shared(session: ExchangeSession) -> tuple[Snapshot, frozenset[str]]:
    """All but the servers, and the names of those that their availability group lists as in maintenance."""
    reading = Reading(session.read)
    rights = session.rights()
    if rights is None:
        reading.note("what the account may do", "Get-Command gives no answer that can be read.")
    organisation = reading.objects("its name", Command("Get-OrganizationConfig"))
    senders = reading.objects("the send connectors", Command("Get-SendConnector"))
    domains = reading.objects("the accepted domains", Command("Get-AcceptedDomain"))
    signing = reading.objects("the Auth certificates", Command("Get-AuthConfig"))
    trusts = reading.objects("the federation trust", Command("Get-FederationTrust"))
    hybrid = reading.objects("the hybrid configuration", Command("Get-HybridConfiguration"))
    subscriptions = reading.objects("the Edge subscriptions", Command("Get-EdgeSubscription"))
    maintained = _maintained(reading)
    auth, federation = records.auth_certificates(signing or ()), records.federation_certificates(trusts or ())
    snapshot = Snapshot(
        servers=(),
        send_connectors=None if senders is None else tuple(records.connector(o, "send") for o in senders),
        protected=frozenset().union(*(found.thumbprints for found in (auth, federation) if found)),
        organisation=records.text(organisation[0].properties.get("Name")) if organisation else "",
        taken_at=datetime.now(UTC),
        subscriptions=tuple(records.text(o.properties.get("Name")) for o in subscriptions or ()),
        accepted_domains=None if domains is None else tuple(map(records.accepted_domain, domains)),
        auth=auth,
        federation=federation,
        hybrid=records.hybrid(hybrid[0]) if hybrid else None,
        rights=rights,
        unknown=reading.unknown,
    )
    return snapshot, maintained


def _maintained(reading: Reading) -> frozenset[str]:
    groups = reading.objects("servers in maintenance", Command("Get-DatabaseAvailabilityGroup", {"Status": True}))
    listed = (name for group in groups or () for name in records.texts(group.properties.get("ServersInMaintenance")))
    return frozenset(records.last_part(name).lower() for name in listed)


# --- one server -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Seen:
    """A server that was read, and the other ACME clients at work there."""

    state: ServerState
    rivals: tuple[Rival, ...]


@dataclass(frozen=True, slots=True)
class _Missed:
    """A server that could not be read, and why."""

    info: ServerInfo
    failure: Unreachable | DeploymentError

    @property
    def unknown(self) -> Unknown:
        """The same as what is not known."""
        return Unknown(self.info.name, "the whole server", self.failure.message)


@dataclass(frozen=True, slots=True)
class _Pass:
    """Reads one server. A session that breaks off once something was read is opened again, and all is read anew.

    `neighbour` is a session with a server that answers.
    """

    organisation: Organisation
    neighbour: ExchangeSession
    wanted: _Wanted
    maintained: frozenset[str]
    journal: Journal
    pauses: tuple[float, ...]
    deployed: Collection[str]

    def run(self) -> _Seen | _Missed:
        """The server, or why it could not be read.

        Raises:
            Unreachable, DeploymentError: if it is one that must be read, and not in maintenance.
        """
        try:
            with self.journal.step(_STEP.format(server=self.wanted.name)) as step:
                seen = self._patiently(self.wanted.name)
                _tell(step, seen.state)
        except (Unreachable, DeploymentError) as failure:
            missed = _Missed(self.wanted.info, failure)
            silent = self.wanted.named and isinstance(failure, Unreachable)
            if silent and (reason := self._away_by_neighbour()):
                return self._absent(f"{reason}; it does not answer", missed.unknown)
            if self.wanted.required:
                raise
            return missed
        return seen

    def _away_by_neighbour(self) -> str:
        """Why a server that does not answer itself must be left alone, as another one tells; empty if it need not."""
        info, reading = self.wanted.info, Reading(self.neighbour.read, self.wanted.name)
        membership = servers.membership(reading, self.wanted.name, info)
        paused = info.name.lower() in self.maintained
        return away(servers.components(reading, self.wanted.name), membership, paused=paused)

    def _absent(self, reason: str, unknown: Unknown) -> _Seen:
        state = ServerState(
            self.wanted.name, self.wanted.info, certificates=(), connectors=None, away=reason, unknown=(unknown,)
        )
        return _Seen(state, ())

    def _patiently(self, server: str) -> _Seen:
        session = self.organisation.session(server)
        for pause in self.pauses:
            try:
                return self._read(session, server)
            except Unreachable as lost:
                if not lost.retryable or not session.has_answered:
                    raise
            time.sleep(pause)
        return self._read(session, server)

    def _read(self, session: ExchangeSession, server: str) -> _Seen:
        info, reading = self.wanted.info, Reading(session.read, server)
        certificates, form = session.certificates_and_form(server)
        if form == "raw":
            reading.note("what its certificates are used for", "Exchange sent nothing but the certificates themselves.")
        strict = Reading(session.read, server, strict=servers.holds_mailboxes(info))
        internal = servers.internal_transport(strict, server)
        components = servers.components(reading, server)
        membership = servers.membership(reading, server, info)
        host = hosts.look(self.organisation.host(server), server, certificates, self.deployed)
        paused = info.name.lower() in self.maintained
        state = ServerState(
            server=server,
            info=info,
            certificates=certificates,
            internal_transport=internal,
            connectors=servers.receive_connectors(reading, server),
            pop_name=servers.mail_access_name(reading, server, "POP"),
            imap_name=servers.mail_access_name(reading, server, "IMAP"),
            addresses=servers.addresses(reading, server, info),
            components=components,
            dag=membership.dag if membership else "",
            away=away(components, membership, paused=paused, updating=host.facts.updating if host.facts else ""),
            host=host.facts,
            wire_form=form,
            answered_by=session.answered_by,
            clock_skew=session.clock_skew,
            unknown=(*strict.unknown, *reading.unknown, *host.unknown),
        )
        return _Seen(state, host.rivals)
