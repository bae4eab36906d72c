from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, Field, SecretStr, field_validator, model_validator

from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.managed import IdentifierField
from certwright.sdk.params import (
    ExistingFile,
    Params,
    Token,
    ZoneName,
    credential_field,
    hide_secrets,
    read_params,
    secret_names,
)

CANARY = "hunter2-canary"


class Basic(Params):
    kind: Literal["basic"]
    user: str


class Kerberos(Params):
    kind: Literal["kerberos"]
    realm: int


class Example(Params):
    """Parameters of a plugin, one of each usual type."""

    servers: list[str] = Field(min_length=1, description="Host names.")
    port: int = Field(default=443, ge=1, le=65535)
    auth: Literal["basic", "ntlm"] = "basic"
    endpoint: AnyUrl | None = None
    login: Annotated[Basic | Kerberos, Field(discriminator="kind")] | None = None
    names: tuple[IdentifierField, ...] = ()
    weights: dict[str, float] = Field(default_factory=dict)
    credential: str | None = credential_field("exchange", "Who signs in.")
    verify: bool = True

    @field_validator("servers")
    @classmethod
    def _known(cls, servers: list[str]) -> list[str]:
        if any("." not in server for server in servers):
            raise ValueError("write full host names")
        return servers

    @model_validator(mode="after")
    def _together(self) -> "Example":
        if self.auth == "ntlm" and self.port == 80:
            raise ValueError("ntlm needs https")
        return self


def refusal(values: dict[str, Any]) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read_params(Example, values, "the task 'Mail'")
    return caught.value


def test_good_values_are_read_and_stripped() -> None:
    params = read_params(Example, {"servers": [" ex01.contoso.com "], "port": "8443"}, "x")
    assert params.servers == ["ex01.contoso.com"]
    assert params.port == 8443


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "servers: is needed, but missing"),
        ({"servers": ["a.b"], "pasword": CANARY}, "pasword: there is no such parameter"),
        ({"servers": []}, "servers: List should have at least 1 item"),
        ({"servers": ["ex01"]}, "servers: write full host names"),
        ({"servers": ["a.b", 1]}, "servers.1: Input should be a valid string"),
        ({"servers": ["a.b"], "auth": "ntlm", "port": 80}, "all together: ntlm needs https"),
        ({"servers": ["a.b"], "login": {"kind": CANARY}}, "login: 'kind' must be one of 'basic', 'kerberos'"),
    ],
)
def test_each_wrong_parameter_is_told_in_words(values: dict[str, Any], told: str) -> None:
    error = refusal(values)
    assert error.message == "1 parameter is wrong for the task 'Mail'."
    (cause,) = error.causes
    assert str(cause).startswith(told)


def test_all_wrong_parameters_are_told_at_once() -> None:
    error = refusal({"servers": [], "port": 0, "auth": "x"})
    assert error.message == "3 parameters are wrong for the task 'Mail'."
    assert len(error.causes) == 3


@given(
    st.dictionaries(
        st.sampled_from(sorted(Example.model_fields)),
        st.recursive(
            st.just(CANARY),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.fixed_dictionaries({}, optional={"kind": inner, "user": inner, "realm": inner})
            ),
            max_leaves=4,
        ),
        min_size=1,
    ).filter(lambda values: "names" not in values)
)
def test_no_value_is_repeated(values: dict[str, Any]) -> None:
    values.setdefault("servers", CANARY)
    error = refusal({**values, "port": CANARY})
    assert CANARY not in "\n".join(error.explain())
    assert CANARY not in repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_an_error_of_ours_from_within_keeps_its_own_words() -> None:
    with pytest.raises(InvalidIdentifier, match="underscore"):
        read_params(Example, {"servers": ["a.b"], "names": ["a_b"]}, "x")


def test_parameters_do_not_change_once_read() -> None:
    params = read_params(Example, {"servers": ["a.b"]}, "x")
    with pytest.raises(ValueError, match="frozen"):
        params.port = 1  # type: ignore[misc]  # what is tested


def test_a_schema_can_be_drawn_and_says_which_fields_are_credentials() -> None:
    schema = Example.model_json_schema()
    assert schema["properties"]["credential"]["credential"] == "exchange"
    assert schema["properties"]["servers"]["description"] == "Host names."


class WithFile(Params):
    """A parameter that names a file."""

    ca_file: ExistingFile


def test_a_file_is_found_from_wherever_the_next_run_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root.pem").write_text("x")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for typed in ("root.pem", "~/root.pem", f"{tmp_path}/root.pem"):
        assert read_params(WithFile, {"ca_file": typed}, "it").ca_file == tmp_path / "root.pem"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/nowhere/x.pem", "there is no file"),
        ("/", "there is no file"),
        ("~no-such-user/x", "home folder"),
        ("a" * 300, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(typed: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_params(WithFile, {"ca_file": typed}, "it")
    assert said in "\n".join(refused.value.explain())


class WithToken(Params):
    """A parameter that goes into a header."""

    token: Token


def test_a_token_is_secret_and_loses_the_blanks_around_it() -> None:
    params = read_params(WithToken, {"token": f" {CANARY}\r\n"}, "it")
    assert params.token.get_secret_value() == CANARY
    assert CANARY not in repr(params)
    assert secret_names(WithToken) == ("token",)


@pytest.mark.parametrize("typed", ["", " ", f"{CANARY}\r\nX-Other: 1", f"two {CANARY}", f"{CANARY}ü", f"{CANARY}\0"])
def test_what_cannot_be_a_token_is_refused_and_not_shown(typed: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_params(WithToken, {"token": typed}, "it")
    told = "\n".join(refused.value.explain())
    assert "copy it again" in told
    assert CANARY not in told


class Zoned(Params):
    """A zone, and a secret."""

    zone: ZoneName = "contoso.com"
    key: SecretStr | None = None


@pytest.mark.parametrize(
    ("typed", "zone"),
    [("Contoso.COM.", "contoso.com"), (" bücher.example ", "xn--bcher-kva.example"), ("test", "test")],
)
def test_a_zone_is_written_as_the_dns_has_it(typed: str, zone: str) -> None:
    assert read_params(Zoned, {"zone": typed}, "it").zone == zone


@pytest.mark.parametrize("typed", ["", "a..b", "*.contoso.com", "192.0.2.1", "contoso .com"])
def test_what_is_no_zone_is_refused(typed: str) -> None:
    with pytest.raises(ConfigurationError):
        read_params(Zoned, {"zone": typed}, "it")


def test_secrets_are_hidden_in_a_strangers_words() -> None:
    params = Zoned(key=SecretStr("a b/c%\nsecond"))
    told = "key=a b/c% url=?k=a%20b%2Fc%25&l=a+b%2Fc%25 and a%20b/c%25, second."
    assert hide_secrets(params, told) == "key=*** url=?k=***&l=*** and ***, ***."
    assert hide_secrets(Zoned(), told) == told
