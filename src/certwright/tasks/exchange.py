"""Microsoft Exchange: imports the certificate on every server and assigns it to IIS, SMTP, IMAP and POP.

The task reads first and shows what it will do. It imports the certificate everywhere before anything uses it, binds
the web sites, assigns the mail services, keeps the certificate that servers use among themselves, and then looks at
every port. If a port does not serve the new certificate, what can be taken back is taken back.

It needs Exchange 2013 or later, its remote PowerShell over https with basic authentication, and an account with the
role group Organization Management (Server Management works too, but cannot read send connectors).
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from certwright.domain.deployment import Change, Plan, ServedRow, failures
from certwright.domain.errors import NeedsPerson
from certwright.exchange import addresses, memory, ports, snapshot, undo, verify
from certwright.exchange.apply import Left, Work, carry_out_plan, import_secrets
from certwright.exchange.changes import SET_NAME, names_of
from certwright.exchange.host import MAIL_SERVICES
from certwright.exchange.model import MAIL_ACCESS, SUPPORTED, Service
from certwright.exchange.organisation import Organisation, read_authorities
from certwright.exchange.plan import (
    Snapshot,
    Unannounced,
    Wish,
    make_plan,
    requested_services,
    unannounced,
    with_replaced,
)
from certwright.remoting.psrp import Limits, Parameter
from certwright.sdk.params import ExistingFile, credential_field
from certwright.sdk.params import Params as BaseParams
from certwright.sdk.task import Task

_NOT_VERIFIED = "Not verified: the parameter verify is off, so nobody looks whether the services serve the certificate."
ServiceName = Literal["IMAP", "POP", "IIS", "SMTP"]


class Params(BaseParams):
    """Where Exchange is, as whom, and what to do there."""

    servers: Annotated[tuple[str, ...], BeforeValidator(addresses.servers)] = Field(
        min_length=1, description="Names of the Exchange servers, as Get-ExchangeServer lists them."
    )
    endpoint: str | dict[str, str] = Field(
        default="https://{server}/PowerShell/",
        description="Address of Exchange's PowerShell: one URL with {server} for the name, or SERVER=URL for each.",
    )
    auth: Annotated[Literal["basic"], BeforeValidator(addresses.authentication)] = Field(
        default="basic", description="How to sign in; basic, over verified https only."
    )
    credential: str = credential_field("exchange", "Name of the stored user name and password.", default=...)
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM file of the authorities that sign the endpoints; default: those of this machine."
    )
    services: Annotated[tuple[ServiceName, ...] | None, BeforeValidator(addresses.service_names)] = Field(
        default=None, description="Any of IIS, SMTP, IMAP, POP; default: those of the certificate that is replaced."
    )
    do_not_require_ssl: bool = Field(
        default=False, description="Leave the web site's Require SSL setting as it is when IIS is assigned."
    )
    keep_internal_transport_certificate: bool | None = Field(
        default=None,
        description="Keep the certificate that servers use among themselves; default: if it is self-signed, has its "
        "key, names the server and is valid for 60 days more.",
    )
    verify: Annotated[tuple[str, ...] | None, BeforeValidator(addresses.words)] = Field(
        default=None,
        description="Ports to look at, as [SERVER/]SERVICE:HOST:PORT with IIS, SMTP, IMAP, IMAPS, POP or POPS; "
        "default: the standard ports of each server; off: none.",
    )
    winrm: str | dict[str, str] | None = Field(
        default=None,
        description="Address of the servers' own PowerShell (https://{server}:5986/wsman), to restart POP and IMAP.",
    )
    friendly_name: str | None = Field(
        default=None, max_length=63, description="Name shown in Exchange; default: the certificate's title."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        _ = self.endpoints, self.hosts, self.ports
        return self

    @property
    def endpoints(self) -> dict[str, str]:
        """URL of Exchange's PowerShell by server."""
        return addresses.urls(self.endpoint, self.servers, where="endpoint")

    @property
    def hosts(self) -> dict[str, str]:
        """URL of the host's own PowerShell by server; empty if none was given."""
        return addresses.urls(self.winrm, self.servers, where="winrm") if self.winrm else {}

    @property
    def ports(self) -> tuple[ports.Port, ...]:
        """The ports to look at; empty if that is turned off."""
        return ports.chosen(self.verify, self.servers)

    @property
    def chosen(self) -> Service | None:
        """The services asked for."""
        return None if self.services is None else Service.read(",".join(self.services))


class Exchange(Task[Params]):
    """The task. `limits` and `patience` bound how long Exchange may take to answer and its ports to follow."""

    Params = Params
    limits = Limits()
    patience = verify.Patience()
    pauses: tuple[float, ...] = (1, 4)
    _sights: list[ports.Sight] | None = None
    _kept: Service | None = None
    _restarted: tuple[Change, ...] = ()
    _left: tuple[Left, ...] = ()
    _moved: frozenset[str] = frozenset()
    _unannounced: Mapping[str, Unannounced] = MappingProxyType({})
    _requested: Mapping[str, Service | None] = MappingProxyType({})

    @property
    def organisations(self) -> tuple[str, ...]:
        """The domains that the servers are in, in lower case: what stands for the Exchange organisation.

        That of a server's full name; for a short name that of its endpoint's host, or the host itself if that has none.
        """
        return tuple(sorted({addresses.domain(server, url) for server, url in self.params.endpoints.items()}))

    def baseline(self) -> tuple[ServedRow, ...]:
        """What each port serves before anything is done."""
        self._sights = self._look()
        return verify.baseline(self._sights, self.context.now())

    def plan(self) -> Plan:
        """What has to be done on each server."""
        served = verify.served(self._sights if self._sights is not None else self._look(), self._sha256)
        begun = memory.load(self.context.memory)
        with self._organisation() as organisation:
            found = snapshot.take(organisation, self.params.servers, self.context.journal, begun, served)
        self._learn(found)
        made = make_plan(found, self._wish, self.context.now())
        return made if self.params.ports else made.model_copy(update={"notes": (*made.notes, _NOT_VERIFIED)})

    def apply(self, plan: Plan) -> None:
        """Do what `plan` says."""
        with self._organisation() as organisation:
            work = self._work(organisation, import_secrets(plan, self.context.material, self._wish.friendly_name))
            carry_out_plan(plan, work, lambda server: self._remember(organisation, server))
            self._restarted, self._left = tuple(work.restarted), tuple(work.left)

    def verify(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        """What each port serves now.

        Raises:
            NeedsPerson: if all is done but for POP or IMAP services, which a person has to restart, or for changes
                that only complete it.
        """
        before = verify.before_of(baseline)
        asked = [p for p in self.params.ports if p.service in (self._requested.get(p.server) or SUPPORTED)]
        if not self.params.ports:
            self.context.journal.note(_NOT_VERIFIED)
        elif not asked:
            self.context.journal.note("No port was looked at: the parameter verify leaves none for these services.")
        rows = verify.settle(
            asked,
            self._name,
            lambda sights: verify.judge(sights, before, self._sha256, self.context.now(), self._unannounced),
            self.patience,
            waits_for=lambda port: port.service not in MAIL_ACCESS or self._is_current(port),
        )
        restarts = verify.awaited_restarts(asked, rows, self._is_current)
        if restarts is None:
            return tuple(rows)
        if self._left:
            raise verify.person_completes(self._left, restarts, self.context.certificate_title)
        memory.finish(self.context.memory)
        if restarts:
            raise verify.person_restarts(restarts, self.context.certificate_title)
        return tuple(rows)

    def undo(self) -> None:
        """Take back what can be taken back, by the memory."""
        deployment = memory.load(self.context.memory)
        if deployment is None:
            self.context.journal.note("Nothing that is served had been changed: there is nothing to take back.")
            return
        with self._organisation() as organisation:
            try:
                self._kept = undo.undo(deployment, self._work(organisation, {}), self.context.now())
            except NeedsPerson as stuck:
                state = undo.mixed_state(verify.baseline(self._look(), self.context.now()))
                raise NeedsPerson(stuck.message, causes=[*state, *stuck.causes], hint=stuck.hint) from stuck

    def verify_undone(self, baseline: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
        """What each port serves after the undo; after one that is not complete yet, as it is, without waiting."""
        deployment, before, kept = memory.load(self.context.memory), verify.before_of(baseline), self._kept
        sha256 = deployment.sha256 if deployment else self._sha256
        rows = verify.settle(
            self.params.ports,
            self._name,
            lambda sights: verify.judge_undone(sights, before, sha256, kept or undo.IRREVOCABLE, self.context.now()),
            self.patience if kept or not deployment else verify.Patience(total=0),
        )
        if kept and not failures(rows):
            memory.finish(self.context.memory)
        return tuple(rows)

    @property
    def _sha256(self) -> str:
        return self.context.material.facts.sha256

    @cached_property
    def _name(self) -> str:
        """The name that clients ask for."""
        return verify.asked_name(self.context.material.facts, self.params.servers[0])

    @cached_property
    def _wish(self) -> Wish:
        material, params = self.context.material, self.params
        return Wish(
            facts=material.facts,
            has_key=material.key is not None,
            intermediates=sum(c.subject != c.issuer for c in material.chain[1:]),
            predecessors=tuple(earlier.facts.thumbprint for earlier in self.context.predecessors),
            services=params.chosen,
            do_not_require_ssl=params.do_not_require_ssl,
            keep_internal=params.keep_internal_transport_certificate,
            friendly_name=params.friendly_name or self.context.certificate_title,
            restarts=bool(params.hosts),
        )

    def _organisation(self) -> Organisation:
        return Organisation(
            exchange=self.params.endpoints,
            hosts=self.params.hosts,
            credential=self.context.credentials(self.params.credential),
            authorities=read_authorities(self.params.ca_file),
            limits=self.limits,
        )

    def _work(self, organisation: Organisation, secrets: Mapping[str, Parameter]) -> Work:
        context = self.context
        return Work(
            organisation,
            context.journal,
            context.guard,
            secrets,
            self._is_stale,
            self.pauses,
            version=context.material.facts.thumbprint,
            moved=set(self._moved),
        )

    def _remember(self, organisation: Organisation, server: str) -> None:
        """Keep what `server` uses, before the first change there that is served."""
        state = organisation.state(server)
        before = memory.Before.of(
            state, verify.served_web_site(self._sights or (), state), organisation.session(server).protected()
        )
        before = memory.begin(self.context.memory, self.context.material.facts, server, before)
        self.context.journal.note(
            f"{server}: before this the web site used {before.web_site}, internal transport {before.internal}, "
            f"POP looked for {before.pop_name}, IMAP for {before.imap_name}."
        )

    def _look(self, chosen: Sequence[ports.Port] | None = None) -> list[ports.Sight]:
        return ports.look(self.params.ports if chosen is None else chosen, self._name)

    def _is_stale(self, change: Change) -> bool | None:
        """Whether the services that `change` restarts serve another certificate; None if no port is looked at."""
        restarted = [p for p in self.params.ports if _restarts(change, p)]
        return verify.is_stale(self._look(restarted), self._sha256)

    def _learn(self, found: Snapshot) -> None:
        """Keep what `apply` and `verify` need of what the plan is made from."""
        facts = self._wish.facts
        states = {state.server: state for state in found.servers}
        wishes = {server: with_replaced(self._wish, state, found) for server, state in states.items()}
        self._requested = {server: requested_services(state, wishes[server]) for server, state in states.items()}
        ours = {server: state.certificate(facts.thumbprint) for server, state in states.items()}
        self._moved = frozenset(s for s, c in ours.items() if c and c.services and c.services & undo.IRREVOCABLE)
        plain = {server: unannounced(state, facts) for server, state in states.items()}
        self._unannounced = {server: one for server, one in plain.items() if one}

    def _is_current(self, port: ports.Port) -> bool:
        """Whether the port's service was restarted with the settings it is to have."""
        unset = any((one.change.target, one.change.action) == _naming(port) for one in self._left)
        return not unset and any(_restarts(change, port) for change in self._restarted)


def _naming(port: ports.Port) -> tuple[str, str | None]:
    return port.server, SET_NAME.get(port.service)


def _restarts(change: Change, port: ports.Port) -> bool:
    return change.target == port.server and names_of(change) == MAIL_SERVICES.get(port.service)
