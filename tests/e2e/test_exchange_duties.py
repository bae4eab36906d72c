"""Every failure that is known from operators of Exchange becomes a duty of ours, and a test against the simulator.

Those that had none elsewhere are in this file, named after their row. Where each row's test is:

| Failure | Test |
|---|---|
| -Force replaces the default SMTP certificate | deploy: the_back_end_site_and_...; refusals: TestInternalTransport |
| Back End site on 444 | deploy: the_back_end_site_...; verify: the_back_end_must_keep_its_own; doctor: every_illness |
| Connector mismatch, 454 4.7.5 | connectors: all_that_named_the_earlier_certificate_...; whole: from_setup_to_cleanup |
| Same issuer and subject | connectors: where_issuer_and_subject_stay_...; cleanup: a_connector_that_names_both_... |
| Subject and issuer strings | `test_subject_and_issuer_are_copied_from_exchange` |
| Empty subject | refusals: certificates_that_exchange_cannot_use_are_refused |
| clientAuth EKU | `test_client_authentication_that_a_connector_needs` |
| Connector selection too wide | connectors: a_connector_that_names_nothing_of_ours_..., ..._a_server_without_... |
| Hybrid: names, 5.7.64 | `TestHybridNames`; connectors: all_that_named_the_earlier_... |
| Set-AuthConfig, federation | `TestSigningCertificates` |
| CNG/KSP | `TestKeyStorageProvider` |
| AES-PBES2 PFX on Windows up to 2016 | `test_pfx_cipher_of_old_windows` |
| Wildcard with POP and IMAP | `test_wildcard_with_pop_and_imap` |
| POP and IMAP off by default, restart | refusals: services_that_do_not_run_..., pop_and_imap_without_winrm_... |
| OWA cookie behind a balancer | waves: iis_is_restarted_on_one_server_after_the_other |
| UM, UMCallRouter | `TestUnifiedMessaging` |
| Edge renewal | `test_edge_is_a_step_by_hand`; verify: an_edge_server_is_only_shown |
| DAG | deploy: two_servers_get_the_same_certificate_...; waves: servers_behind_one_balancer_change_together |
| Extended Protection, TLS-bridging balancer | `TestLoadBalancer`; verify: what_stands_in_front_... |
| PrivateKeyMissing | faults: a_key_lost_on_import_is_found_out_... |
| Key that is not exportable, new member | `test_a_new_member_gets_the_key_that_no_server_gives_away` |
| "A special Rpc error" | faults: an_rpc_error_that_passes_..., a_cmdlet_that_fails_is_rolled_back_... |
| Key unreadable | `test_a_key_that_network_service_may_not_read`; verify_task: mail_that_is_stuck_... |
| Removal blocked | cleanup: what_exchange_refuses_is_deferred_..., TestKept |
| Name-filtered cleanup | cleanup: what_is_superseded_and_unused_is_removed_and_nothing_else |
| Missing intermediate | `TestMissingIntermediate` |
| RevocationCheckFailure | `test_revocation_check_failure_warns_and_goes_on`, `test_a_bad_status_blocks` |
| IIS bindings with address or SNI | `test_iis_binding_that_hides_the_change`; verify: a_binding_for_the_host_... |
| Services displays more than is enabled | `test_services_that_exchange_only_displays` |
| Names required | doctor: the_names_come_from_where_clients_are_sent |
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.domain.deployment import Finding, Plan, Severity, Verdict, failures
from certwright.domain.errors import ConfigurationError, NeedsPerson
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.exchange_simulator import (
    Distrusted,
    ExchangeServer,
    Fail,
    FederationTrust,
    HybridConfiguration,
    IssuersLost,
    Refused,
    Role,
    SendConnector,
    Services,
    Status,
    StoredCertificate,
    Version,
    WebBinding,
)
from certwright.exchange_simulator.certificates import (
    CRYPTO_SERVICE_PROVIDER,
    KEY_STORAGE_PROVIDER,
    distinguished_name,
    read_bundle,
)
from certwright.exchange_simulator.mail_access import IMAP_SERVICES, POP_SERVICES
from certwright.probe import Observation, Target, probe
from certwright.sdk.context import Material
from peers.balancer import Address, bridging, forwarding
from peers.exchange_task import NAME, NAMES, WAYS, Authority, World, deploy, pfx, run, spec, take_back, world

pytestmark = pytest.mark.e2e
IMPORT, ENABLE, REMOVE = "Import-ExchangeCertificate", "Enable-ExchangeCertificate", "Remove-ExchangeCertificate"
SEEN = (443, 25)
_DER = Encoding.DER


@pytest.fixture
def one(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def two(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, spec("MAIL01"), spec("MAIL02")) as made:
        yield made


def less(made: World, **changed: Any) -> dict[str, Any]:
    """IIS and SMTP alone, looked at on one port each."""
    words = [
        f"{server.spec.fqdn}/{WAYS[port]}:{server.ports[port][0]}:{server.ports[port][1]}"
        for server in made.organisation.servers.values()
        if server.spec.role is not Role.EDGE
        for port in SEEN
    ]
    return {"services": "IIS,SMTP", "winrm": None, "verify": words, **changed}


def found(plan: Plan, check: str) -> Finding:
    (one,) = [finding for finding in plan.findings if finding.check == check]
    return one


def put(server: ExchangeServer, material: Material) -> StoredCertificate:
    """What an administrator does who imports a certificate and assigns it to nothing."""
    return server.state.import_certificate(read_bundle(pfx(material), "pfx"), exportable=False, friendly_name=None)


def refused(made: World, services: str) -> str:
    """What is said of a task for these services."""
    with pytest.raises(ConfigurationError) as error:
        made.task(made.authority.issue(), services=services)
    return "\n".join(error.value.explain())


def called(made: World, cmdlet: str) -> list[dict[str, Any]]:
    return [dict(call.parameters) for call in made.organisation.mutations if call.cmdlet == cmdlet]


# --- connectors and names --------------------------------------------------------------------------------------------


def test_subject_and_issuer_are_copied_from_exchange(one: World) -> None:
    named = [("C", "DE"), ("ST", "Bayern"), ("O", "Contoso, Ltd."), ("CN", "Contoso Issuing CA")]
    oids = {"C": NameOID.COUNTRY_NAME, "ST": NameOID.STATE_OR_PROVINCE_NAME, "O": NameOID.ORGANIZATION_NAME}
    name = x509.Name([x509.NameAttribute(oids.get(kind, NameOID.COMMON_NAME), value) for kind, value in named])
    old, version = one.authority.issue(), Authority(name).issue()
    earlier = one.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
    connector = SendConnector("To partner", tls_certificate_name=earlier.tls_certificate_name)
    one.organisation.state.send_connectors.append(connector)
    deploy(one.task(version, [old], **less(one)))
    written = 'CN=Contoso Issuing CA, O="Contoso, Ltd.", S=Bayern, C=DE'
    assert connector.tls_certificate_name == f"<I>{written}<S>CN={NAME}"
    assert distinguished_name(name) == written


def test_client_authentication_that_a_connector_needs(one: World) -> None:
    old = one.authority.issue(uses=[ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    version = one.authority.issue(uses=[ExtendedKeyUsageOID.SERVER_AUTH])
    earlier = one.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
    connector = SendConnector("To partner", smart_hosts=("mx.partner.test",), require_tls=True)
    connector.tls_certificate_name = earlier.tls_certificate_name
    one.organisation.state.send_connectors.append(connector)
    ended = run(one.task(version, [old], **less(one)))
    assert ended.stage == "failed"
    assert "The send connector 'To partner' presents the certificate as a client" in ended.told
    assert "mx.partner.test" in ended.told
    assert "certwright exchange acknowledge 'To partner'" in ended.told
    assert not one.mutations


class TestHybridNames:
    """Exchange Online knows the organisation by a name on the certificate (550 5.7.64)."""

    @pytest.fixture
    def old(self, one: World) -> Material:
        old = one.authority.issue()
        stored = one.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
        state = one.organisation.state
        state.send_connectors.append(
            SendConnector(
                "Outbound to Office 365",
                tls_certificate_name=stored.tls_certificate_name,
                cloud_services_mail=True,
                require_tls=True,
            )
        )
        state.hybrid = HybridConfiguration(tls_certificate_name=stored.tls_certificate_name)
        return old

    def told(self, one: World, version: Material, old: Material) -> list[Finding]:
        plan = one.task(version, [old], **less(one)).plan()
        return [finding for finding in plan.findings if finding.check == "hybrid-names"]

    def test_that_stay_are_not_worth_a_word(self, one: World, old: Material) -> None:
        assert self.told(one, one.authority.issue(), old) == []

    def test_a_common_name_that_changes(self, one: World, old: Material) -> None:
        (changed,) = self.told(one, one.authority.issue(("owa.contoso.test", *NAMES)), old)
        assert changed.severity is Severity.WARN
        assert f"changes from {NAME} to owa.contoso.test" in changed.message
        assert "Outbound to Office 365" in changed.message
        assert "TlsSenderCertificateName" in changed.message
        assert "Get-InboundConnector | Format-List -Property 'Name', 'TlsSenderCertificateName'" in changed.remedy
        assert "Set-InboundConnector -Identity NAME -TlsSenderCertificateName 'owa.contoso.test'" in changed.remedy

    def test_a_common_name_outside_of_the_accepted_domains(self, one: World, old: Material) -> None:
        outside, changed = self.told(one, one.authority.issue(("mail.fabrikam.test", *NAMES)), old)
        assert "550 5.7.64" in outside.message
        assert "mail.fabrikam.test" in outside.message
        assert "accepted domains (contoso.test)" in outside.message
        assert "New-AcceptedDomain -Name 'fabrikam.test' -DomainName 'fabrikam.test'" in outside.remedy
        assert "mail.fabrikam.test" in changed.message


# --- certificates that sign ------------------------------------------------------------------------------------------


class TestSigningCertificates:
    """Those of Set-AuthConfig and Set-FederationTrust are never set, assigned or removed by us."""

    PLACES = ("current", "previous", "next")

    def sign_with(self, made: World, kind: str, place: str, thumbprint: str) -> None:
        state = made.organisation.state
        if kind == "federation":
            state.federation_trusts[:] = [FederationTrust(made.first.state.internal_transport)]
        signing = state.auth_config if kind == "auth" else state.federation_trusts[0]
        setattr(signing, place, thumbprint)

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("kind", ["auth", "federation"])
    def test_a_rollback_does_not_assign_it_again(self, one: World, kind: str, place: str) -> None:
        old, version = one.authority.issue(), one.authority.issue()
        one.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
        self.sign_with(one, kind, place, old.facts.thumbprint)
        task = one.task(version, [old], **less(one, verify=["off"]))
        task.apply(task.plan())
        ended = take_back(one.task(version, [old], **less(one, verify=["off"])), ())
        assert ended.stage == "rolled-back"
        assert "belongs to Exchange's own sign-in" in one.journal.text
        assert old.facts.thumbprint not in {call["Thumbprint"] for call in called(one, ENABLE)}
        assert set(one.mutations) <= {IMPORT, ENABLE}
        signing = one.organisation.state.auth_config if kind == "auth" else one.organisation.state.federation_trusts[0]
        assert getattr(signing, place) == old.facts.thumbprint

    def test_it_is_not_kept_as_internal_transport_certificate(self, one: World) -> None:
        state, version = one.first.state, one.authority.issue()
        state.internal_transport = one.organisation.state.auth_config.current
        plan, _ = deploy(one.task(version, **less(one)))
        told = found(plan, "internal-transport-replaced")
        assert "belongs to Exchange's own sign-in" in told.message
        assert "New-ExchangeCertificate -Server 'mail01.contoso.test'" in told.remedy
        assert state.internal_transport == version.facts.thumbprint

    def test_federation_is_no_service_of_ours(self, one: World) -> None:
        assert "Federation" in refused(one, "IIS,Federation")


# --- keys and files --------------------------------------------------------------------------------------------------


class TestKeyStorageProvider:
    """With a key in CNG, Outlook on the web returns to its sign-in page."""

    @pytest.fixture
    def old_server(self, tmp_path: Path) -> Iterator[World]:
        with world(tmp_path, spec(version=Version.EXCHANGE_2016)) as made:
            yield made

    def test_what_we_import_is_in_the_older_kind_and_people_can_sign_in(self, old_server: World) -> None:
        version = old_server.authority.issue()
        where = "{}:{}".format(*old_server.first.ports[443])
        deploy(old_server.task(version, **less(old_server, verify=[f"IIS:{where}", f"SIGN-IN:{where}"])))
        stored = old_server.first.state.certificates[version.facts.thumbprint]
        assert stored.provider == CRYPTO_SERVICE_PROVIDER
        assert not old_server.first.state.sign_in_loops(stored)

    def test_one_that_is_in_the_store_already_stops_all_before_it_is_used(self, old_server: World) -> None:
        version = old_server.authority.issue()
        put(old_server.first, version).provider = KEY_STORAGE_PROVIDER
        with_host = less(old_server, winrm=old_server.first.winrm_url)
        ended = run(old_server.task(version, **with_host))
        assert ended.stage == "failed"
        assert f"MAIL01: the key of {version.facts.thumbprint} is in a key-storage provider (CNG)" in ended.told
        assert f"Remove-ExchangeCertificate -Server 'MAIL01' -Thumbprint {version.facts.thumbprint}" in ended.told
        assert not old_server.mutations
        old_server.first.state.remove(version.facts.thumbprint)  # what the sentence says
        assert run(old_server.task(version, **with_host)).stage == "deployed"


@pytest.mark.parametrize("version", [Version.EXCHANGE_2013, Version.EXCHANGE_2016], ids=lambda version: version.name)
def test_pfx_cipher_of_old_windows(tmp_path: Path, version: Version) -> None:
    with world(tmp_path, spec(version=version)) as made:
        material = made.authority.issue()
        assert material.key is not None
        modern = pkcs12_bytes(material.key, material.chain, "pfx", PfxCipher.MODERN, "x")
        with pytest.raises(Refused, match="password specified is incorrect"):
            made.first.add_certificate(modern, "pfx")
        plan, _ = deploy(made.task(material, **less(made)))
        assert "3DES" in found(plan, "pfx-cipher").message
        assert made.first.state.certificates[material.facts.thumbprint].key is not None


def test_a_new_member_gets_the_key_that_no_server_gives_away(two: World) -> None:
    version = two.authority.issue()
    with pytest.raises(NeedsPerson, match="mail02"):
        deploy(two.task(version, **less(two, only="mail01.contoso.test")))
    assert [call["PrivateKeyExportable"] for call in called(two, IMPORT)] == [False]
    deploy(two.task(version, **less(two)))
    held = [server.state.certificates[version.facts.thumbprint] for server in two.organisation.servers.values()]
    assert all(stored.key is not None and not stored.exportable for stored in held)
    assert len(called(two, IMPORT)) == 2


def test_a_key_that_network_service_may_not_read(one: World) -> None:
    old = one.authority.issue()
    stored = one.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
    stored.readable_by_network_service = False
    plan = one.task(one.authority.issue(), [old], **less(one, winrm=one.first.winrm_url)).plan()
    told = found(plan, "key-access")
    assert told.severity is Severity.WARN
    assert f"MAIL01: NETWORK SERVICE may not read the key of {stored.thumbprint}" in told.message
    command = f"Enable-ExchangeCertificate -Server 'MAIL01' -Thumbprint {stored.thumbprint}"
    assert f"{command} -Services None -NetworkServiceAllowed" in told.remedy


# --- services --------------------------------------------------------------------------------------------------------


def test_wildcard_with_pop_and_imap(one: World) -> None:
    version, state = one.authority.issue(("*.contoso.test", NAME)), one.first.state
    for settings in (state.pop, state.imap):
        settings.x509_certificate_name = "old.fabrikam.test"
    plan, rows = deploy(one.task(version))
    assert not failures(rows)
    assert {row.service for row in rows if row.verdict is Verdict.OK} == {"IIS", "SMTP", "POP", "IMAP"}
    assert set(one.served().values()) == {version.facts.sha256[:16]}
    assert not any(call["Services"] & (Services.POP | Services.IMAP) for call in called(one, ENABLE))
    for protocol, settings in (("Pop", state.pop), ("Imap", state.imap)):
        assert settings.x509_certificate_name == "mail01.contoso.test"
        assert [call["X509CertificateName"] for call in called(one, f"Set-{protocol}Settings")] == [
            "mail01.contoso.test"
        ]
    restarted = [name for call in called(one, "Restart-Service") for name in call["Name"]]
    assert {*POP_SERVICES, *IMAP_SERVICES} <= set(restarted)
    assert "(MAIL01)" in found(plan, "wildcard-pop-imap").message
    assert not one.task(version).plan().changes


class TestUnifiedMessaging:
    """Its services need TLS or Dual mode: never assigned by us, and never taken away."""

    TELEPHONY = Services.UM | Services.UM_CALL_ROUTER

    @pytest.fixture
    def telephony(self, tmp_path: Path) -> Iterator[World]:
        with world(tmp_path, spec(version=Version.EXCHANGE_2016)) as made:
            yield made

    def test_goes_on_with_the_earlier_certificate_and_a_person_is_told_how_to_move_it(self, telephony: World) -> None:
        old, version = telephony.authority.issue(), telephony.authority.issue()
        stored = telephony.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP, UM, UMCallRouter")
        plan, rows = deploy(telephony.task(version, [old], **less(telephony, services=None)))
        assert not failures(rows)
        told = found(plan, "um-services")
        assert f"MAIL01: Unified Messaging uses the certificate that is replaced ({stored.thumbprint})" in told.message
        command = "Enable-ExchangeCertificate -Server 'MAIL01'"
        assert told.remedy.split("\n    ")[1:] == [
            "Stop-Service MSExchangeUM, MSExchangeUMCR",
            f"{command} -Thumbprint {version.facts.thumbprint} -Services 'UM, UMCallRouter'",
            "Start-Service MSExchangeUM, MSExchangeUMCR",
        ]
        assert stored.services & self.TELEPHONY == self.TELEPHONY
        assert not telephony.first.state.certificates[version.facts.thumbprint].services & self.TELEPHONY
        assert not any(call["Services"] & self.TELEPHONY for call in called(telephony, ENABLE))

    def test_is_no_service_of_ours(self, one: World) -> None:
        for service in ("UM", "UMCallRouter"):
            assert "services: choose among IMAP, POP, IIS, SMTP" in refused(one, f"IIS,{service}")


def test_edge_is_a_step_by_hand(tmp_path: Path) -> None:
    with world(tmp_path, spec(), spec("EDGE01", role=Role.EDGE)) as made:
        version, before = made.authority.issue(), dict(made.organisation["EDGE01"].state.certificates)
        plan, _ = deploy(made.task(version, **less(made)))
        told = found(plan, "edge")
        assert told.severity is Severity.WARN
        assert "EDGE01 is an Edge server" in told.message
        assert "certwright certificate export" in told.remedy
        assert f"Enable-ExchangeCertificate -Thumbprint {version.facts.thumbprint} -Services SMTP" in told.remedy
        assert "Answer No" in told.remedy
        assert made.organisation["EDGE01"].state.certificates == before
        assert {call.server for call in made.organisation.mutations} == {"MAIL01"}


def test_services_that_exchange_only_displays(one: World) -> None:
    version, other = one.authority.issue(), one.authority.issue(age=2)
    one.first.add_certificate(pfx(other), "pfx", services="IIS, SMTP")
    put(one.first, version).services = Services.IIS | Services.SMTP | Services.POP | Services.IMAP
    plan, rows = deploy(one.task(version, **less(one)))
    assert [call["Services"] for call in called(one, ENABLE)] == [Services.IIS]
    assert [change.action for change in plan.changes] == [ENABLE]
    assert not failures(rows)
    assert one.served()[443] == version.facts.sha256[:16]


def test_iis_binding_that_hides_the_change(one: World) -> None:
    old = one.authority.issue()
    stored = one.first.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
    one.first.state.web_bindings.append(WebBinding(1, 443, stored.thumbprint, host=NAME))
    where = "{}:{}".format(*one.first.ports[443])
    seen = less(one)["verify"]
    looked_at = less(one, winrm=one.first.winrm_url, verify=[*seen, f"IIS-NO-SNI:{where}"])
    told = found(one.task(one.authority.issue(), [old], **looked_at).plan(), "iis-bindings")
    assert f"MAIL01: IIS has a binding by the name that clients ask for (SNI), *:443:{NAME}" in told.message
    assert (
        f"Remove-WebBinding -Name 'Default Web Site' -Protocol https -BindingInformation '*:443:{NAME}'" in told.remedy
    )
    ended = run(one.task(one.authority.issue(), [old], **looked_at))
    assert ended.stage == "rolled-back", ended.told
    assert "a binding of its own hides the change" in ended.told
    assert one.served()[443] == old.facts.sha256[:16]


# --- what stands in front --------------------------------------------------------------------------------------------


class TestLoadBalancer:
    """Its address is a target like any other, and its certificate is compared with that of every server."""

    def nodes(self, two: World) -> list[Address]:
        return [server.ports[443] for server in two.organisation.servers.values()]

    def behind(self, two: World, address: Address) -> dict[str, Any]:
        """The parameters with the balancer as a target."""
        host, port = address
        seen = less(two)
        return {**seen, "verify": [*seen["verify"], f"BALANCER/IIS:{host}:{port}"]}

    @pytest.fixture
    def old(self, two: World) -> Material:
        old = two.authority.issue()
        for server in two.organisation.servers.values():
            server.add_certificate(pfx(old), "pfx", services="IIS, SMTP")
        return old

    def test_that_passes_tcp_on_shows_what_the_servers_serve(self, two: World, old: Material) -> None:
        version = two.authority.issue()
        with forwarding(*self.nodes(two)) as address:
            plan, rows = deploy(two.task(version, [old], **self.behind(two, address)))
        assert not [finding for finding in plan.findings if finding.check == "load-balancer"]
        (front,) = [row for row in rows if (row.address, row.port) == address]
        assert front.verdict is Verdict.OK
        assert front.before == f"{old.facts.sha256[:16]} {NAME}"
        assert front.now == f"{version.facts.sha256[:16]} {NAME}"

    def test_that_presents_a_certificate_of_its_own_is_named_before(self, two: World, old: Material) -> None:
        own = two.authority.issue()
        with bridging([own], *self.nodes(two)) as address:
            plan, rows = deploy(two.task(two.authority.issue(), [old], **self.behind(two, address)))
        told, place = found(plan, "load-balancer"), "{}:{}".format(*address)
        assert told.severity is Severity.WARN
        assert told.message.startswith(f"{place} serves {own.facts.thumbprint[:8]} ")
        assert old.facts.thumbprint[:8] in told.message
        assert "Extended Protection" in told.message
        assert "certwright certificate export 'Contoso mail' --format pfx" in told.remedy
        (front,) = [row for row in rows if (row.address, row.port) == address]
        assert front.verdict is Verdict.NOT_VERIFIED
        assert "stands in front" in front.detail

    def test_that_bridges_with_the_same_certificate_waits_for_a_person(self, two: World, old: Material) -> None:
        version, installed = two.authority.issue(), [old]
        with bridging(installed, *self.nodes(two)) as address:
            ended = run(two.task(version, [old], **self.behind(two, address)))
            assert ended.stage == "waiting", ended.told
            assert "{}:{} still presents the earlier certificate".format(*address) in ended.told
            assert "Extended Protection" in ended.told
            assert "certwright certificate export 'Contoso mail' --format pfx" in ended.told
            assert {two.served(s)[443] for s in two.organisation.servers.values()} == {version.facts.sha256[:16]}
            assert run(two.task(version, [old], **self.behind(two, address))).stage == "waiting"
            installed.append(version)
            done = len(two.mutations)
            again = run(two.task(version, [old], **self.behind(two, address)))
            assert again.stage == "deployed", again.told
            assert len(two.mutations) == done


# --- the chain -------------------------------------------------------------------------------------------------------


class TestMissingIntermediate:
    """The chain goes into the file without its root; where the server drops it, the issuers are imported as .p7b."""

    @pytest.fixture
    def version(self, one: World) -> Material:
        return Authority("Contoso Issuing CA", beneath=one.authority).issue()

    def sent(self, one: World, port: int) -> tuple[bytes, ...]:
        """What a port sends, in DER."""
        host, number = one.first.ports[port]
        seen: Observation = probe(Target(host, number, "smtp" if port == 25 else None, server_name=NAME))
        return seen.chain

    def whole(self, one: World, version: Material) -> bool:
        expected = tuple(c.public_bytes(_DER) for c in version.chain[:2])
        return all(self.sent(one, port) == expected for port in SEEN)

    def test_the_file_holds_the_chain_without_its_root(self, one: World, version: Material) -> None:
        ended = run(one.task(version, **less(one)))
        assert ended.stage == "deployed", ended.told
        assert len(version.chain) == 3
        assert self.whole(one, version)
        assert len(called(one, IMPORT)) == 1
        assert "no port is seen to send the certificate without its issuers" in one.journal.text
        assert not one.task(version, **less(one)).plan().changes

    def test_what_the_server_dropped_is_imported_as_p7b_once_a_port_lacks_it(
        self, one: World, version: Material
    ) -> None:
        one.first.faults.inject(IssuersLost(), IMPORT)
        task = one.task(version, **less(one))
        (planned,) = [c for c in task.plan().changes if c.action == IMPORT and "Password" not in c.parameters]
        assert "done only if" in planned.why
        assert planned.parameters["FileData"] == f"(PKCS#7: 1 issuer of certificate {version.facts.thumbprint})"
        ended = run(one.task(version, **less(one)))
        assert ended.stage == "deployed", ended.told
        assert self.whole(one, version)
        _, issuers = called(one, IMPORT)
        assert "Password" not in issuers
        assert issuers["Server"] == "mail01.contoso.test"
        assert one.mutations.index(ENABLE) < [i for i, c in enumerate(one.mutations) if c == IMPORT][1]
        assert f"{planned.typed}   (because {planned.why})" in one.journal.text
        assert "Read back: ports send the certificate with its issuers now." in one.journal.text

    def test_what_exchange_does_not_trust_gets_its_issuers_before_it_is_used(
        self, one: World, version: Material
    ) -> None:
        one.first.faults.inject(IssuersLost(untrusted=True), IMPORT)
        ended = run(one.task(version, **less(one)))
        assert ended.stage == "deployed", ended.told
        assert one.mutations[:3] == [IMPORT, IMPORT, ENABLE]
        assert one.mutations.count(IMPORT) == 2
        assert self.whole(one, version)
        assert "because its status there is Untrusted" in one.journal.text

    def test_one_that_is_in_the_store_already_without_trust_gets_them_too(self, one: World, version: Material) -> None:
        one.first.faults.inject(IssuersLost(untrusted=True), IMPORT)
        one.first.faults.inject(Fail("Access is denied."), IMPORT, nth=2)
        refused = run(one.task(version, **less(one)))
        assert refused.stage != "deployed"
        assert ENABLE not in one.mutations
        one.first.faults.heal()
        ended = run(one.task(version, **less(one)))
        assert ended.stage == "deployed", ended.told
        assert one.mutations[:3] == [IMPORT, IMPORT, ENABLE]
        assert self.whole(one, version)

    def test_where_that_does_not_help_a_person_is_told_and_the_next_run_tries_again(
        self, one: World, version: Material
    ) -> None:
        one.first.faults.inject(IssuersLost(), IMPORT, times=None)
        ended = run(one.task(version, **less(one)))
        assert ended.stage == "waiting", ended.told
        port = "{}:{}".format(*one.first.ports[443])
        assert "mail01.contoso.test sends the certificate at" in ended.told
        assert port in ended.told
        assert "CN=Contoso Issuing CA" in ended.told
        assert "certwright certificate export 'Contoso mail' --format p7b" in ended.told
        assert "certutil -addstore CA" in ended.told
        seen = one.task(version, **less(one)).inspect()
        assert "chain-sent" in {finding.check for finding in seen.findings}
        assert all("without the certificate of its issuer" in row.detail for row in seen.rows)

        one.first.faults.heal()
        again = one.task(version, **less(one))
        (change,) = again.plan().changes
        assert "a port sends the certificate without that of its issuer" in change.why
        assert run(one.task(version, **less(one))).stage == "deployed"
        assert self.whole(one, version)
        assert not one.task(version, **less(one)).inspect().findings

    def test_where_it_is_refused_the_web_site_stays_new_and_the_command_is_told(
        self, one: World, version: Material
    ) -> None:
        one.first.faults.inject(IssuersLost(), IMPORT)
        one.first.faults.inject(Fail("Access is denied."), IMPORT, nth=2, times=None)
        ended = run(one.task(version, **less(one)))
        assert ended.stage == "waiting", ended.told
        assert one.served()[443] == version.facts.sha256[:16]
        assert "Import-ExchangeCertificate -Server 'mail01.contoso.test' -FileData ([System.IO.File]" in ended.told
        assert "certwright certificate export 'Contoso mail' --format p7b" in ended.told


def test_revocation_check_failure_warns_and_goes_on(one: World) -> None:
    version = one.authority.issue()
    one.first.faults.inject(Distrusted(), IMPORT)
    ended = run(one.task(version, **less(one)))
    assert ended.stage == "deployed", ended.told
    assert "netsh winhttp show proxy" in one.journal.text
    later = one.authority.issue()
    told = found(one.task(later, [version], **less(one)).plan(), "revocation-check-failure")
    assert told.severity is Severity.WARN
    assert f"MAIL01: Exchange cannot ask whether {version.facts.thumbprint} is revoked" in told.message
    assert "netsh winhttp show proxy" in told.remedy


@pytest.mark.parametrize("status", [Status.REVOKED, Status.DATE_INVALID, Status.INVALID, Status.UNTRUSTED])
def test_a_bad_status_blocks(one: World, status: Status) -> None:
    version = one.authority.issue()
    one.first.faults.inject(Distrusted(status), IMPORT)
    ended = run(one.task(version, **less(one)))
    assert ended.stage != "deployed"
    assert "mail01.contoso.test does not accept the certificate: its status there is" in ended.told
    assert one.mutations == [IMPORT]
