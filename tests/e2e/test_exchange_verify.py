"""Verification against the simulated organisation, over real sockets: every kind of port, before and after a change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer

import pytest

from certwright.domain.deployment import PortKey, ServedRow, Verdict
from certwright.exchange.access.organisation import Organisation, connect
from certwright.exchange.connection import Connection
from certwright.exchange.discovery.discover import discover
from certwright.exchange.model import Connector, Service
from certwright.exchange.verification import ports, queues, verify
from certwright.exchange.verification.ports import Port
from certwright.exchange.verification.watch import Watch
from certwright.exchange_simulator import ExchangeServer, Role, SendConnector, Services, StoredCertificate
from certwright.exchange_simulator.certificates import read_bundle
from certwright.exchange_simulator.configuration import WebFault
from certwright.exchange_simulator.web_bindings import WebBinding
from certwright.probe import Endpoint
from certwright.remoting.psrp import Limits
from certwright.sdk.context import Credential, Material
from peers.exchange_task import NAME, PASSWORD, USERNAME, World, pfx, spec, world

pytestmark = pytest.mark.e2e

WAYS = {
    443: ("IIS", "IIS-NO-SNI", "WEB", "SIGN-IN"), 444: ("BACKEND",), 25: ("SMTP",), 587: ("SMTP",), 143: ("IMAP",),
    993: ("IMAPS",), 110: ("POP",), 995: ("POPS",), 717: ("TRANSPORT",), 2525: ("TRANSPORT",), 465: ("TRANSPORT",),
    475: ("TRANSPORT",),
}  # fmt: skip
QUICK = verify.Patience(total=0)
HURRIED = verify.Patience(total=10, first=0.05, longest=0.2)


@dataclass
class Looker:
    """Looks at a server's ports before a change, and judges them after it."""

    made: World
    server: ExchangeServer
    further: tuple[Port, ...] = ()
    before: dict[PortKey, str | None] = field(default_factory=dict)

    @property
    def ports(self) -> tuple[Port, ...]:
        fqdn, where = self.server.spec.fqdn, self.server.ports
        own = (Port(fqdn, way, Endpoint(*where[number])) for number, ways in WAYS.items() for way in ways)
        return (*own, *self.further)

    def remember(self) -> Sequence[ServedRow]:
        rows = verify.baseline(ports.look(self.ports, NAME), datetime.now(UTC))
        self.before = dict(verify.before_of(rows))
        return rows

    def judge(
        self,
        version: Material,
        patience: verify.Patience = QUICK,
        connectors: Sequence[Connector] = (),
        chosen: Sequence[Port] | None = None,
    ) -> dict[str, ServedRow]:
        """Label and standard number -> its row."""

        def judged(seen: list[ports.Sight]) -> list[ServedRow]:
            return verify.judge(seen, self.before, version.facts.sha256, datetime.now(UTC), {}, connectors)

        rows = verify.settle(self.ports if chosen is None else chosen, NAME, judged, patience)
        numbers = {real: number for number, (_, real) in self.server.ports.items()}
        return {f"{row.service} {numbers.get(row.port, row.port)}": row for row in rows}


@pytest.fixture
def looker(tmp_path: Path) -> Iterator[Looker]:
    with world(tmp_path, spec(mail_access=True)) as made:
        made.first.add_certificate(pfx(made.authority.issue()), "pfx")
        yield Looker(made, made.first)


def organisation(made: World) -> Organisation:
    """The servers as our own client reaches them."""
    known = {name: made.params()[name] for name in ("servers", "endpoint", "auth", "credential", "ca_file")}
    reach = Connection.model_validate(known)
    return connect(reach, lambda name: Credential(name, USERNAME, PASSWORD), Limits(connect=5, reply=8, poll=1, call=6))


def put(looker: Looker, version: Material) -> StoredCertificate:
    return looker.server.add_certificate(pfx(version), "pfx")


def wrong(rows: dict[str, ServedRow]) -> dict[str, str]:
    return {name: row.verdict.value for name, row in rows.items() if row.verdict is not Verdict.OK}


def test_a_good_deployment_is_good_on_every_port(looker: Looker) -> None:
    assert {row.now is not None for row in looker.remember()} == {True}
    version = looker.made.authority.issue()
    put(looker, version)
    rows = looker.judge(version, HURRIED)
    assert wrong(rows) == {}
    assert len(rows) == len(looker.ports)
    digits = version.facts.sha256[:16]
    changed = {name for name, row in rows.items() if (row.now or "").startswith(digits)}
    assert {"IIS 443", "IIS (no SNI) 443", "SMTP 25", "SMTP 587", "IMAP 993", "POP 110"} <= changed
    assert "IIS back end 444" not in changed
    assert rows["web 443"].protocol == "HTTP 200/302/401"
    assert "owa 302" in rows["web 443"].detail
    assert rows["sign-in 443"].detail.startswith("OWA takes a user who does not exist")
    assert all(row.valid for row in rows.values()), [name for name, row in rows.items() if not row.valid]


def test_nothing_changed_is_stale_where_it_should_have(looker: Looker) -> None:
    looker.remember()
    rows = looker.judge(looker.made.authority.issue())
    assert {name.split()[0] for name in wrong(rows)} == {"IIS", "SMTP", "IMAP", "POP"}
    assert set(wrong(rows).values()) == {"stale"}


def test_a_service_that_answers_5xx_is_waited_for(looker: Looker) -> None:
    looker.remember()
    version = looker.made.authority.issue()
    put(looker, version)
    faults = looker.server.state.web_faults
    faults.append(WebFault("/owa", 503))
    rows = looker.judge(version)
    assert wrong(rows) == {"web 443": "regression", "sign-in 443": "regression"}
    assert rows["web 443"].now == "503 /owa/, 503 /owa/healthcheck.htm"

    reloaded = Timer(0.5, faults.clear)
    reloaded.start()
    assert wrong(looker.judge(version, HURRIED)) == {}
    reloaded.join(timeout=10)


def test_a_service_that_failed_before_is_no_reason_to_go_back(looker: Looker) -> None:
    looker.server.state.web_faults.append(WebFault("/mapi", 500))
    looker.remember()
    version = looker.made.authority.issue()
    put(looker, version)
    rows = looker.judge(version)
    assert wrong(rows) == {"web 443": "not verified"}
    assert "no worse than before" in rows["web 443"].detail


def test_a_key_that_outlook_on_the_web_cannot_use_is_found_by_signing_in(looker: Looker) -> None:
    looker.remember()
    version = looker.made.authority.issue()
    put(looker, version).provider = "Microsoft Software Key Storage Provider"
    rows = looker.judge(version)
    assert wrong(rows) == {"sign-in 443": "regression"}
    assert "key-storage provider" in rows["sign-in 443"].detail


def test_the_back_end_must_keep_its_own(looker: Looker) -> None:
    looker.remember()
    version = looker.made.authority.issue()
    stored = put(looker, version)
    for binding in looker.server.state.web_bindings:
        binding.thumbprint = stored.thumbprint
    # Outlook on the web fails by that, too.
    assert wrong(looker.judge(version)) == dict.fromkeys(["IIS back end 444", "web 443", "sign-in 443"], "regression")


def test_a_binding_for_the_host_name_that_hides_the_change_is_found(looker: Looker) -> None:
    bindings = looker.server.state.web_bindings
    bindings.append(WebBinding(1, 443, bindings[0].thumbprint, host=NAME))
    looker.remember()
    version = looker.made.authority.issue()
    put(looker, version)
    rows = looker.judge(version)
    assert wrong(rows) == {"IIS 443": "stale"}
    assert "a binding of its own hides the change" in rows["IIS 443"].detail


def test_what_stands_in_front_with_a_certificate_of_its_own_is_told(looker: Looker) -> None:
    own = looker.made.authority.issue()
    bindings, stored = looker.server.state.web_bindings, put(looker, own)
    put(looker, looker.made.authority.issue())
    bindings.append(WebBinding(1, 443, stored.thumbprint, address="127.0.0.9"))
    looker.further = ports.chosen(
        [f"BALANCER/IIS:{address}:{port}" for address, port in [looker.server.listen_on("127.0.0.9")]], ["x", "y"]
    )
    looker.remember()
    version = looker.made.authority.issue()
    put(looker, version)
    rows = looker.judge(version)
    (name,) = wrong(rows)
    assert rows[name].verdict is Verdict.NOT_VERIFIED
    assert rows[name].server == rows[name].address == "127.0.0.9"
    assert "stands in front" in rows[name].detail


def assign(looker: Looker, version: Material) -> None:
    """What Enable-ExchangeCertificate does; no service is restarted."""
    state = looker.server.state
    stored = state.import_certificate(read_bundle(pfx(version), "pfx"), exportable=False, friendly_name=None)
    state.enable(stored.thumbprint, Services.parse("IIS, SMTP"), replace_internal_transport=False)


def test_transport_that_loads_nothing_new_is_named_until_it_is_restarted(looker: Looker) -> None:
    looker.remember()
    state = looker.server.state
    state.transport.stale_until_restart = True
    version = looker.made.authority.issue()
    assign(looker, version)
    asked = ports.asked(looker.ports, {looker.server.spec.fqdn: Service.IIS | Service.SMTP})
    rows = looker.judge(version, chosen=asked)
    assert wrong(rows) == {"SMTP 25": "stale", "SMTP 587": "stale"}
    awaited = verify.awaited_restarts(asked, list(rows.values()), lambda _: True, lambda _: True)
    assert {port.endpoint.port for port in awaited or ()} == {looker.server.ports[n][1] for n in (25, 587)}

    for service in verify.RESTARTS[Service.SMTP]:
        state.start_service(service)
    assert wrong(looker.judge(version, HURRIED, chosen=asked)) == {}


def test_transport_that_follows_late_is_waited_for(tmp_path: Path) -> None:
    with world(tmp_path, spec(smtp_delay=1.0)) as made:
        looker = Looker(made, made.first)
        looker.remember()
        version = made.authority.issue()
        put(looker, version)
        assert wrong(looker.judge(version, HURRIED)) == {}


def test_the_receive_connector_that_takes_us_is_named(looker: Looker) -> None:
    version = looker.made.authority.issue()
    put(looker, version)
    assert "'Default Frontend MAIL01'" in who_answers(looker, version)

    state = looker.server.state
    default = next(c for c in state.receive_connectors if c.front_end and 25 in c.ports)
    state.receive_connectors.append(replace(default, name="Scanners", remote_ip_ranges=("127.0.0.0/8",)))
    state.transport_changed()
    assert who_answers(looker, version) == "answered by the receive connector 'Scanners'"

    state.receive_connectors[-1].fqdn = "scanners.contoso.test"
    state.transport_changed()
    assert "'Scanners'" in who_answers(looker, version)


def who_answers(looker: Looker, version: Material) -> str:
    with organisation(looker.made) as reached:
        connectors = reached.state(looker.server.spec.fqdn).connectors or ()
    return looker.judge(version, connectors=connectors)["SMTP 25"].detail


def test_an_edge_server_is_only_shown(tmp_path: Path) -> None:
    with world(tmp_path, spec("MAIL01"), spec("EDGE01", role=Role.EDGE)) as made:
        edge = made.organisation["EDGE01"]
        where = {number: f"{host}:{port}" for number, (host, port) in edge.ports.items()}
        chosen = ports.chosen([f"EDGE/LDAPS:{where[50636]}", f"EDGE/TRANSPORT:{where[25]}"], ["MAIL01"])
        watch = Watch((), NAME, made.authority.issue().facts.sha256, lambda: datetime.now(UTC), QUICK)
        watch.add(chosen)
        watch.add(chosen)
        assert watch.ports == watch.asked == chosen
        rows = watch.settle(watch.asked)
        assert {row.service: row.verdict.value for row in rows} == {"Edge LDAPS": "ok", "internal transport": "ok"}
        assert {row.detail for row in rows} == {"unchanged, as it should be"}


# --- outbound ------------------------------------------------------------------------------------------------------


def test_the_queue_of_a_send_connector_tells_that_its_certificate_is_gone(looker: Looker) -> None:
    made, state = looker.made, looker.server.state
    working = put(looker, made.authority.issue())
    connector = SendConnector(
        "To partner", smart_hosts=("partner.contoso.test",), tls_certificate_name=working.tls_certificate_name
    )
    made.organisation.state.send_connectors.append(connector)
    state.transport_changed()
    with organisation(made) as reached:
        snapshot = discover(reached, [looker.server.spec.fqdn], made.journal)

        def look() -> tuple[queues.Outbound, ...]:
            return queues.look(reached, snapshot, snapshot.send_connectors or ())

        known = queues.before_of(look())
        (row,) = queues.judge(look(), known)
        assert (row.service, row.before, row.address) == ("outbound: To partner", "Ready", "partner.contoso.test")

        connector.tls_certificate_name = "<I>CN=Another CA<S>CN=mail.contoso.test"
        state.transport_changed()
        (row,) = queues.judge(look(), known)
        assert row.verdict is Verdict.REGRESSION
        assert "454 4.7.5" in row.detail

        events = {looker.server.spec.fqdn: state.transport.events}
        (noted,) = queues.judge(look(), known, events)
        assert noted.detail.startswith("event 12014")
        assert any("12014" in f.message for f in queues.warnings(events))

        connector.tls_certificate_name = working.tls_certificate_name
        state.transport_changed()
        (row,) = queues.judge(look(), known)
        assert row.verdict is Verdict.OK


def test_queues_that_may_not_be_read_are_told_as_such(tmp_path: Path) -> None:
    with world(tmp_path, hidden_cmdlets=["Get-Queue"]) as made:
        made.organisation.state.send_connectors.append(SendConnector("To partner", smart_hosts=("p.contoso.test",)))
        with organisation(made) as reached:
            snapshot = discover(reached, [made.first.spec.fqdn], made.journal)
            (row,) = queues.judge(queues.look(reached, snapshot, snapshot.send_connectors or ()), {})
    assert row.now is None
    assert "the queue cannot be read" in row.detail
