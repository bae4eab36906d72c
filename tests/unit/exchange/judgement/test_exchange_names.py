"""The names that an organisation needs, where each comes from, and what a certificate does for it."""

from dataclasses import replace

import pytest

from certwright.exchange.judgement.names import Coverage, NameVerdict, judge, proposed_names, required_names
from certwright.exchange.model import ServerState, WebAddress
from certwright.exchange.snapshot import AcceptedDomain, Snapshot
from unit.exchange.organisations import MAIL, addresses, facts, front_end, hybrid_connector, organisation, server


def verdicts(snapshot: Snapshot, *names: str, public: bool = True) -> dict[str, NameVerdict]:
    """By name: what a certificate for `names` does."""
    found = judge(required_names(snapshot), facts(*names) if names else None, public=public)
    return {verdict.name: verdict for verdict in found}


def sources(snapshot: Snapshot, name: str) -> list[str]:
    return [
        str(source) for required in required_names(snapshot) if required.name == name for source in required.sources
    ]


def with_internal(name: str, **changed: str) -> ServerState:
    return server("EX01", addresses=addresses("EX01", internal=name, **changed))


@pytest.mark.parametrize(
    "setting",
    [
        *(
            f"{service} {side} URL"
            for service in ("OWA", "ECP", "EWS", "ActiveSync", "OAB", "MAPI")
            for side in ("internal", "external")
        ),
        "Outlook Anywhere internal host name",
        "Outlook Anywhere external host name",
        "Autodiscover internal URI",
    ],
)
def test_every_address_is_a_source_in_words(setting: str) -> None:
    assert f"{setting} of EX01" in sources(organisation(), MAIL)


def test_settings_of_pop_imap_and_receive_connectors_are_sources() -> None:
    state = server(
        pop_name="pop.contoso.com",
        imap_name="imap.contoso.com",
        connectors=(front_end("EX01", fqdn="smtp.contoso.com"),),
    )
    found = organisation(state)
    assert sources(found, "pop.contoso.com") == ["POP certificate name of EX01"]
    assert sources(found, "imap.contoso.com") == ["IMAP certificate name of EX01"]
    assert sources(found, "smtp.contoso.com") == ["Fqdn of the receive connector EX01\\Default Frontend EX01"]


def test_connectors_that_nobody_outside_reaches_need_no_name() -> None:
    hub = front_end("EX01", role="HubTransport", fqdn="hub.contoso.com")
    off = front_end("EX01", enabled=False, fqdn="off.contoso.com")
    found = {required.name for required in required_names(organisation(server(connectors=(hub, off))))}
    assert not {"hub.contoso.com", "off.contoso.com"} & found


def test_autodiscover_is_needed_for_each_domain_that_is_ours_alone() -> None:
    domains = (
        AcceptedDomain("contoso.com", "Authoritative", is_default=True),
        AcceptedDomain("fabrikam.com", "Authoritative"),
        AcceptedDomain("partner.com", "InternalRelay"),
        AcceptedDomain("*.contoso.com", "Authoritative"),
        AcceptedDomain("contoso.mail.onmicrosoft.com", "Authoritative"),
    )
    found = [
        r.name for r in required_names(organisation(accepted_domains=domains)) if r.name.startswith("autodiscover")
    ]
    assert found == ["autodiscover.contoso.com", "autodiscover.fabrikam.com"]


def test_the_hybrid_connector_is_a_source() -> None:
    found = organisation(send_connectors=(hybrid_connector(fqdn="hybrid.contoso.com"),))
    assert sources(found, "hybrid.contoso.com") == ["Fqdn of the hybrid send connector Outbound to Office 365"]


def test_many_servers_make_a_short_sentence() -> None:
    found = organisation(*(server(f"EX{number:02}") for number in range(1, 6)))
    assert "OWA external URL of EX01, EX02, EX03 and 2 more" in sources(found, MAIL)


def test_plain_http_needs_no_certificate() -> None:
    state = server(addresses=(WebAddress("PowerShell", "http://shell.contoso.com/powershell", "", "EX01\\PowerShell"),))
    assert "shell.contoso.com" not in {required.name for required in required_names(organisation(state))}


def test_what_is_not_known_asks_for_nothing() -> None:
    state = server(addresses=None, connectors=None, pop_name=None, imap_name=None)
    assert required_names(organisation(state, accepted_domains=None, send_connectors=None)) == ()


def test_covered_and_missing() -> None:
    found = verdicts(organisation(), MAIL)
    assert found[MAIL].coverage is Coverage.COVERED
    assert found["autodiscover.contoso.com"].coverage is Coverage.MISSING
    assert found["autodiscover.contoso.com"].remedy


def test_all_is_missing_where_there_is_no_certificate_yet() -> None:
    assert verdicts(organisation())[MAIL].coverage is Coverage.MISSING


def test_the_servers_own_certificate_does_for_its_own_name() -> None:
    found = verdicts(organisation(), MAIL)
    assert found["ex01.contoso.com"].coverage is Coverage.OWN


def test_an_own_name_that_browsers_ask_for_is_needed() -> None:
    found = verdicts(organisation(with_internal("ex01.contoso.com")), MAIL)
    assert found["ex01.contoso.com"].coverage is Coverage.MISSING


def test_a_name_that_a_wildcard_covers_too_is_redundant() -> None:
    found = verdicts(organisation(), "contoso.com", "*.contoso.com", MAIL)
    assert found[MAIL].coverage is Coverage.REDUNDANT
    assert found["autodiscover.contoso.com"].coverage is Coverage.COVERED


def test_a_name_that_nothing_uses_is_told() -> None:
    found = verdicts(organisation(), MAIL, "old.contoso.com", "*.contoso.com")
    assert found["old.contoso.com"].coverage is Coverage.UNUSED
    assert "*.contoso.com" not in found


@pytest.mark.parametrize(
    ("cmdlet", "parameter"),
    [
        (
            "Set-OwaVirtualDirectory -Identity 'EX01\\owa (Default Web Site)'",
            "-InternalUrl 'https://mail.contoso.com/owa'",
        ),
        (
            "Set-EcpVirtualDirectory -Identity 'EX01\\ecp (Default Web Site)'",
            "-InternalUrl 'https://mail.contoso.com/ecp'",
        ),
        (
            "Set-WebServicesVirtualDirectory -Identity 'EX01\\EWS/Exchange.asmx (Default Web Site)'",
            "-InternalUrl 'https://mail.contoso.com/EWS/Exchange.asmx'",
        ),
        ("Set-ActiveSyncVirtualDirectory", "-InternalUrl 'https://mail.contoso.com/Microsoft-Server-ActiveSync'"),
        ("Set-OabVirtualDirectory", "-InternalUrl 'https://mail.contoso.com/OAB'"),
        ("Set-MapiVirtualDirectory", "-InternalUrl 'https://mail.contoso.com/mapi'"),
        (
            "Set-OutlookAnywhere -Identity 'EX01\\Rpc (Default Web Site)'",
            "-InternalHostname 'mail.contoso.com' -InternalClientsRequireSsl $true",
        ),
        (
            "Set-ClientAccessService -Identity 'EX01'",
            "-AutoDiscoverServiceInternalUri 'https://mail.contoso.com/Autodiscover/Autodiscover.xml'",
        ),
    ],
)
def test_an_intranet_name_comes_with_the_command_that_moves_it(cmdlet: str, parameter: str) -> None:
    found = verdicts(organisation(with_internal("ex01.contoso.local")), MAIL)["ex01.contoso.local"]
    assert found.coverage is Coverage.NOT_PUBLIC
    command = next(part for part in found.remedy.split("; ") if f"{cmdlet} " in part)
    assert parameter in command


def test_2013_has_another_cmdlet_for_autodiscover() -> None:
    state = with_internal("ex01.contoso.local")
    state = replace(state, info=replace(state.info, version="Version 15.0 (Build 1497.2)"))
    found = verdicts(organisation(state), MAIL)["ex01.contoso.local"]
    assert "Set-ClientAccessServer -Identity 'EX01'" in found.remedy


def test_an_authority_of_your_own_issues_for_intranet_names() -> None:
    found = verdicts(organisation(with_internal("ex01.contoso.local")), MAIL, public=False)["ex01.contoso.local"]
    assert found.coverage is Coverage.MISSING


@pytest.mark.parametrize("resolves", [True, False, None])
def test_whether_a_name_resolves_is_told_and_not_guessed(resolves: bool | None) -> None:
    found = judge(required_names(organisation()), facts(MAIL), lambda _: resolves)
    missing = next(verdict for verdict in found if verdict.coverage is Coverage.MISSING)
    assert missing.resolves is resolves
    assert ("does not resolve" in missing.remedy) is (resolves is False)


def test_the_mail_host_comes_first_then_autodiscover() -> None:
    state = server(addresses=(*addresses("EX01"), WebAddress("OWA", "https://alpha.contoso.com/owa", "", "x")))
    assert proposed_names(organisation(state)) == (MAIL, "autodiscover.contoso.com", "alpha.contoso.com")


def test_what_clients_outside_use_is_the_mail_host() -> None:
    state = server(addresses=addresses("EX01", internal="inside.contoso.com", external="outside.contoso.com"))
    assert proposed_names(organisation(state))[0] == "outside.contoso.com"


def test_a_host_name_too_long_for_a_common_name_does_not_come_first() -> None:
    long = f"{'a' * 60}.contoso.com"
    state = server(addresses=addresses("EX01", internal=long, external=long))
    proposed = proposed_names(organisation(state))
    assert len(proposed[0]) <= 64
    assert long in proposed


@pytest.mark.parametrize("name", ["ex01.contoso.local", "ex01", "ex_01.contoso.com", "10.0.0.5"])
def test_nothing_is_proposed_that_no_public_authority_issues(name: str) -> None:
    assert name not in proposed_names(organisation(with_internal(name)))


def test_servers_own_names_are_not_published_without_need() -> None:
    assert "ex01.contoso.com" not in proposed_names(organisation())


def test_what_does_not_resolve_is_not_proposed() -> None:
    assert proposed_names(organisation(), lambda name: name == MAIL) == (MAIL,)


def test_without_a_public_name_the_most_used_one_is_the_mail_host() -> None:
    inside = server(
        "EX01", domain="contoso.test", addresses=addresses("EX01", "mail.contoso.test", "mail.contoso.test")
    )
    domains = (AcceptedDomain("contoso.test", "Authoritative", is_default=True),)
    proposed = proposed_names(organisation(inside, accepted_domains=domains), public=False)
    assert proposed[:2] == ("mail.contoso.test", "autodiscover.contoso.test")
