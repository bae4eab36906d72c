"""The plan: pure, so shown by properties."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.certificates import CertificateFacts
from certwright.domain.deployment import Change, Plan
from certwright.domain.keys import KeyType
from certwright.exchange import changes
from certwright.exchange.memory import Before, Deployment, Remembered
from certwright.exchange.model import MAIL_ACCESS, SUPPORTED, Certificate, Connector, ServerInfo, ServerState, Service
from certwright.exchange.plan import Served, Snapshot, Wish, mail_access_name, make_plan, requested_services
from certwright.exchange.undo import by_hand, way_back
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


def plan(*states: ServerState, wish: Wish | None = None, **snapshot: object) -> Plan:
    return make_plan(Snapshot(states or (server(),), **snapshot), wish or Wish(issued()), NOW)  # type: ignore[arg-type]


def begun(before: Before, name: str) -> Deployment:
    return Deployment(thumbprint=issued().thumbprint, sha256=issued().sha256, servers={name: before})


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
        transport = thumbprint if Service.SMTP in services else state.internal_transport
        return replace(state, certificates=tuple(certificates), internal_transport=transport)
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
def test_imports_come_first_then_web_sites_then_what_cannot_be_taken_back(
    states: list[ServerState], wanted: Service
) -> None:
    made = plan(*states, wish=Wish(issued(), services=wanted, restarts=True))

    def phase(change: Change) -> int:
        if change.action == changes.IMPORT:
            return 0
        if change.action == changes.ENABLE and changes.services_of(change) == Service.IIS:
            return 1
        return 3 if change.action == changes.RESTART else 2

    phases = [phase(change) for change in made.changes]
    assert phases == sorted(phases)


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
        ({"status": "Revoked"}, "has the status Revoked"),
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


class TestConnectors:
    """A connector names a certificate by issuer and subject, as Exchange writes them."""

    earlier = Certificate(EARLIER, services=SUPPORTED, subject="CN=mail.contoso.test", issuer="CN=CA, O=Contoso")

    def wish(self) -> Wish:
        return Wish(issued(), predecessors=(EARLIER,))

    def test_one_that_names_the_predecessor_is_named_in_the_refusal(self) -> None:
        connector = Connector("To partner", "send", tls_certificate_name="<I>CN=CA, O=Contoso<S>CN=mail.contoso.test")
        made = plan(server(self.earlier), wish=self.wish(), send_connectors=(connector,))
        assert not made.changes
        assert "'To partner'" in made.refusals[0]

    def test_the_subject_alone_counts_where_exchange_did_not_spell_the_name(self) -> None:
        unspelled = Certificate(EARLIER, services=SUPPORTED, facts=issued())
        connector = Connector("To partner", "send", tls_certificate_name="<I>CN=X<S>CN=mail.contoso.test")
        made = plan(server(unspelled), wish=self.wish(), send_connectors=(connector,))
        assert made.refusals

    def test_others_do_not_matter(self) -> None:
        connector = Connector("To partner", "send", tls_certificate_name="<I>CN=CA<S>CN=other.contoso.test")
        assert plan(server(self.earlier), wish=self.wish(), send_connectors=(connector, Connector("x", "send"))).changes

    def test_nothing_is_refused_when_nothing_is_to_be_done(self) -> None:
        connector = Connector("To partner", "send", tls_certificate_name="<I>CN=CA, O=Contoso<S>CN=mail.contoso.test")
        state = server(
            version(SUPPORTED, frozenset({1})),
            self.earlier,
            pop_name="mail.contoso.test",
            imap_name="mail.contoso.test",
        )
        unbound = tuple(
            replace(c, iis_sites=frozenset({2})) if c.thumbprint == INTERNAL else c for c in state.certificates
        )
        made = plan(replace(state, certificates=unbound), wish=self.wish(), send_connectors=(connector,))
        assert made == Plan()


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
    def notes(*names: str) -> tuple[str, ...]:
        connectors = tuple(Connector(name, "receive", fqdn=name, server="ex01") for name in names)
        return plan(server(connectors=connectors), wish=Wish(issued(), services=Service.SMTP)).notes

    assert any("ex01.contoso.test" in note for note in notes("ex01.contoso.test"))
    assert not notes("ex01.contoso.test", "mail.contoso.test")


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
    assert plan(wish=Wish(issued(), has_key=False)) == Plan(
        refusals=("The certificate's private key is not with us, so it cannot be imported.",)
    )
