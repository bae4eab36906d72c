"""The matrix of deployments to Exchange: what a case is, which can be, and the organisation that it is played in."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from certwright.domain.keys import KeyType, PrivateKey, generate
from certwright.exchange.verification.verify import Patience
from certwright.exchange_simulator import (
    Call,
    Delay,
    Drop,
    Effect,
    ExchangeServer,
    Fail,
    Gone,
    HalfDone,
    HttpStatus,
    HybridConfiguration,
    KeyLost,
    Lag,
    Role,
    SendConnector,
    ServerSpec,
    StoredCertificate,
    Version,
    WebFault,
    WireForm,
    WsmanFault,
)
from certwright.remoting.psrp import Limits
from certwright.sdk.context import Material
from certwright.tasks.exchange import Exchange
from peers.exchange_task import WAYS, Authority, World, pfx, spec, world
from world.pairs import all_pairs

IMPORT, ENABLE, RESTART = "Import-ExchangeCertificate", "Enable-ExchangeCertificate", "Restart-Service"
SETTING = {"send": "Set-SendConnector", "receive": "Set-ReceiveConnector", "hybrid": "Set-HybridConfiguration"}
PARTNER, FRONT_END = "To partner", "Default Frontend"
MAIL = frozenset({"SMTP", "POP", "IMAP"})
DENIED = "Access is denied."
BALANCER = "127.0.0.9"
ALL = "IIS,SMTP,POP,IMAP"
USES = (ExtendedKeyUsageOID.SERVER_AUTH,)
"""What public authorities issue for: no client authentication."""

FACTORS: Mapping[str, tuple[str, ...]] = {
    "topology": ("one", "balanced", "group", "hybrid", "mixed"),
    "version": ("EXCHANGE_2013", "EXCHANGE_2016", "EXCHANGE_2019_CU14", "EXCHANGE_2019_CU15", "EXCHANGE_SE"),
    "wire": ("selected", "signed", "unsigned", "raw"),
    "host": ("with", "without"),
    "services": (ALL, "IIS,SMTP", "IIS", "SMTP,IMAP", "inherited"),
    "connectors": ("none", "send", "receive", "both", "same name"),
    "rollback": ("all", "server"),
    "earlier": ("ours", "found"),
    "fault": (
        "none", "drop", "answer lost", "503", "shell lost", "throttled", "delay", "rpc", "rpc ends", "denied", "german",
        "half", "key lost", "gone", "gone after", "power cut", "lag", "session lost", "stale transport", "owa",
        "maintenance",
    ),
    "step": ("none", "import", "iis", "mail", "internal", "receive", "send", "hybrid", "restart"),
    "where": ("first", "second", "last"),
    "lasting": ("once", "for good"),
    "consent": ("given", "missing"),
}  # fmt: skip
NEXT = {
    "EXCHANGE_2013": "EXCHANGE_2016",
    "EXCHANGE_2016": "EXCHANGE_2019_CU14",
    "EXCHANGE_2019_CU14": "EXCHANGE_2019_CU15",
    "EXCHANGE_2019_CU15": "EXCHANGE_SE",
    "EXCHANGE_SE": "EXCHANGE_2016",
}
"""What stands beside it where versions are mixed: Microsoft's setup allows each of these pairs."""
LEAST = 208
SERVERS = {"one": 1, "balanced": 2, "group": 3, "hybrid": 3, "mixed": 2}

_THROTTLED = WsmanFault(
    2150859174,
    "The WS-Management service cannot process the request. This user has exceeded the maximum number of concurrent "
    "shells.",
)
EFFECTS: Mapping[str, Effect] = {
    "drop": Drop(),
    "answer lost": Drop(committed=True),
    "503": HttpStatus(503),
    "shell lost": WsmanFault(),
    "throttled": _THROTTLED,
    "delay": Delay(30),
    "rpc": Fail(),
    "rpc ends": Fail(terminating=True),
    "denied": Fail(DENIED),
    "german": Fail(),
    "half": HalfDone(),
    "key lost": KeyLost(),
    "gone": Gone(),
    "gone after": Gone(committed=True),
    "power cut": Gone(whole=True),
}
SURROUNDINGS = frozenset({"lag", "session lost", "stale transport", "owa", "maintenance"})
BREAKS = frozenset({"drop", "503", "shell lost", "throttled", "delay"})
"""The connection fails, and nothing was done."""
GOES = frozenset({"gone", "gone after", "power cut"})
_STEPS = {
    "half": {"iis", "mail", "internal"},
    "key lost": {"import"},
    "german": {"import", "iis", "mail", "internal"},
    "rpc": {"import", "iis", "mail", "internal"},
    "rpc ends": {"import", "iis", "mail", "internal"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the matrix; see `FACTORS`."""

    topology: str
    version: str
    wire: str
    host: str
    services: str
    connectors: str
    rollback: str
    earlier: str
    fault: str
    step: str
    where: str
    lasting: str
    consent: str

    @property
    def id(self) -> str:
        """Its name among the tests."""
        return "/".join(getattr(self, f.name) for f in fields(self))

    @property
    def wanted(self) -> frozenset[str]:
        """The services that get the certificate."""
        return frozenset((ALL if self.services == "inherited" else self.services).split(","))

    @property
    def has_host(self) -> bool:
        """Whether the servers' own PowerShell may be used."""
        return self.host == "with"

    @property
    def position(self) -> int:
        """Which server is struck, from 0: the canary."""
        return {"first": 0, "second": 1, "last": SERVERS[self.topology] - 1}[self.where]

    @property
    def is_untold(self) -> bool:
        """Whether Exchange does not tell what has to be known: it is refused before anything could go wrong."""
        spelled = self.wire == "selected" or not self.following
        return not spelled or (self.wire == "raw" and self.services == "inherited")

    @property
    def following(self) -> frozenset[str]:
        """The kinds of connectors that have to follow: none, where SMTP does not get the certificate."""
        follow = "SMTP" in self.wanted and self.connectors != "same name"
        return self.naming if follow else frozenset()

    @property
    def is_unacknowledged(self) -> bool:
        """Whether a connector would present a certificate without client authentication that nobody has agreed to."""
        return self.consent == "missing" and self.presents

    @property
    def presents(self) -> bool:
        """Whether a send connector presents the certificate: one that follows, or names both by the same name."""
        return "send" in self.naming and "SMTP" in self.wanted

    @property
    def naming(self) -> frozenset[str]:
        """The kinds of connectors that name the earlier certificate."""
        kinds = {"none": (), "both": SETTING, "same name": SETTING}
        return frozenset(kinds.get(self.connectors, (self.connectors,)))


def possible(row: Mapping[str, str]) -> bool:
    """Whether there can be such a case, and the fault can strike there."""
    case = Case(**row)
    if SERVERS[case.topology] <= {"first": 0, "second": 1, "last": 2}[case.where]:
        return False
    if case.consent == "missing" and (case.fault != "none" or case.is_untold or not case.presents):
        return False  # it is refused before anything could go wrong, or there is nothing to agree to
    if case.fault in {"none", "lag"} and (case.where, case.lasting) != ("first", "once"):
        return False
    return (case.fault == "none" or not case.is_untold) and _can_strike(case)


def _can_strike(case: Case) -> bool:
    wanted = case.wanted
    if case.fault == "none" or case.fault in SURROUNDINGS:
        needs = {"owa": "IIS", "stale transport": "SMTP"}.get(case.fault)
        once = case.lasting == "once"
        lasts = {"stale transport": not once, "maintenance": not once, "session lost": once}.get(case.fault, True)
        alone = case.fault == "session lost" and SERVERS[case.topology] == 1
        return case.step == "none" and lasts and not alone and (needs is None or needs in wanted)
    if case.fault in GOES | {"key lost"} and (case.lasting == "once") is (case.fault in GOES):
        return False
    if case.step in {"send", "hybrid"} and case.where != "first":
        return False
    if case.step == "restart":
        return case.has_host and "POP" in wanted and case.fault in {"drop", "answer lost", "denied"}
    reached = {
        "import": True,
        "iis": "IIS" in wanted,
        "mail": bool(wanted & MAIL),
        "internal": "SMTP" in wanted,
        **{kind: kind in case.following for kind in SETTING},
    }
    return reached.get(case.step, False) and case.step in _STEPS.get(case.fault, set(reached))


def cases(seed: int) -> tuple[Case, ...]:
    """The matrix of this seed: every two things that can meet do meet in it."""
    return tuple(Case(**row) for row in all_pairs(FACTORS, possible, seed, LEAST))


# --- the organisation -------------------------------------------------------------------------------------------------


@cache
def _key(_which: str) -> PrivateKey:
    """Keys are made once: what they are makes no difference here."""
    return generate(KeyType.RSA_2048)


class Ledger(list[Call]):
    """The changes that were made; `look` is called after each."""

    def __init__(self, look: Callable[[Call], None]) -> None:
        super().__init__()
        self._look = look

    def append(self, call: Call) -> None:
        super().append(call)
        self._look(call)


@dataclass
class Played:
    """A case in its organisation.

    `old` and `new` are the certificates, `before` what each port served at first, `wrong` what was seen after a change
    that must never be seen, `internal` the certificates that servers used among themselves at first.
    """

    case: Case
    made: World
    old: Material
    new: Material
    servers: tuple[ExchangeServer, ...]
    internal: dict[str, str] = field(default_factory=dict)
    back_end: dict[str, StoredCertificate | None] = field(default_factory=dict)
    named: dict[str, str | None] = field(default_factory=dict)
    flags: dict[tuple[str, str], int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    balancer: str = ""
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def struck(self) -> ExchangeServer:
        """The server that the fault is on."""
        return self.servers[self.case.position]

    @property
    def alive(self) -> list[ExchangeServer]:
        """The servers that are switched on."""
        return [server for server in self.servers if not server.faults.off]

    def name(self, material: Material) -> str:
        """How Exchange writes the names of a certificate."""
        return f"<I>{material.facts.issuer}<S>{material.facts.subject}"

    @property
    def connectors(self) -> dict[str, str | None]:
        """All that can name a certificate, and what it names now."""
        state = self.made.organisation.state
        found = {c.name: c.tls_certificate_name for c in state.send_connectors}
        for server in self.servers:
            found |= {c.name: c.tls_certificate_name for c in server.state.receive_connectors}
        return {**found, "HybridConfiguration": state.hybrid.tls_certificate_name if state.hybrid else None}

    def site(self, server: ExchangeServer) -> str | None:
        """Thumbprint of what its web site presents."""
        stored = server.state.served(443)
        return stored.thumbprint if stored else None

    def served(self, server: ExchangeServer) -> dict[int, str | None]:
        """Standard port -> thumbprint."""
        found = {port: server.state.served(port) for port in WAYS}
        return {port: stored.thumbprint if stored else None for port, stored in found.items()}

    def look(self, call: Call) -> None:
        """What must hold after every single change."""
        good = {self.old.facts.thumbprint, self.new.facts.thumbprint}
        for server in self.alive:
            for port, thumbprint in self.served(server).items():
                if thumbprint not in good:
                    self.wrong.append(f"after {call}: {server.spec.name} serves {thumbprint} on {port}")
            with server.state.lock:
                outbound = server.state.transport.loaded().outbound
            self.wrong += [f"after {call}: {n} of {server.spec.name}: {e}" for n, e in outbound.items() if e]
        if self.case.fault == "session lost" and len(self.made.organisation.mutations) == 1:
            thread = threading.Thread(target=self.servers[-1].state.start_service, args=("W3SVC",))
            self._threads.append(thread)
            thread.start()

    def task(self) -> Exchange:
        """The task; in a hurry."""
        case, made = self.case, self.made
        known = {server.spec.fqdn: server for server in self.servers}
        ways = [(443, "IIS"), *(pair for pair in WAYS.items() if pair[0] != 443), (443, "WEB"), (444, "BACKEND")]
        verify = [f"{fqdn}/{way}:127.0.0.1:{s.ports[port][1]}" for fqdn, s in known.items() for port, way in ways]
        task = made.task(
            self.new,
            [self.old] if case.earlier == "ours" else [],
            servers=list(known),
            endpoint={fqdn: s.powershell_url for fqdn, s in known.items()},
            winrm={fqdn: s.winrm_url for fqdn, s in known.items()} if case.has_host else None,
            services=None if case.services == "inherited" else case.services,
            rollback=case.rollback,
            verify=[*verify, *([self.balancer] if self.balancer else [])],
        )
        agreed = {"acknowledged": [PARTNER]} if case.consent == "given" else {}
        task.context = replace(task.context, records=lambda _subject, kind: agreed.get(kind))
        task.limits = Limits(connect=3, reply=4, poll=1, call=1.5)
        task.patience = Patience(total=0.5, first=0.05, longest=0.2)
        task.pauses = (0.02, 0.05)
        return task

    def inject(self) -> None:
        """Plan the fault."""
        case, struck = self.case, self.struck
        times = 1 if case.lasting == "once" else None
        if case.fault in EFFECTS:
            targets = self.servers if case.step in {"send", "hybrid"} and case.fault not in GOES else (struck,)
            for target in targets if times is None else (struck,):
                target.faults.inject(EFFECTS[case.fault], self._cmdlet, nth=self._nth, times=times)
        elif case.fault == "stale transport":
            struck.state.transport.stale_until_restart = True
        elif case.fault == "maintenance":
            struck.state.enter_maintenance()
        elif case.fault == "session lost":
            self.servers[0].proxy_sessions_to(self.servers[-1])
        elif case.fault == "owa" and times is None:
            struck.state.web_faults.append(WebFault("/owa", 503, self.old.facts.thumbprint))
        elif case.fault == "owa":
            struck.state.web_faults.append(Hiccup("/owa", 503, self.old.facts.thumbprint))

    @property
    def _cmdlet(self) -> str:
        fixed = {"import": IMPORT, "restart": RESTART, **SETTING}
        return fixed.get(self.case.step, ENABLE)

    @property
    def _nth(self) -> int:
        """Which of the assignments on one server it is: the web site, the mail services, the one that is put back."""
        has_site = "IIS" in self.case.wanted
        return {"mail": 1 + has_site, "internal": 2 + has_site}.get(self.case.step, 1)

    def heal(self) -> None:
        """What was broken is well again."""
        for thread in self._threads:
            thread.join(10)
        for server in self.servers:
            state = server.state
            server.faults.heal()
            state.web_faults.clear()
            state.components = dict.fromkeys(state.components, "Active")
            state.copy_activation, state.move_active_copies, state.paused = "Unrestricted", False, False
            state.transport.stale_until_restart = False

    def obey(self, told: str) -> None:
        """Be the person who does what was said: restarts services, and removes a certificate without its key."""
        for server in self.servers:
            if "Restart-Service" in told:
                for service in server.state.running:
                    if service.startswith("MSExchange"):
                        server.state.start_service(service)
            removal = (
                f"Remove-ExchangeCertificate -Server '{server.spec.fqdn}' -Thumbprint '{self.new.facts.thumbprint}'"
            )
            if removal in told:
                server.state.remove(self.new.facts.thumbprint)


@dataclass(frozen=True, slots=True)
class Hiccup(WebFault):
    """It fails once with each certificate, and never again."""

    seen: set[str] = field(default_factory=set)

    def strikes(self, path: str, thumbprint: str) -> bool:
        if thumbprint in self.seen or not WebFault.strikes(self, path, thumbprint):
            return False
        self.seen.add(thumbprint)
        return True


@contextmanager
def played(case: Case, folder: Path) -> Iterator[Played]:
    """The organisation of a case, before anything is done; the fault is not planned yet."""
    with world(folder, *_specs(case), **_options(case)) as made:
        issuer = made.authority if case.connectors == "same name" else Authority("Contoso Old CA")
        old = issuer.issue(key=_key("old"), uses=USES)
        new = made.authority.issue(key=_key("new"), days=120, uses=USES)
        servers = tuple(s for s in made.organisation.servers.values() if s.spec.role is not Role.EDGE)
        play = Played(case, made, old, new, servers)
        for server in servers:
            server.add_certificate(pfx(old), "pfx")
        _connect(play)
        if case.topology == "balanced":
            play.balancer = "BALANCER/IIS:{}:{}".format(*servers[-1].listen_on(BALANCER))
        play.named = play.connectors
        play.internal = {s.spec.name: s.state.internal_transport for s in servers}
        play.back_end = {s.spec.name: s.state.served(444) for s in servers}
        play.flags = flags(play)
        made.organisation._world.mutations = Ledger(play.look)
        yield play
        for thread in play._threads:
            thread.join(10)


def flags(play: Played) -> dict[tuple[str, str], int]:
    """(server, thumbprint) -> the services that it is enabled for."""
    return {(s.spec.name, t): int(c.services) for s in play.servers for t, c in s.state.certificates.items()}


def _specs(case: Case) -> Iterator[ServerSpec]:
    form = {"unsigned": WireForm.UNSIGNED, "raw": WireForm.RAW_DATA}.get(case.wire, WireForm.SIGNED)
    in_group = case.topology in {"group", "hybrid"}
    for number in range(SERVERS[case.topology]):
        version = NEXT[case.version] if case.topology == "mixed" and number else case.version
        yield spec(
            f"EX0{number + 1}",
            version=Version[version],
            wire_form=form,
            select_sees_properties=case.wire == "selected",
            dag="DAG01" if in_group else None,
            site="Elsewhere" if in_group and number == 2 else "Default-First-Site-Name",
        )
    if case.topology == "hybrid":
        yield ServerSpec("EDGE01", "edge01.contoso.test", version=Version[case.version], role=Role.EDGE)


def _options(case: Case) -> dict[str, Any]:
    if case.fault == "lag":
        return {"domain_controllers": ("DC01", "DC02"), "replication_lag": Lag(reads=3)}
    return {"language": "de"} if case.fault == "german" else {}


def _connect(play: Played) -> None:
    """Connectors that name the earlier certificate, or none."""
    state, case = play.made.organisation.state, play.case
    value, kinds = play.name(play.old), play.case.naming
    if "send" in kinds:
        sources = tuple(server.spec.name for server in play.servers)
        state.send_connectors.append(SendConnector(PARTNER, source_servers=sources, tls_certificate_name=value))
    state.send_connectors.append(SendConnector("To internet"))
    if "hybrid" in kinds or case.topology == "hybrid":
        state.hybrid = HybridConfiguration(tls_certificate_name=value if "hybrid" in kinds else None)
    for server in play.servers:
        for connector in server.state.receive_connectors:
            if "receive" in kinds and connector.name.startswith(FRONT_END):
                connector.tls_certificate_name = value
        server.state.transport_changed()
