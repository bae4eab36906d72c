"""The plan: pure, so shown by properties."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, Plan
from certwright.domain.errors import Unreachable
from certwright.domain.keys import KeyType
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.memory import Before, Deployment, Remembered
from certwright.exchange.deployment.plan import make_plan
from certwright.exchange.deployment.scripts import undo_script
from certwright.exchange.deployment.situation import Served, Situation
from certwright.exchange.deployment.undo import by_hand, let_go, stuck, way_back
from certwright.exchange.deployment.waves import Order
from certwright.exchange.deployment.wish import Wish, mail_access_name, requested_services
from certwright.exchange.judgement.drift import Deployed, DeployedServer
from certwright.exchange.model import MAIL_ACCESS, SUPPORTED, Certificate, Connector, ServerInfo, ServerState, Service
from certwright.exchange.snapshot import Snapshot
from peers.exchange_task import Authority

NOW = datetime.now(UTC)
INTERNAL, EARLIER, AUTH, OTHER = "1" * 40, "2" * 40, "3" * 40, "4" * 40


@cache
def authority() -> Authority:
    return Authority()


@cache
def issued(names: tuple[str, ...] = ("mail.contoso.test",), days: float = 90, age: float = 1) -> CertificateFacts:
    return authority().issue(names, days=days, age=age).facts


@cache
def own_facts(days: float = 1000) -> CertificateFacts:
    return replace(issued(("ex01.contoso.test",), days), is_self_signed=True, common_name="EX01")


def internal(**changed: object) -> Certificate:
    values = {
        "services": Service.SMTP | Service.IIS | MAIL_ACCESS,
        "has_private_key": True,
        "is_self_signed": True,
        "iis_sites": frozenset({1, 2}),
        "status": "Valid",
        "facts": own_facts(),
    }
    return Certificate(INTERNAL, **{**values, **changed})  # type: ignore[arg-type]


def version(
    services: Service | None = Service.NONE, sites: frozenset[int] = frozenset(), **changed: object
) -> Certificate:
    return Certificate(
        issued().thumbprint,
        services=services,
        has_private_key=True,
        iis_sites=sites,
        facts=issued(),
        **changed,  # type: ignore[arg-type]
    )


def auth() -> Certificate:
    return Certificate(AUTH, services=Service.SMTP, subject="CN=Microsoft Exchange Server Auth Certificate")


def server(*certificates: Certificate, name: str = "ex01.contoso.test", **changed: object) -> ServerState:
    values = {"internal_transport": INTERNAL, "pop_name": "ex01.contoso.test", "imap_name": "ex01.contoso.test"}
    info = ServerInfo("EX01", "ex01.contoso.test")
    return ServerState(name, info, (internal(), auth(), *certificates), **{**values, **changed})  # type: ignore[arg-type]


def plan(
    *states: ServerState,
    wish: Wish | None = None,
    begun: Deployment | None = None,
    served: Mapping[str, Served] | None = None,
    **snapshot: object,
) -> Plan:
    made = Snapshot(states or (server(),), **snapshot)  # type: ignore[arg-type]
    return make_plan(Situation(made, begun, served or {}), wish or Wish(issued()), NOW)


def begun(before: Before, name: str) -> Deployment:
    return Deployment(thumbprint=issued().thumbprint, sha256=issued().sha256, servers={name: before})


def left(services: Service = SUPPORTED, **changed: str) -> Deployed:
    """What the last deployment left on the server."""
    was = DeployedServer.model_validate({"services": services.value, **changed})
    return Deployed(thumbprint=issued().thumbprint, sha256=issued().sha256, servers={"ex01.contoso.test": was})


def carried_out(state: ServerState, made: Plan) -> ServerState:
    """What Exchange does with a plan, as far as flags, bindings and names go."""
    for change in made.changes:
        if change.target == state.server:
            state = _after(change, state)
    return state


def _after(change: Change, state: ServerState) -> ServerState:
    if change.action == changes.IMPORT:
        return replace(state, certificates=(*state.certificates, version()))
    if change.action == changes.ENABLE:
        thumbprint, services = change.parameters["Thumbprint"], changes.services_of(change)
        found = state.certificate(thumbprint)
        assert found is not None
        certificates = [
            replace(c, iis_sites=(c.iis_sites or frozenset()) - {1}) if Service.IIS in services else c
            for c in state.certificates
        ]
        grown = replace(
            found,
            services=(found.services or Service.NONE) | services,
            iis_sites=(found.iis_sites or frozenset()) | ({1} if Service.IIS in services else set()),
        )
        certificates = [grown if c.thumbprint == thumbprint else c for c in certificates]
        common = found.facts.common_name if found.facts else None
        return replace(
            state,
            certificates=tuple(certificates),
            internal_transport=thumbprint if Service.SMTP in services else state.internal_transport,
            pop_name=common if Service.POP in services else state.pop_name,
            imap_name=common if Service.IMAP in services else state.imap_name,
        )
    name = change.parameters.get("X509CertificateName")
    if change.action == "Set-PopSettings":
        return replace(state, pop_name=name)
    return replace(state, imap_name=name) if change.action == "Set-ImapSettings" else state


CHOICES = st.sets(st.sampled_from(list(SUPPORTED)), min_size=1).map(
    lambda chosen: Service(sum(member.value for member in chosen))
)
STATES = st.builds(
    lambda there, flags, sites, pop, transport: server(
        *([version(flags, sites)] if there else []),
        pop_name=pop,
        internal_transport=transport if there else INTERNAL,
    ),
    st.booleans(),
    st.one_of(CHOICES, st.just(Service.NONE)),
    st.sampled_from([frozenset[int](), frozenset({1})]),
    st.sampled_from(["ex01.contoso.test", "mail.contoso.test", "old"]),
    st.sampled_from([INTERNAL, issued().thumbprint]),
)


@given(st.lists(STATES, min_size=1, max_size=3), CHOICES, st.booleans())
def test_what_is_asked_for_is_there_afterwards_and_then_nothing_is_left_to_do(
    states: list[ServerState], wanted: Service, restarts: bool
) -> None:
    named = [replace(state, server=f"ex{number}") for number, state in enumerate(states)]
    wish = Wish(issued(), services=wanted, restarts=restarts)
    made = plan(*named, wish=wish)
    assert not made.refusals
    after = [carried_out(state, made) for state in named]
    for state in after:
        found = state.certificate(issued().thumbprint)
        assert found is not None
        assert found.services is not None
        assert not wanted & ~found.services
        if Service.IIS in wanted:
            bound = state.web_site_certificate()
            assert bound is not None
            assert bound.thumbprint == found.thumbprint
        if Service.POP in wanted:
            assert issued().covers(state.pop_name or "")
    assert not plan(*after, wish=wish).changes


@given(st.lists(STATES, min_size=1, max_size=3), CHOICES)
def test_imports_come_first_then_in_each_wave_web_sites_then_what_cannot_be_taken_back(
    states: list[ServerState], wanted: Service
) -> None:
    made = plan(*states, wish=Wish(issued(), services=wanted, restarts=True))

    def phase(change: Change) -> int:
        if changes.imports_issuers(change):
            return 3
        if change.action == changes.IMPORT:
            return 0
        if change.action == changes.ENABLE and changes.services_of(change) == Service.IIS:
            return 1
        return 4 if change.action == changes.RESTART else 2

    for wave in {change.wave for change in made.changes}:
        phases = [phase(change) for change in made.changes if change.wave == wave]
        assert phases == sorted(phases)
        assert (wave == 0) == (set(phases) == {0})
    assert [change.wave for change in made.changes] == sorted(change.wave for change in made.changes)


@given(st.lists(STATES, min_size=1, max_size=3), st.one_of(CHOICES, st.none()), st.sampled_from([None, True, False]))
def test_protected_certificates_and_the_back_end_are_never_touched(
    states: list[ServerState], wanted: Service | None, keep: bool | None
) -> None:
    guarded = [replace(state, internal_transport=AUTH) for state in states]
    made = plan(*guarded, wish=Wish(issued(), services=wanted, keep_internal=keep), protected=frozenset({OTHER}))
    for change in made.changes:
        assert change.parameters.get("Thumbprint") not in {AUTH, OTHER}
        assert not changes.services_of(change) & ~SUPPORTED
        assert not change.action.startswith("Remove")
        assert change.parameters["Confirm"] == "$false"


@given(STATES, STATES)
def test_the_way_back_leads_back_and_then_is_empty(before: ServerState, after: ServerState) -> None:
    remembered = Before.of(before, None)
    deployment = begun(remembered, after.server)
    back = way_back(deployment, after, NOW)
    state = after
    for change in back.changes:
        state = _after(change, state)
    again = way_back(deployment, state, NOW)
    assert not again.changes
    if remembered.internal != issued().thumbprint:
        assert state.internal_transport == remembered.internal


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"has_private_key": False}, "has no private key"),
        ({"facts": issued(("ex01.contoso.test",), -0.5, 5)}, "expired on"),
        ({"status": "Revoked"}, "was revoked"),
        ({"status": "not Valid (2)"}, "has the status not Valid (2)"),
    ],
)
def test_an_expired_revoked_or_keyless_certificate_is_never_assigned_again(
    damage: dict[str, object], reason: str
) -> None:
    bad = replace(internal(), iis_sites=frozenset({2}), **damage)  # type: ignore[arg-type]
    new = version(SUPPORTED, frozenset({1}))
    state = ServerState("ex01", ServerInfo("EX01", ""), (bad, new), internal_transport=new.thumbprint)
    back = way_back(begun(Before(web_site=INTERNAL, internal=INTERNAL), "ex01"), state, NOW)
    assert not back.changes
    assert len(back.stays) == 2
    assert all(reason in line for line in back.stays)
    assert Service.IIS in back.kept

    remembered = Before(web_site=INTERNAL, internal=INTERNAL, certificates={INTERNAL: Remembered.of(bad, ())})
    told = by_hand("ex01", remembered, NOW)
    assert len(told) == 2
    assert all(reason in line and "Enable-" not in line for line in told)


def test_a_certificate_that_signs_tokens_is_never_assigned_again() -> None:
    new = version(SUPPORTED, frozenset({1}))
    before = replace(server(new), internal_transport=INTERNAL)
    state = ServerState("ex01", ServerInfo("EX01", ""), (*before.certificates[:1], new), new.thumbprint)
    remembered = Before.of(before, INTERNAL, {INTERNAL}).model_copy(update={"web_site": INTERNAL})
    back = way_back(begun(remembered, "ex01"), state, NOW, {INTERNAL})
    assert [c.action for c in back.changes if c.action == changes.ENABLE] == []
    assert not any("Enable-" in line for line in by_hand("ex01", remembered, NOW))


def test_what_a_person_types_names_the_restart_and_older_memories_can_still_be_read() -> None:
    remembered = Before.model_validate({"web_site": EARLIER, "internal": INTERNAL, "pop_name": "mail"})
    told = by_hand("ex01", remembered, NOW)
    assert [line.partition("Shell: ")[2].split(" ")[0] for line in told[:3]] == [
        changes.ENABLE,
        changes.ENABLE,
        "Set-PopSettings",
    ]
    assert "on ex01 itself: Restart-Service -Name 'MSExchangePOP3', 'MSExchangePOP3BE'" in told[3]


def test_a_version_whose_status_is_a_bad_number_is_not_assigned() -> None:
    made = plan(server(version(status="not Valid (4)")), wish=Wish(issued(), services=SUPPORTED))
    assert "its status there is not Valid (4)" in made.refusals[0]


def test_services_default_to_the_newest_predecessor_that_has_any() -> None:
    older = Certificate(EARLIER, services=Service.IIS | Service.POP | Service.FEDERATION)
    newer = Certificate(OTHER, services=Service.NONE)
    wish = Wish(issued(), predecessors=(OTHER, EARLIER))
    assert requested_services(server(newer, older), wish) == Service.IIS | Service.POP
    assert requested_services(server(), wish) == Service.IIS | Service.SMTP


def test_services_of_the_recorded_deployment_come_before_any_default() -> None:
    state = server(Certificate(EARLIER, services=Service.IIS))
    wish = Wish(issued(), last=left(Service.SMTP | Service.POP))
    assert requested_services(server(), wish) == Service.SMTP | Service.POP
    assert requested_services(server(version(services=Service.IIS)), wish) == Service.IIS | Service.SMTP | Service.POP
    renewed = replace(wish, predecessors=(EARLIER,))
    assert requested_services(state, renewed) == Service.IIS | Service.SMTP | Service.POP
    assert requested_services(server(Certificate(EARLIER)), renewed) == Service.SMTP | Service.POP
    assert requested_services(state, replace(wish, services=Service.IIS)) == Service.IIS


def drifted(state: ServerState, **left_with: str) -> Plan:
    return plan(state, wish=Wish(issued(), last=left(SUPPORTED, **left_with)))


def in_use(**changed: object) -> ServerState:
    """The server as the last deployment left it, but for what was `changed`."""
    values = {"pop_name": "mail.contoso.test", "imap_name": "mail.contoso.test", **changed}
    stored = version(SUPPORTED, frozenset({1}), status="Valid")
    return replace(server(), certificates=(internal(iis_sites=frozenset({2})), auth(), stored), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("keep", [None, True, False])
def test_what_smtp_does_to_the_internal_transport_certificate_can_be_taken_back(keep: bool | None) -> None:
    """Also where the plan does not put it back itself, or stops before it does."""
    made = plan(server(), wish=Wish(issued(), services=Service.SMTP, keep_internal=keep))
    assign = next(c for c in made.changes if c.action == changes.ENABLE)
    assert assign.inverse == changes.enable("ex01.contoso.test", INTERNAL, Service.SMTP, "").typed
    assert assign.inverse in undo_script(made, "Contoso mail", NOW)


@pytest.mark.parametrize(
    "state",
    [
        server(internal_transport=AUTH),
        server(internal_transport=OTHER),
        server(internal_transport=None),
        replace(server(), certificates=(internal(has_private_key=False), auth())),
    ],
    ids=["signs tokens", "is not in the store", "is not known", "has no key"],
)
def test_an_internal_transport_certificate_that_must_not_be_used_again_is_no_way_back(state: ServerState) -> None:
    made = plan(state, wish=Wish(issued(), services=Service.SMTP), protected=frozenset({AUTH}))
    assert next(c for c in made.changes if c.action == changes.ENABLE).inverse == ""


def test_the_recorded_internal_transport_certificate_comes_back() -> None:
    made = drifted(in_use(internal_transport=issued().thumbprint), internal=INTERNAL)
    assert [(c.action, c.parameters["Thumbprint"]) for c in made.changes] == [(changes.ENABLE, INTERNAL)]
    assert f"is {issued().thumbprint} now" in made.changes[0].why
    assert not drifted(in_use(), internal=INTERNAL).changes


def test_an_internal_transport_certificate_that_somebody_made_stays_and_is_told() -> None:
    state = in_use(internal_transport=OTHER)
    fresh = replace(internal(iis_sites=frozenset()), thumbprint=OTHER)
    made = drifted(replace(state, certificates=(*state.certificates, fresh)), internal=INTERNAL)
    assert not made.changes
    (told,) = [f for f in made.findings if f.check == "internal-transport-stays"]
    assert f"Enable-ExchangeCertificate -Server 'ex01.contoso.test' -Thumbprint '{INTERNAL}'" in told.remedy


def test_where_the_recorded_one_is_gone_the_plan_tells_how_to_make_another() -> None:
    made = drifted(in_use(internal_transport=issued().thumbprint), internal=OTHER)
    assert not made.changes
    (told,) = [f for f in made.findings if f.check == "internal-transport-stays"]
    assert "is not known to Exchange" in told.message
    assert "New-ExchangeCertificate" in told.remedy


def test_the_recorded_names_of_pop_and_imap_come_back() -> None:
    made = drifted(in_use(pop_name="else.contoso.test"), pop_name="mail.contoso.test", imap_name="mail.contoso.test")
    assert [(c.action, c.parameters["X509CertificateName"]) for c in made.changes] == [
        ("Set-PopSettings", "mail.contoso.test")
    ]
    assert "and looks for 'else.contoso.test' now" in made.changes[0].why


def test_a_key_that_is_gone_is_told_though_nothing_else_is_missing() -> None:
    state = in_use()
    keyless = replace(state.certificates[-1], has_private_key=False)
    made = drifted(replace(state, certificates=(*state.certificates[:-1], keyless)))
    assert "Remove-ExchangeCertificate" in next(f for f in made.findings if f.check == "stored-without-key").remedy


def test_unknown_services_of_the_predecessor_are_not_guessed() -> None:
    made = plan(server(Certificate(EARLIER)), wish=Wish(issued(), predecessors=(EARLIER,)))
    assert not made.changes
    assert "does not tell which services" in made.refusals[0]


def test_unknown_services_of_the_version_are_taken_from_the_ports() -> None:
    state = server(replace(version(None), iis_sites=None))
    wish = Wish(issued(), services=Service.IIS | Service.SMTP)
    served = {state.server: Served(new=Service.SMTP, other=Service.IIS)}
    bound_elsewhere = plan(state, wish=wish, served=served)
    assert [changes.services_of(c) for c in bound_elsewhere.changes if c.action == changes.ENABLE] == [Service.IIS]


def test_a_web_site_bound_to_another_certificate_is_bound_again_although_the_flag_stayed() -> None:
    state = server(version(SUPPORTED), pop_name="mail.contoso.test", imap_name="mail.contoso.test")
    made = plan(state, wish=Wish(issued(), services=SUPPORTED))
    assert [(c.action, c.parameters["Services"]) for c in made.changes] == [(changes.ENABLE, "IIS")]


def test_do_not_require_ssl_goes_with_iis_only() -> None:
    made = plan(wish=Wish(issued(), services=SUPPORTED, do_not_require_ssl=True))
    told = [
        (c.parameters["Services"], "DoNotRequireSsl" in c.parameters)
        for c in made.changes
        if "Services" in c.parameters
    ]
    assert told == [("IIS", True), ("IMAP, POP, SMTP", False), ("SMTP", False)]


@pytest.mark.parametrize("keeps", [True, False], ids=["as it is", "required"])
def test_do_not_require_ssl_holds_for_every_way_back(keeps: bool) -> None:
    state = server()
    made = plan(state, wish=Wish(issued(), services=SUPPORTED, do_not_require_ssl=keeps))
    remembered = Before.of(state, None)
    deployment, after = begun(remembered, state.server), carried_out(state, made)
    back = way_back(deployment, after, NOW, do_not_require_ssl=keeps)
    failed = {state.server: Unreachable("It does not answer.")}
    typed = [
        *(change.inverse for change in made.changes),
        *undo_script(made, "Contoso mail", NOW).splitlines(),
        *(change.typed for change in back.changes),
        *by_hand(state.server, remembered, NOW, do_not_require_ssl=keeps),
        *let_go(deployment, (), NOW, do_not_require_ssl=keeps)[state.server],
        *stuck(deployment, failed, NOW, do_not_require_ssl=keeps).causes,
    ]
    enabled = [str(line) for line in typed if "Enable-ExchangeCertificate" in str(line) and "'IIS'" in str(line)]
    assert len(enabled) == 6
    assert all(("-DoNotRequireSsl:$true" in line) == keeps for line in enabled)
    assert not any("DoNotRequireSsl" in str(line) for line in typed if "'IIS'" not in str(line))


class TestNameOfMailAccess:
    """Assigning the certificate to POP or IMAP lets it look for the common name, whatever it looked for before."""

    chosen = "pop.contoso.test"
    facts = issued(("mail.contoso.test", chosen))
    wish = Wish(facts, services=SUPPORTED)

    def state(self) -> ServerState:
        return server(pop_name=self.chosen, imap_name="mail.contoso.test")

    def assigned(self) -> ServerState:
        """The server where a run was killed after that."""
        stored = replace(version(SUPPORTED, frozenset({1})), thumbprint=self.facts.thumbprint, facts=self.facts)
        return replace(
            self.state(),
            certificates=(internal(iis_sites=frozenset({2})), auth(), stored),
            pop_name="mail.contoso.test",
        )

    def begun(self) -> Deployment:
        before = Before.of(self.state(), None)
        name = self.state().server
        return Deployment(thumbprint=self.facts.thumbprint, sha256=self.facts.sha256, servers={name: before})

    @staticmethod
    def named(made: Plan) -> list[tuple[str, str]]:
        return [(c.action, c.parameters["X509CertificateName"]) for c in made.changes if c.action.startswith("Set-")]

    def test_a_name_that_the_certificate_covers_is_put_back_after_that(self) -> None:
        made = plan(self.state(), wish=self.wish)
        assert self.named(made) == [("Set-PopSettings", self.chosen)]
        actions = [c.action for c in made.changes]
        mail = next(at for at, c in enumerate(made.changes) if Service.POP in changes.services_of(c))
        assert mail < actions.index("Set-PopSettings")
        assert "lets it look for 'mail.contoso.test'" in made.changes[actions.index("Set-PopSettings")].why
        assert f"Set-PopSettings -Server 'ex01.contoso.test' -X509CertificateName '{self.chosen}'" in undo_script(
            made, "Contoso mail", NOW
        )

    def test_also_if_the_run_was_killed_in_between(self) -> None:
        made = plan(self.assigned(), wish=self.wish, begun=self.begun())
        assert self.named(made) == [("Set-PopSettings", self.chosen)]
        assert made.changes[0].inverse == made.changes[0].typed
        assert not plan(replace(self.assigned(), pop_name=self.chosen), wish=self.wish, begun=self.begun()).changes

    def test_what_it_looks_for_without_such_a_run_is_left(self) -> None:
        assert not plan(self.assigned(), wish=self.wish).changes
        other = self.begun().model_copy(update={"thumbprint": OTHER})
        assert not plan(self.assigned(), wish=self.wish, begun=other).changes

    def test_what_the_last_deployment_left_comes_before_it(self) -> None:
        was = Deployed(
            thumbprint=OTHER,
            sha256="0" * 64,
            servers={"ex01.contoso.test": DeployedServer(services=SUPPORTED.value, pop_name=self.chosen)},
        )
        drifted = replace(self.state(), pop_name="mail.contoso.test")
        made = plan(drifted, wish=replace(self.wish, last=was))
        assert self.named(made) == [("Set-PopSettings", self.chosen)]
        (change,) = [c for c in made.changes if c.action == "Set-PopSettings"]
        assert "and looks for 'mail.contoso.test' now" in change.why
        assert "'mail.contoso.test'" in change.inverse


class TestWildcard:
    """Such a certificate cannot be assigned to POP and IMAP; naming it in their settings is enough."""

    facts = issued(("*.contoso.test",))

    def test_the_name_is_set_instead(self) -> None:
        made = plan(server(pop_name="old", imap_name="ex01.contoso.test"), wish=Wish(self.facts, services=SUPPORTED))
        assert [changes.services_of(c) for c in made.changes if c.action == changes.ENABLE] == [
            Service.IIS,
            Service.SMTP,
            Service.SMTP,
        ]
        names = {c.action: c.parameters["X509CertificateName"] for c in made.changes if c.action.startswith("Set-")}
        assert names == {"Set-PopSettings": "ex01.contoso.test"}

    def test_without_any_name_that_fits_it_is_refused(self) -> None:
        state = replace(server(pop_name="old"), info=ServerInfo("EX01", "ex01.fabrikam.test"))
        made = plan(state, wish=Wish(self.facts, services=Service.POP))
        assert "Set-PopSettings" in made.refusals[0]

    def test_the_name_is_the_common_name_if_that_is_plain(self) -> None:
        assert mail_access_name(issued(), "ex01.contoso.test") == "mail.contoso.test"


class TestInternalTransport:
    """Which certificate servers use among themselves afterwards."""

    def restored(self, state: ServerState, **wish: object) -> list[str]:
        made = plan(state, wish=Wish(issued(), services=Service.SMTP, **wish))  # type: ignore[arg-type]
        thumbprints = [c.parameters["Thumbprint"] for c in made.changes if c.action == changes.ENABLE]
        return [t for t in thumbprints if t != issued().thumbprint]

    @pytest.mark.parametrize(
        "damage",
        [
            {"is_self_signed": False},
            {"has_private_key": False},
            {"facts": own_facts(59)},
            {"facts": replace(own_facts(), common_name="OTHER", names=())},
            {"facts": None},
        ],
        ids=["signed by another", "no key", "expires soon", "names another", "unreadable"],
    )
    def test_only_a_sound_one_is_kept(self, damage: dict[str, object]) -> None:
        state = server()
        certificates = (replace(internal(), **damage), auth())  # type: ignore[arg-type]
        assert self.restored(replace(state, certificates=certificates)) == []

    def test_a_sound_one_is_kept(self) -> None:
        assert self.restored(server()) == [INTERNAL]

    def test_it_is_restored_by_a_later_run_that_remembers_it(self) -> None:
        state = server(version(SUPPORTED, frozenset({1})), internal_transport=issued().thumbprint)
        died = Deployment(thumbprint=issued().thumbprint, sha256="", servers={}, internals={state.server: INTERNAL})
        made = plan(state, wish=Wish(issued(), services=Service.SMTP), begun=died)
        assert [c.parameters["Thumbprint"] for c in made.changes] == [INTERNAL]

    def test_it_is_restored_although_another_version_was_begun(self) -> None:
        dead = Certificate(EARLIER, services=SUPPORTED, iis_sites=frozenset({1}), has_private_key=True)
        state = server(dead, internal_transport=EARLIER)
        died = Deployment(thumbprint=EARLIER, sha256="", servers={}, internals={state.server: INTERNAL})
        wish = Wish(issued(), predecessors=(EARLIER,), services=Service.SMTP)
        made = plan(state, wish=wish, begun=died)
        assert [c.parameters["Thumbprint"] for c in made.changes if c.action == changes.ENABLE] == [
            issued().thumbprint,
            INTERNAL,
        ]

    def test_what_an_administrator_chose_is_left_alone(self) -> None:
        state = server(version(SUPPORTED, frozenset({1})), internal_transport=issued().thumbprint)
        assert not plan(state, wish=Wish(issued(), services=Service.SMTP)).changes


def test_a_certificate_that_covers_no_announced_name_is_noted() -> None:
    def noted(*names: str) -> list[str]:
        connectors = tuple(Connector(name, "receive", fqdn=name, server="ex01") for name in names)
        found = plan(server(connectors=connectors), wish=Wish(issued(), services=Service.SMTP)).findings
        return [finding.text for finding in found if finding.check == "announced-name"]

    assert "ex01.contoso.test" in noted("ex01.contoso.test")[0]
    assert not noted("ex01.contoso.test", "mail.contoso.test")


def test_connectors_that_follow_are_not_said_to_lead_elsewhere() -> None:
    replaced = Certificate(EARLIER, services=Service.SMTP, issuer="CN=R11", subject="CN=mail.contoso.test")
    other = "<I>CN=R3<S>CN=relay.contoso.test"
    names = {"Follows": replaced.tls_certificate_name, "Chosen": other, "Own": other, "Silent": None}
    connectors = tuple(
        Connector(name, "receive", fqdn="ex01.contoso.test", tls_certificate_name=value, server="ex01", identity=name)
        for name, value in names.items()
    )
    state = server(replaced, connectors=connectors)
    wish = Wish(issued(), predecessors=(EARLIER,), services=Service.SMTP, connectors=("Chosen",))
    (told,) = [finding for finding in plan(state, wish=wish).findings if finding.check == "announced-name"]
    assert "('Silent' announces ex01.contoso.test, which is not on it; 'Own' names another certificate)" in told.message
    assert "Follows" not in told.text
    assert "Chosen" not in told.text


def test_restarts_are_planned_only_for_what_changes_or_is_stale() -> None:
    settled = server(version(SUPPORTED, frozenset({1})), pop_name="mail.contoso.test", imap_name="mail.contoso.test")
    unbound = tuple(
        replace(c, iis_sites=frozenset({2})) if c.thumbprint == INTERNAL else c for c in settled.certificates
    )
    settled = replace(settled, certificates=unbound)
    wish = Wish(issued(), services=SUPPORTED, restarts=True)
    stale = {settled.server: Served(new=Service.IIS, other=Service.POP)}
    assert not plan(settled, wish=wish).changes
    assert [c.parameters["Name"] for c in plan(settled, wish=wish, served=stale).changes] == [
        "MSExchangePOP3, MSExchangePOP3BE"
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda facts: replace(facts, key=KeyType.ECDSA_P256.value),
        lambda facts: replace(facts, common_name=None),
        lambda facts: replace(facts, not_after=NOW - timedelta(minutes=1)),
        lambda facts: replace(facts, not_before=NOW + timedelta(hours=1)),
    ],
    ids=["ecdsa", "no common name", "expired", "not yet valid"],
)
def test_versions_that_exchange_cannot_use_are_refused(spoil: Callable[[CertificateFacts], CertificateFacts]) -> None:
    made = plan(wish=Wish(spoil(issued()), services=Service.IIS))
    assert made.refusals
    assert not made.changes


def test_a_plan_with_refusals_has_no_changes() -> None:
    made = plan(wish=Wish(issued(), has_key=False))
    assert made.refusals == ("The certificate's private key is not with us, so it cannot be imported.",)
    assert not made.changes


def test_the_time_of_mixed_certificates_is_said_by_pool() -> None:
    states = [server(name=f"ex{number}") for number in range(4)]
    said = {
        width: [
            finding.message.partition(", so ")[0]
            for finding in plan(*states, wish=Wish(issued(), order=Order("ex1", (("ex2", "ex3"),), width))).findings
            if finding.check == "mixed-certificates"
        ]
        for width in (None, 1)
    }
    assert said[None] == ["ex2, ex3 change at the same time", "ex0, ex1 change in 2 waves"]
    assert said[1] == ["ex2, ex3 change in 2 waves", "ex0, ex1 change in 2 waves"]
    assert not any(f.check == "mixed-certificates" for f in plan(states[0]).findings)
    (note,) = [f for f in plan(*states).findings if f.check == "mixed-certificates"]
    assert "a larger wave width makes it shorter" in note.remedy


class TestIssuers:
    """They are imported by themselves where the server lacks them, and planned only where that can be."""

    def issuers(self, state: ServerState, *, alone: bool = False, intermediates: int = 1) -> list[Change]:
        wish = Wish(issued(), services=Service.SMTP, intermediates=intermediates)
        made = plan(state, wish=wish, served={state.server: Served(alone=alone)})
        return [change for change in made.changes if changes.imports_issuers(change)]

    def test_with_the_certificate_in_case_they_are_lost(self) -> None:
        (change,) = self.issuers(server())
        assert change.why.startswith("done only if")
        assert change.wave == 1
        assert not self.issuers(server(), intermediates=0)

    def test_where_a_port_sends_it_alone(self) -> None:
        held = server(version(Service.SMTP))
        assert not self.issuers(held)
        (change,) = self.issuers(held, alone=True)
        assert change.why.startswith("a port sends the certificate without")

    def test_where_it_is_not_trusted_before_it_is_used(self) -> None:
        held = version()
        (change,) = self.issuers(server(replace(held, status="Untrusted")))
        assert "Untrusted" in change.why
        used = version(Service.SMTP)
        assert not self.issuers(server(replace(used, status="Untrusted")))
        assert not self.issuers(server(held))


def test_where_two_certificates_are_bound_to_the_web_site_the_ports_tell_which_one_counts() -> None:
    both = server(version(Service.IIS, frozenset({1})))
    wish = Wish(issued(), services=Service.IIS)
    shown = {both.server: Served(new=Service.IIS)}
    assert [change.action for change in plan(both, wish=wish).changes] == [changes.ENABLE]
    assert not plan(both, wish=wish, served=shown).changes
    assert plan(server(version(Service.IIS)), wish=wish, served=shown).changes
