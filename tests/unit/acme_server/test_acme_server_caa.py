"""CAA and dns-persist-01 as the CA reads them, from a DNS server on loopback."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme_server import ValidationConfig
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.problem import Problem
from certwright.acme_server.validation import Attempt, Validator, issue_value
from peers.acme_server import dns_server

ACCOUNT = "https://ca.contoso.test/account/1"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
NAME, WILDCARD = "www.shop.contoso.test", "*.shop.contoso.test"
_TAG = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True)
_VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=";"))


@dataclass
class World:
    resolver: str
    records: dict[tuple[str, str], list[str]] = field(repr=False)

    @property
    def validator(self) -> Validator:
        config = ValidationConfig(resolver=self.resolver, timeout=5)
        return Validator(config, ("CA.contoso.test", "authority.test"), lambda: NOW)

    def caa(self, owner: str, *values: str) -> None:
        self.records[owner, "CAA"] = list(values)

    def refusal(self, name: str = NAME, method: str = "http-01") -> Problem:
        with pytest.raises(Problem) as problem:
            self.check(name, method)
        return problem.value

    def check(self, name: str = NAME, method: str = "http-01") -> None:
        self.validator.check_caa(Identifier("dns", name), method, ACCOUNT)

    def persist(self, owner: str, *texts: str) -> None:
        self.records[f"_validation-persist.{owner}", "TXT"] = [f'"{text}"' for text in texts]

    def prove(self, name: str = NAME) -> timedelta | None:
        return self.validator.validate(Attempt("dns-persist-01", Identifier("dns", name), "", "", ACCOUNT))

    def failure(self, name: str = NAME) -> Problem:
        with pytest.raises(Problem) as problem:
            self.prove(name)
        return problem.value


@pytest.fixture
def world() -> Iterator[World]:
    with dns_server() as (resolver, records):
        yield World(resolver, records)


def test_without_records_every_ca_may_issue(world: World) -> None:
    world.check()


def test_the_closest_ancestor_with_records_decides(world: World) -> None:
    world.caa("contoso.test", '0 issue "ca.contoso.test"')
    world.check()
    world.caa("shop.contoso.test", '0 issue "other.test"')
    refusal = world.refusal()
    assert (refusal.type, refusal.status) == ("caa", 403)
    assert "records of shop.contoso.test forbid this CA" in refusal.detail
    assert "other.test may issue" in refusal.detail
    world.caa(NAME, '0 issue "authority.test"')
    world.check()


def test_an_alias_has_the_records_of_its_target_and_not_of_the_targets_parents(world: World) -> None:
    world.records[NAME, "CNAME"] = ["www.elsewhere.test."]
    world.records["www.elsewhere.test", "A"] = ["127.0.0.1"]
    world.caa("elsewhere.test", '0 issue ";"')
    world.check()
    world.caa("www.elsewhere.test", '0 issue "other.test"')
    assert world.refusal().type == "caa"


@pytest.mark.parametrize(
    ("values", "plain", "wild"),
    [
        (['0 issue "ca.contoso.test"'], True, True),
        (['0 issue "ca.contoso.test"', '0 issuewild ";"'], True, False),
        (['0 issue ";"', '0 issuewild "ca.contoso.test"'], False, True),
        (['0 issuewild "other.test"'], True, False),
        (['0 issue "other.test"', '0 issue "ca.contoso.test"'], True, True),
        (['0 issue ";"'], False, False),
        (['0 issue ""'], False, False),
        (['0 iodef "mailto:admin@contoso.test"'], True, True),
        (['128 iodef "mailto:admin@contoso.test"', '128 ISSUE "CA.contoso.test"'], True, True),
        (['0 tbs "unknown"'], True, True),
        (['128 tbs "unknown"', '0 issue "ca.contoso.test"'], False, False),
        (['1 tbs "unknown"', '0 issue "ca.contoso.test"'], False, False),
        (['2 tbs "unknown"', '0 issue "ca.contoso.test"'], True, True),
        (['128 issuevmc "other.test"', '0 issue "ca.contoso.test"'], False, False),
        (['128 contactemail "admin@contoso.test"'], False, False),
        (['0 contactemail "admin@contoso.test"'], True, True),
        (['129 issuemail ";"', '1 issue "ca.contoso.test"', '1 iodef "mailto:admin@contoso.test"'], True, True),
    ],
)
def test_properties(world: World, values: list[str], plain: bool, wild: bool) -> None:
    world.caa("shop.contoso.test", *values)
    for name, allowed in ((NAME, plain), (WILDCARD, wild)):
        if allowed:
            world.check(name)
        else:
            assert world.refusal(name).type == "caa"


@pytest.mark.parametrize(
    ("parameters", "allowed"),
    [
        ("", True),
        (" unknown=1; another=", True),
        (f" accounturi={ACCOUNT}", True),
        (f" accounturi={ACCOUNT}2", False),
        (" accounturi=", False),
        (f" accounturi={ACCOUNT}; accounturi={ACCOUNT}", False),
        (f" AccountURI = {ACCOUNT}2", False),
        (" validationmethods=dns-01,http-01", True),
        (" validationmethods=dns-01", False),
        (" validationmethods=", False),
        (" validationmethods=http-01,", False),
        (" validationmethods=http-01;validationmethods=http-01", False),
        (f" validationmethods=http-01; accounturi={ACCOUNT}", True),
        (" malformed", False),
        (" a=1;", False),
        (" a=b c", False),
        (" -a=1", False),
    ],
)
def test_parameters(world: World, parameters: str, allowed: bool) -> None:
    world.caa(NAME, f'0 issue "ca.contoso.test;{parameters}"')
    if allowed:
        world.check()
    else:
        assert world.refusal().type == "caa"


def test_records_that_cannot_be_had_forbid(world: World) -> None:
    world.caa("contoso.test", "SERVFAIL")
    assert world.refusal().type == "dns"
    world.caa("shop.contoso.test", '0 issue "ca.contoso.test"')
    world.check()


def test_nobody_is_asked_about_addresses_and_names_that_the_operator_knows(world: World) -> None:
    world.caa("contoso.test", '0 issue ";"')
    config = ValidationConfig(resolver=world.resolver, hosts={NAME: ("127.0.0.1",)})
    validator = Validator(config, ("ca.contoso.test",))
    validator.check_caa(Identifier("dns", NAME), "http-01", ACCOUNT)
    validator.check_caa(Identifier("ip", "127.0.0.1"), "http-01", ACCOUNT)
    Validator(ValidationConfig(resolver=world.resolver)).check_caa(Identifier("dns", "contoso.test"), "dns-01", ACCOUNT)
    with pytest.raises(Problem):
        validator.check_caa(Identifier("dns", "mail.contoso.test"), "http-01", ACCOUNT)


# dns-persist-01


@pytest.mark.parametrize(
    "text",
    [
        f"ca.contoso.test; accounturi={ACCOUNT}",
        f"\tCA.CONTOSO.TEST ;accounturi={ACCOUNT}",
        f"authority.test; accounturi={ACCOUNT}; policy=wildcard; persistUntil=1798761600; unknown=x",
        f"ca.contoso.test; AccountUri={ACCOUNT}; policy=other",
    ],
)
def test_a_record_that_stays_proves_its_name(world: World, text: str) -> None:
    world.persist(NAME, text)
    assert world.prove() == timedelta(seconds=60)


@pytest.mark.parametrize(
    ("text", "kind", "detail"),
    [
        (f"other.test; accounturi={ACCOUNT}", "unauthorized", "names ca.contoso.test or authority.test"),
        (f"ca.contoso.test; accounturi={ACCOUNT}2", "unauthorized", "another account"),
        (f"ca.contoso.test; accounturi={ACCOUNT.upper()}", "unauthorized", "another account"),
        (f"ca.contoso.test; accounturi={ACCOUNT}; persistUntil=1798761599", "unauthorized", "which is past"),
        ("ca.contoso.test", "malformed", "no accounturi"),
        (f"ca.contoso.test; accounturi={ACCOUNT}; persistUntil=soon", "malformed", "persistUntil"),
        (f"ca.contoso.test; accounturi={ACCOUNT}; persistUntil=", "malformed", "persistUntil"),
        (f"ca.contoso.test; accounturi={ACCOUNT}; ACCOUNTURI={ACCOUNT}", "malformed", "given twice"),
        (f"ca.contoso.test; accounturi={ACCOUNT};", "malformed", "not a parameter"),
    ],
)
def test_a_record_that_does_not_authorize_is_told(world: World, text: str, kind: str, detail: str) -> None:
    world.persist(NAME, text)
    failure = world.failure()
    assert failure.type == kind
    assert detail in failure.detail
    world.persist(NAME, text, f"ca.contoso.test; accounturi={ACCOUNT}")
    world.prove()


def test_only_the_wildcard_policy_speaks_for_more_than_one_name(world: World) -> None:
    world.persist("contoso.test", f"ca.contoso.test; accounturi={ACCOUNT}")
    assert world.prove("contoso.test")
    for name in ("*.contoso.test", NAME):
        assert "no policy=wildcard" in world.failure(name).detail
    world.persist("contoso.test", f"ca.contoso.test; accounturi={ACCOUNT}; policy=WildCard")
    for name in ("contoso.test", "*.contoso.test", NAME, WILDCARD):
        world.prove(name)
    world.persist("test", f"ca.contoso.test; accounturi={ACCOUNT}; policy=wildcard")
    assert "No TXT record" in world.failure("mail.fabrikam.test").detail


def test_caa_is_asked_too(world: World) -> None:
    world.persist(NAME, f"ca.contoso.test; accounturi={ACCOUNT}")
    world.caa("contoso.test", '0 issue "ca.contoso.test; validationmethods=dns-01"')
    assert "dns-persist-01 is not among the validationmethods" in world.failure().detail


@given(st.dictionaries(_TAG, _VALUE), st.sampled_from(["", " ", "\t "]))
def test_an_issue_value_is_read_as_it_was_written(parameters: dict[str, str], blank: str) -> None:
    text = f"{blank}CA.test{blank};" + ";".join(f"{blank}{tag}={value}{blank}" for tag, value in parameters.items())
    assert issue_value.parse(text) == issue_value.IssueValue("ca.test", parameters)
    assert issue_value.issuer_of(text) == "ca.test"


@given(st.text())
def test_any_text_is_an_issue_value_or_is_refused(text: str) -> None:
    try:
        parsed = issue_value.parse(text)
    except ValueError:
        return
    assert parsed.issuer == issue_value.issuer_of(text)
