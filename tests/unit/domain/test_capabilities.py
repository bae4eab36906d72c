"""What an authority cannot issue is told before it is asked."""

import pytest

from certwright.domain.capabilities import check_capabilities, check_choice, check_issuer
from certwright.domain.errors import CertwrightError, ConfigurationError, InvalidIdentifier, InvalidMaterial
from certwright.domain.keys import KeySource, KeyType
from certwright.domain.managed import Issuer, IssuerCapabilities, KeySettings, ManagedCertificate, RenewalPolicy
from certwright.domain.validation import Validation
from unit.domain.test_managed import OWN_CSR, PUBLIC, managed

PRIVATE = IssuerCapabilities(internal_names=True)


def refusal(wanted: ManagedCertificate, capabilities: IssuerCapabilities) -> CertwrightError:
    with pytest.raises(CertwrightError) as caught:
        check_capabilities(wanted, capabilities)
    return caught.value


def test_one_that_stands_in_need_not_have_the_profile() -> None:
    second = Issuer(name="second", kind="acme", params={})
    check_issuer(managed(profile="classic", fallback_issuers=("second", "third")), second)
    with pytest.raises(ConfigurationError, match="has no profile"):
        check_issuer(managed(profile="classic", issuer="second"), second)


@pytest.mark.parametrize(("days", "refused"), [(42, False), (45, True), (None, False)])
def test_a_certificate_that_lives_shorter_than_the_wish_to_renew_is_refused(days: int | None, refused: bool) -> None:
    issuer = Issuer(
        name="le",
        kind="acme",
        params={"authority": "letsencrypt"},
        capabilities=IssuerCapabilities(profiles={"tlsserver": ""}),
    )
    wanted = managed(profile="tlsserver", renewal=RenewalPolicy(days_before=days))
    if refused:
        with pytest.raises(ConfigurationError, match="45 days before its end: it lives 45 days"):
            check_choice(wanted, issuer)
    else:
        check_choice(wanted, issuer)
    check_issuer(wanted, issuer)  # what was chosen once stops no request, though lives have become shorter


def test_an_address_is_issued_with_the_profile_that_the_refusal_names() -> None:
    issuer = Issuer(
        name="le",
        kind="acme",
        params={"authority": "letsencrypt"},
        capabilities=IssuerCapabilities(profiles={"classic": "", "shortlived": ""}),
    )
    wanted = managed("8.8.8.8")
    with pytest.raises(InvalidIdentifier) as caught:
        check_issuer(wanted, issuer)
    assert "issues only with --profile shortlived" in str(caught.value.causes)
    check_issuer(wanted.model_copy(update={"profile": "shortlived"}), issuer)


@pytest.mark.parametrize(
    ("wanted", "capabilities"),
    [
        (managed(), PUBLIC),
        (managed("mail.contoso.com", "8.8.8.8"), PUBLIC),
        (managed("*.contoso.com", "contoso.com", validations=(Validation(challenge="dns-01"),)), PUBLIC),
        (
            managed(
                "*.contoso.com", validations=(Validation(), Validation(challenge="dns-01", names=("*.contoso.com",)))
            ),
            PUBLIC,
        ),
        (managed("ex01", "ex01.contoso.local", "10.0.0.1"), PRIVATE),
        (managed("*.contoso.test", "a.contoso.test", validations=(Validation(challenge="dns-01"),)), PRIVATE),
        (
            managed("*.contoso.test", validations=(Validation(challenge="dns-persist-01", solver="dns_persist"),)),
            PRIVATE,
        ),
        (managed(profile="classic"), PUBLIC),
        (managed(*[f"h{i}.contoso.com" for i in range(100)]), PUBLIC),
        (managed(*[f"h{i}.contoso.com" for i in range(101)]), IssuerCapabilities(max_names=None)),
        (managed(key=KeySettings(source=KeySource.OWN_CSR, own_csr=OWN_CSR)), PUBLIC),
        (
            managed(key=KeySettings(source=KeySource.OWN_KEY, own_key="k")),
            IssuerCapabilities(key_types=(KeyType.RSA_4096,)),
        ),
    ],
)
def test_what_an_authority_can_issue_passes(wanted: ManagedCertificate, capabilities: IssuerCapabilities) -> None:
    check_capabilities(wanted, capabilities)


@pytest.mark.parametrize(
    ("wanted", "capabilities", "told"),
    [
        (managed("mail.contoso.com", "ex01"), PUBLIC, "ex01 is a single label"),
        (managed("mail.contoso.local"), PUBLIC, "ends in .local"),
        (managed("192.168.0.1"), PUBLIC, "private or reserved"),
        (managed("*.co.uk", validations=(Validation(challenge="dns-01"),)), PUBLIC, "whole public suffix"),
        (managed("*.contoso.com"), PUBLIC, "only dns-01"),
        (managed("*.contoso.com"), PRIVATE, "only dns-01"),
        (
            managed("*.contoso.com", validations=(Validation(challenge="dns-01"),)),
            IssuerCapabilities(wildcards=False),
            "does not issue",
        ),
        (managed("8.8.8.8"), IssuerCapabilities(ip_addresses=False), "does not issue"),
        (managed("8.8.8.8", validations=(Validation(challenge="dns-01"),)), PUBLIC, "dns-01 cannot prove"),
        (
            managed("8.8.8.8", validations=(Validation(challenge="dns-persist-01"),)),
            PUBLIC,
            "dns-persist-01 cannot prove",
        ),
        (
            managed("*.contoso.com", "a.contoso.com", validations=(Validation(challenge="dns-01"),)),
            PUBLIC,
            "a.contoso.com is covered by a wildcard of the same certificate",
        ),
    ],
)
def test_a_name_that_an_authority_cannot_issue_is_told(
    wanted: ManagedCertificate, capabilities: IssuerCapabilities, told: str
) -> None:
    error = refusal(wanted, capabilities)
    assert isinstance(error, InvalidIdentifier)
    assert told in "\n".join(error.explain())
    assert error.hint


def test_how_a_name_can_be_proved_instead_is_told() -> None:
    hint = refusal(managed("*.contoso.com", "mail.fabrikam.com"), PUBLIC).hint
    assert "--dns CREDENTIAL" in hint
    assert "--for '*.contoso.com'" in hint
    assert "internet" not in hint
    hint = refusal(managed("8.8.8.8", validations=(Validation(challenge="dns-01"),)), PUBLIC).hint
    assert "http_listener --for 8.8.8.8" in hint


def test_all_names_in_the_way_are_told_at_once() -> None:
    error = refusal(managed("ex01", "mail.contoso.com", "mail.contoso.local", "10.0.0.1"), PUBLIC)
    assert len(error.causes) == 3


@pytest.mark.parametrize(
    ("wanted", "capabilities", "told"),
    [
        (
            managed("a.contoso.com", "b.contoso.com"),
            IssuerCapabilities(max_names=1),
            "2 names; the issuer 'le' allows 1",
        ),
        (managed(), IssuerCapabilities(key_types=(KeyType.ECDSA_P256,)), "does not sign rsa-2048 keys"),
        (
            managed(key=KeySettings(source=KeySource.OWN_CSR, own_csr=OWN_CSR)),
            IssuerCapabilities(key_types=(KeyType.RSA_2048,)),
            "does not sign ecdsa-p256 keys",
        ),
        (managed(profile="shortlived"), PUBLIC, "no profile 'shortlived'"),
        (
            managed("mail.contoso.com", "b.contoso.com", key=KeySettings(source=KeySource.OWN_CSR, own_csr=OWN_CSR)),
            PUBLIC,
            "for other names",
        ),
    ],
)
def test_what_else_an_authority_cannot_do_is_told(
    wanted: ManagedCertificate, capabilities: IssuerCapabilities, told: str
) -> None:
    error = refusal(wanted, capabilities)
    assert isinstance(error, ConfigurationError)
    assert told in error.message
    assert error.hint


def test_an_own_request_that_cannot_be_read_is_told() -> None:
    wanted = managed(key=KeySettings(source=KeySource.OWN_CSR, own_csr="rubbish"))
    assert isinstance(refusal(wanted, PUBLIC), InvalidMaterial)
