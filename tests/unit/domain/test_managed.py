from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from certwright.domain.errors import ConfigurationError, InvalidIdentifier, NotFound
from certwright.domain.identifiers import MAX_NAMES, parse_all
from certwright.domain.keys import KeySource, KeyType
from certwright.domain.managed import (
    CertificateVersion,
    Issuer,
    IssuerCapabilities,
    KeySettings,
    ManagedCertificate,
    RenewalPolicy,
    TaskSettings,
    new_id,
)
from certwright.domain.validation import Validation
from unit.domain.workshop import START, general_names, request

PUBLIC = IssuerCapabilities(profiles={"classic": "as ever"})
PRIVATE = IssuerCapabilities(internal_names=True)
OWN_CSR = request("mail.contoso.com", general_names(["mail.contoso.com"])).public_bytes(Encoding.PEM).decode()
MAIL = ManagedCertificate(id="m1", title="Mail", identifiers=parse_all(["mail.contoso.com"]), issuer="le")


def managed(*names: str, **changes: Any) -> ManagedCertificate:
    return MAIL.model_copy(update={"identifiers": parse_all(names or ["mail.contoso.com"]), **changes})


def test_who_stands_in_is_no_part_of_what_was_issued() -> None:
    with_second = managed(fallback_issuers=("second", "le", "second"))
    assert with_second.issuers == ("le", "second")
    assert with_second.fingerprint == MAIL.fingerprint != managed(issuer="second").fingerprint


def test_one_that_stands_in_is_asked_without_a_profile_that_it_does_not_have() -> None:
    first = Issuer(name="le", kind="acme", params={}, capabilities=PUBLIC)
    second = Issuer(name="second", kind="acme", params={})
    wanted = managed(profile="classic", fallback_issuers=("second", "third"))
    assert wanted.asked_of(first).profile == "classic"
    assert (wanted.asked_of(second).issuers, wanted.asked_of(second).profile) == (("second",), None)
    assert wanted.asked_of(second.model_copy(update={"capabilities": PUBLIC})).profile == "classic"


# What is stored


@given(
    st.builds(
        ManagedCertificate,
        title=st.text(max_size=10),
        identifiers=st.sampled_from([parse_all(["mail.contoso.com", "192.0.2.1"]), parse_all(["*.bücher.de"])]),
        issuer=st.text(max_size=10),
        fallback_issuers=st.lists(st.text(max_size=10), max_size=3).map(tuple),
        key=st.builds(
            KeySettings, source=st.sampled_from(["generated", "reused", "on-target"]), type=st.sampled_from(KeyType)
        ),
        tasks=st.lists(
            st.builds(TaskSettings, kind=st.text(max_size=5), title=st.text(max_size=5), params=st.just({"a": [1]}))
        ).map(tuple),
        renewal=st.builds(RenewalPolicy, lifetime_share=st.floats(0.01, 0.99)),
        profile=st.none() | st.text(max_size=10),
    )
)
def test_a_managed_certificate_is_read_back_as_it_was(wanted: ManagedCertificate) -> None:
    again = ManagedCertificate.model_validate_json(wanted.model_dump_json())
    assert again == wanted
    assert again.fingerprint == wanted.fingerprint


def test_other_values_are_read_back_as_they_were() -> None:
    issuer = Issuer(
        name="le", kind="acme", params={"directory": "https://ca.test/"}, capabilities=PUBLIC, account={"u": 1}
    )
    version = CertificateVersion(managed_id="m1", issuer="le", chain_pem="", fingerprint="f", issued_at=START)
    for value in (issuer, version):
        assert type(value).model_validate_json(value.model_dump_json()) == value


def test_names_are_kept_once_in_the_order_given() -> None:
    read = ManagedCertificate.model_validate(
        {"title": "x", "issuer": "le", "identifiers": ["b.com", "a.com", "B.COM", "b.com."]}
    )
    assert [str(i) for i in read.identifiers] == ["b.com", "a.com"]


@pytest.mark.parametrize("names", [[], "mail.contoso.com", ["a.com"] * (MAX_NAMES + 1), None])
def test_a_managed_certificate_has_a_list_of_names_of_sensible_length(names: object) -> None:
    with pytest.raises(ValidationError):
        ManagedCertificate.model_validate({"title": "x", "issuer": "le", "identifiers": names})


@pytest.mark.parametrize("name", ["a b", "", 1, None, {"type": "dns"}])
def test_what_is_no_name_is_an_error_of_the_configuration(name: object) -> None:
    with pytest.raises(InvalidIdentifier):
        ManagedCertificate.model_validate({"title": "x", "issuer": "le", "identifiers": [name]})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(sorted(ManagedCertificate.model_fields)),
)
def test_a_damaged_document_is_refused_as_such(value: object, field: str) -> None:
    document = {**MAIL.model_dump(mode="json"), field: value}
    try:
        read = ManagedCertificate.model_validate(document)
    except (ConfigurationError, ValidationError):
        return
    assert ManagedCertificate.model_validate_json(read.model_dump_json()) == read


def test_unknown_fields_are_an_error() -> None:
    with pytest.raises(ValidationError):
        RenewalPolicy.model_validate({"lifetime_share": 0.5, "grace": 3})


def test_a_schema_can_be_drawn() -> None:
    identifiers = ManagedCertificate.model_json_schema()["properties"]["identifiers"]
    assert identifiers["items"] == {"type": "string"}


@pytest.mark.parametrize("source", [KeySource.OWN_KEY, KeySource.OWN_CSR])
def test_an_own_key_or_request_must_be_given(source: KeySource) -> None:
    with pytest.raises(ConfigurationError, match="was asked for, but none was given"):
        KeySettings(source=source)


def test_ids_are_short_and_new() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(i) for i in ids} == {12}


# What makes a certificate be issued anew


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "Other"},
        {"id": "other"},
        {"identifiers": parse_all(["autodiscover.contoso.com", "mail.contoso.com"])},
        {"key": KeySettings(source=KeySource.REUSED)},
        {"validations": (Validation(challenge="dns-01", solver="dns"),)},
        {"tasks": (TaskSettings(kind="exchange", title="x", params={}),)},
        {"renewal": RenewalPolicy(lifetime_share=0.5)},
        {"pfx_password_credential": "pfx"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_the_certificate_does_not_depend_on_is_not_in_the_fingerprint(changes: dict[str, Any]) -> None:
    before = managed("mail.contoso.com", "autodiscover.contoso.com")
    assert before.model_copy(update=changes).fingerprint == before.fingerprint


REISSUING: list[dict[str, Any]] = [
    {},
    {"identifiers": parse_all(["mail.contoso.com", "autodiscover.contoso.com"])},
    {"issuer": "other"},
    {"profile": "classic"},
    {"preferred_chain": "Root X"},
    {"key": KeySettings(type=KeyType.RSA_3072)},
    {"key": KeySettings(source=KeySource.OWN_KEY, own_key="k1")},
    {"key": KeySettings(source=KeySource.OWN_KEY, own_key="k2")},
    {"key": KeySettings(source=KeySource.OWN_CSR, own_csr=OWN_CSR)},
    {"key": KeySettings(source=KeySource.OWN_CSR, own_csr="another")},
    {"key": KeySettings(source=KeySource.ON_TARGET)},
    {"key": KeySettings(source=KeySource.ON_TARGET, type=KeyType.ECDSA_P256)},
]


def test_what_the_certificate_depends_on_is_in_the_fingerprint() -> None:
    prints = [MAIL.model_copy(update=changes).fingerprint for changes in REISSUING]
    assert len(set(prints)) == len(REISSUING)


def test_the_type_of_a_key_that_is_not_made_here_does_not_count() -> None:
    for settings in ({"source": "own-key", "own_key": "k"}, {"source": "own-csr", "own_csr": OWN_CSR}):
        one, other = (KeySettings.model_validate({**settings, "type": kind}) for kind in ("rsa-2048", "ecdsa-p256"))
        assert managed(key=one).fingerprint == managed(key=other).fingerprint


def test_line_ends_of_a_request_do_not_count() -> None:
    windows = KeySettings(source=KeySource.OWN_CSR, own_csr=OWN_CSR.replace("\n", "\r\n"))
    assert (
        managed(key=windows).fingerprint
        == managed(key=KeySettings(source=KeySource.OWN_CSR, own_csr=OWN_CSR)).fingerprint
    )


def test_fingerprints_are_the_same_in_every_release() -> None:
    """If this fails, every certificate of every user would be issued anew after an upgrade."""
    assert MAIL.fingerprint == "52946937028f1a67"


# Its tasks

FIRST, SECOND, THIRD = (
    TaskSettings(id="t1", kind="exchange", title="Exchange", params={}),
    TaskSettings(id="t2", kind="exchange", title="Exchange in Bonn", params={}),
    TaskSettings(id="t3", kind="files", title="t1", params={}),
)


def test_a_task_is_found_by_id_title_or_kind() -> None:
    wanted = managed(tasks=(FIRST, SECOND))
    assert wanted.task("t2") is SECOND
    assert wanted.task("Exchange in Bonn") is SECOND
    assert managed(tasks=(FIRST, THIRD)).task("files") is THIRD


@pytest.mark.parametrize(
    ("tasks", "name", "told", "error"),
    [
        ((FIRST, SECOND), "exchange", "has 2 tasks that fit", ConfigurationError),
        ((FIRST, THIRD), "t1", "has 2 tasks that fit", ConfigurationError),
        ((FIRST,), "other", "has no task 'other'", NotFound),
        ((), "exchange", "has no task 'exchange'", NotFound),
    ],
)
def test_an_unknown_or_unclear_task_is_told(
    tasks: tuple[TaskSettings, ...], name: str, told: str, error: type[ConfigurationError]
) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        managed(tasks=tasks).task(name)
    assert type(caught.value) is error
    assert all(task.id in caught.value.hint for task in tasks)
