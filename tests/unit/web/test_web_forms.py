"""Forms are made from parameters models: every plugin has one, and what stands in it is what was said."""

from typing import Literal

import pytest
from pydantic import Field, SecretStr, model_validator

from certwright.domain.errors import ConfigurationError
from certwright.engine import catalog
from certwright.sdk.params import Params, credential_field, read_params, secret_names
from certwright.web.forms import Form, Input, Maker, Shape, filled, label, told
from certwright.web.received import NOTHING, Sent

KINDS: tuple[catalog.Kind, ...] = ("issuers", "solvers", "dns", "tasks", "notifications")
PLUGINS = [
    (kind, f"{name}:{member}" if member else name)
    for kind in KINDS
    for name in sorted(catalog.names(kind))
    for member in list(catalog.members(kind, name))[:3] or [""]
]


class Everything(Params):
    """A field of each shape."""

    server: str = Field(description="Which.")
    port: int = Field(default=25, description="Where.")
    share: float | None = Field(default=None, title="Part")
    secret: SecretStr | None = None
    credential: str | None = credential_field("exchange", "As whom.")
    mode: Literal["fast", "slow"] = "fast"
    kept: bool | None = None
    quick: bool = False
    strict: bool = True
    names: tuple[str, ...] = ()
    services: tuple[Literal["IIS", "SMTP"], ...] = Field(default=(), json_schema_extra={"called": {"SMTP": "mail"}})
    endpoint: str | dict[str, str] | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Everything":
        if self.port == 1:
            raise ValueError("port: nobody is there")
        return self


def inputs(form: Form) -> dict[str, Input]:
    return {each.name: each for each in (*form.often, *form.seldom)}


def sent_as_it_is(form: Form) -> Sent:
    return Sent([(each.name, value) for each in inputs(form).values() for value in (each.values or [""])])


def sent_with_js(form: Form) -> Sent:
    """As it is, without what does not count: with.js disables that."""
    made = inputs(form)

    def counts(name: str) -> bool:
        other, wanted = made.get(made[name].other), made[name].with_values
        return other is None or (other.value in wanted if wanted else bool(other.value))

    return Sent([(name, value) for name, value in sent_as_it_is(form).multi_items() if counts(name)])


MAKER = Maker(Everything, lambda kind: [f"an-{kind}"], "param.")


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_each_plugin_has_a_form_that_says_nothing_until_somebody_does(kind: catalog.Kind, name: str) -> None:
    maker = Maker(catalog.plugin(kind, name).params)
    form = maker.empty()
    assert list(inputs(form)) == [*(each.name for each in form.often), *(each.name for each in form.seldom)]
    assert set(inputs(form)) == set(maker.model.model_fields)
    assert all(each.help for each in inputs(form).values())
    assert len({each.label for each in inputs(form).values()}) == len(inputs(form))
    assert ":" in name or not any(word in each.help for each in inputs(form).values() for word in ("--", "certwright "))
    assert maker.given(sent_as_it_is(form)) == {}
    assert not form.opened


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_a_mistake_elsewhere_does_not_show_what_nobody_touched(kind: catalog.Kind, name: str) -> None:
    maker = Maker(catalog.plugin(kind, name).params)
    for sent in (sent_as_it_is(maker.empty()), sent_with_js(maker.empty())):
        form = maker.again(sent, ConfigurationError("Something else is wrong."))
        assert maker.given(sent) == {}
        assert inputs(form) == inputs(maker.empty())
        assert (form.opened, form.touched) == (False, False)


def test_a_field_is_filled_in_by_its_type() -> None:
    shapes = {name.removeprefix("param."): each.shape for name, each in inputs(MAKER.empty()).items()}
    assert shapes == {
        "server": Shape.TEXT,
        "port": Shape.NUMBER,
        "share": Shape.NUMBER,
        "secret": Shape.SECRET,
        "credential": Shape.CHOICE,
        "mode": Shape.CHOICE,
        "kept": Shape.CHOICE,
        "quick": Shape.SWITCH,
        "strict": Shape.SWITCH,
        "names": Shape.LINES,
        "services": Shape.SEVERAL,
        "endpoint": Shape.LINES,
    }
    made = inputs(MAKER.empty())
    assert made["param.credential"].choices == ("", "an-exchange")
    assert made["param.kept"].choices == ("", "yes", "no")
    assert made["param.mode"].choices == ("fast", "slow")
    assert (made["param.share"].label, made["param.port"].label) == ("Part", "Port")
    assert made["param.services"].called == {"SMTP": "mail"}
    assert (made["param.share"].step, made["param.port"].step) == ("any", "1")
    assert [each.required for each in made.values()] == [True, *[False] * 11]


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("ca_file", "CA file"),
        ("eab_kid", "Key ID"),
        ("winrm_configuration", "WinRM configuration"),
        ("precheck", "Check first"),
        ("auth", "Sign-in"),
        ("auth_token", "Token"),
        ("auth_pass", "Password"),
        ("auth_pass_phrase", "Pass phrase"),
    ],
)
def test_a_label_is_what_people_call_a_parameter(name: str, called: str) -> None:
    assert label(name) == called


def test_what_was_filled_in_is_what_the_model_reads_and_stands_there_again() -> None:
    sent = Sent(
        [
            ("param.server", " ex01 "),
            ("param.port", "587"),
            ("param.share", "0.5"),
            ("param.secret", "s3cret"),
            ("param.credential", "an-exchange"),
            ("param.mode", "slow"),
            ("param.kept", "no"),
            ("param.quick", "yes"),
            ("param.names", "one\r\n\r\n two,three "),
            ("param.services", "IIS"),
            ("param.services", "SMTP"),
            ("param.endpoint", "ex01=https://one\nex02=https://two"),
        ]
    )
    read = read_params(Everything, MAKER.given(sent), "it")
    assert read.model_dump() == {
        "server": "ex01",
        "port": 587,
        "share": 0.5,
        "secret": SecretStr("s3cret"),
        "credential": "an-exchange",
        "mode": "slow",
        "kept": False,
        "quick": True,
        "strict": False,
        "names": ("one", "two", "three"),
        "services": ("IIS", "SMTP"),
        "endpoint": {"ex01": "https://one", "ex02": "https://two"},
    }
    known = MAKER.empty(read.model_dump(exclude={"secret"}))
    again = MAKER.given(sent_as_it_is(known))
    assert read_params(Everything, again, "it") == read.model_copy(update={"secret": None})


def test_no_secret_is_shown_again_but_all_else_is() -> None:
    sent = Sent([("param.server", "ex01"), ("param.secret", "s3cret"), ("param.port", "x"), ("param.kept", "no")])
    with pytest.raises(ConfigurationError) as refused:
        read_params(Everything, MAKER.given(sent), "it")
    form = MAKER.again(sent, refused.value)
    assert "s3cret" not in repr(form)
    assert inputs(form)["param.server"].value == "ex01"
    assert inputs(form)["param.port"].error.startswith("Input should be a valid integer")
    assert form.opened


def test_what_was_filled_in_or_is_wrong_is_shown_with_a_mistake_elsewhere() -> None:
    maker = Maker(catalog.plugin("solvers", "http_listener").params)
    sent = Sent([*sent_as_it_is(maker.empty()).multi_items(), ("port", "8080")])
    assert maker.again(sent).touched
    assert maker.again(NOTHING, ConfigurationError("It is wrong.", causes=["port: is in use"])).touched


def test_a_mistake_stands_beside_its_field_and_the_rest_above_all() -> None:
    error = ConfigurationError(
        "2 parameters are wrong.",
        causes=["all together: port: nobody is there", "names.0: is empty", "the weather: is bad"],
        hint="Mend it.",
    )
    by_field, rest = told(error, ["port", "names"])
    assert by_field == {"port": "Nobody is there", "names": "Is empty"}
    assert rest == ("2 parameters are wrong.", "the weather: is bad", "Mend it.")
    shown = filled([MAKER], Sent([("param.port", "1")]), error)
    assert shown.problem == rest


def test_what_was_emptied_goes_back_to_its_default_and_secrets_stay() -> None:
    given = MAKER.given(Sent([("param.server", "ex01"), ("param.strict", "yes")]))
    assert given == {"server": "ex01"}
    gone = MAKER.emptied(given)
    assert "secret" not in gone
    assert set(gone) == set(Everything.model_fields) - {"server", "secret"}
    assert secret_names(Everything) == ("secret",)


def test_what_is_seldom_filled_in_stands_apart_where_there_is_much() -> None:
    form = MAKER.empty()
    assert [each.name for each in form.often] == ["param.server", "param.secret"]
    assert MAKER.empty({"port": 587}).opened
