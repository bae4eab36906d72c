from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from certwright.domain import authorities
from certwright.domain.authorities import CATALOGUE, CUSTOM, named, of
from certwright.domain.errors import ConfigurationError
from certwright.domain.keys import KeyType
from certwright.domain.limits import Scope
from certwright.domain.managed import Issuer, IssuerCapabilities

PROFILES = {"classic": "", "tlsserver": "", "shortlived": "", "new": "made yesterday"}


def issuer(**params: str) -> Issuer:
    return Issuer(name="ca", kind="acme", params=params, capabilities=IssuerCapabilities(profiles=PROFILES))


def test_every_entry_is_found_by_its_name_and_by_its_directory() -> None:
    for entry in CATALOGUE:
        assert named(entry.name.upper()) is entry
        assert of({"authority": entry.name, "directory": "https://elsewhere.test/"}) is entry
        if entry.directory:
            assert of({"directory": entry.directory}) is entry
            assert urlsplit(entry.directory).scheme == "https"
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE)


def test_what_is_not_known_is_custom() -> None:
    assert of({}) is of({"directory": "https://ca.contoso.test/directory", "authority": None}) is CUSTOM


@pytest.mark.parametrize(
    ("typed", "told", "next_step"),
    [
        ("letsencript", "letsencript", "Did you mean letsencrypt?"),
        ("verisign", "verisign", "letsencrypt, letsencrypt-staging, google"),
        ("Buypass", "Buypass has issued no certificates since 31 October 2025.", "certwright issuer authorities"),
    ],
)
def test_a_name_that_is_not_known_is_told_with_what_there_is(typed: str, told: str, next_step: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        named(typed)
    assert told in caught.value.message
    assert next_step in caught.value.hint


def test_an_authority_that_has_ended_is_known_by_its_hosts_too() -> None:
    authorities.refuse_gone("ca.buypass-reviews.test")
    for host in ("api.buypass.com", "api.test4.buypass.no"):
        with pytest.raises(ConfigurationError, match="Buypass"):
            authorities.refuse_gone(host)


def test_lets_encrypts_limits_are_those_that_it_publishes() -> None:
    refills = {limit.scope: (limit.most, limit.refill) for limit in named("letsencrypt").limits}
    assert refills == {
        Scope.ORDERS: (300, timedelta(seconds=36)),
        Scope.DOMAIN: (50, timedelta(minutes=201, seconds=36)),
        Scope.NAMES: (5, timedelta(hours=33, minutes=36)),
        Scope.FAILURES: (5, timedelta(minutes=12)),
        Scope.CONSECUTIVE: (1152, timedelta(days=1)),
        Scope.ACCOUNTS: (10, timedelta(minutes=18)),
    }


def test_what_an_issuer_can_do_is_narrowed_by_what_is_known_of_its_authority() -> None:
    actalis = issuer(authority="actalis").able(None)
    assert (actalis.wildcards, actalis.ip_addresses, actalis.max_names) == (False, False, 5)
    assert issuer(authority="sslcom-ecc").able(None).key_types == (KeyType.ECDSA_P256, KeyType.ECDSA_P384)
    assert issuer(directory="https://ca.contoso.test/").able(None) == issuer().capabilities


@pytest.mark.parametrize(
    ("profile", "ip", "most"),
    [
        (None, False, 100),
        ("classic", False, 100),
        ("tlsserver", False, 25),
        ("shortlived", True, 25),
        ("new", False, 100),
    ],
)
def test_what_a_profile_allows(profile: str | None, ip: bool, most: int) -> None:
    able = issuer(authority="letsencrypt").able(profile)
    assert (able.ip_addresses, able.max_names, able.ip_profiles) == (ip, most, ("shortlived",))
