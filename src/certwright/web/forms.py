"""Forms made from parameters models: what a command takes as options, a page takes as fields."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.sdk import fields
from certwright.sdk.params import OnlyWith, read_params, secret_names
from certwright.web.received import Sent, text, texts

OWN = "param."
"""Before the name of a field that belongs to a plugin, on a page that has fields of its own."""
_FEW = 8
_ALL_TOGETHER = "all together"
_CALLED = {
    "agree_tos": "Agree to the terms of service",
    "allowfrom": "Writing allowed from",
    "auth": "Sign-in",
    "canary": "Begin with",
    "eab_key": "MAC key",
    "eab_kid": "Key ID",
    "only": "Only these",
    "pass": "Password",
    "per_second": "Requests per second",
    "precheck": "Check first",
    "psw": "Password",
    "subid": "ID of the subuser",
    "verify": "What to verify",
}
_ABBREVIATIONS = {
    "2fa": "second factor",
    "api": "API",
    "ca": "CA",
    "ddns": "DDNS",
    "dns": "DNS",
    "fqdn": "FQDN",
    "ib": "Infoblox",
    "id": "ID",
    "ip": "IP",
    "pdns": "PowerDNS",
    "ssl": "SSL",
    "starttls": "STARTTLS",
    "totp": "TOTP",
    "ttl": "TTL",
    "url": "URL",
    "winrm": "WinRM",
}


class Shape(StrEnum):
    """How a field is filled in."""

    TEXT = "text"
    NUMBER = "number"
    SECRET = "password"  # noqa: S105 - a word of HTML
    SWITCH = "switch"
    CHOICE = "choice"
    SEVERAL = "several"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Input:
    """One field of a form: `values` stand in it, `choices` can be chosen, `error` is what is wrong with it.

    It counts only with the field `other`, where there is one: with these values of it, or with any. `worded` is whether
    its choices are words, and not names that somebody gave; `called` is what those are called that have another name.
    `stands_out` is whether what is in it is not usual, or wrong.
    """

    name: str
    label: str
    help: str
    shape: Shape
    required: bool = False
    values: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    step: str = "1"
    error: str = ""
    other: str = ""
    with_values: tuple[str, ...] = ()
    worded: bool = False
    called: Mapping[str, str] = field(default_factory=dict)
    stands_out: bool = False

    @property
    def value(self) -> str:
        """What stands in a field that takes one value; all lines of one that takes several."""
        return "\n".join(self.values)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that are usually filled in, and those that are `seldom`; `problem` is what is wrong with all together.

    What is seldom filled in is shown `opened` if something of it stands out; `touched` is whether anything does.
    """

    often: tuple[Input, ...]
    seldom: tuple[Input, ...] = ()
    problem: tuple[str, ...] = ()

    @property
    def opened(self) -> bool:
        """Whether to show what is seldom filled in."""
        return any(each.stands_out for each in self.seldom)

    @property
    def touched(self) -> bool:
        """Whether to show a form that is folded as a whole."""
        return self.opened or any(each.stands_out for each in self.often)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the form of a model.

    Attributes:
        model: the parameters.
        stored: the names of what is stored, mostly of credentials, by the kind that a parameter asks for.
        prefix: what stands before each parameter in the name of its field.
        without: parameters that are no fields.
        first: parameters that are always among those that are usually filled in.
    """

    model: type[BaseModel]
    stored: Callable[[str], Sequence[str]] = lambda _: ()
    prefix: str = ""
    without: Collection[str] = ()
    first: Collection[str] = ()

    def empty(self, known: Mapping[str, Any] | None = None) -> Form:
        """With what is `known` of the parameters, as the model reads them; else with its defaults."""
        return self._form(lambda name, info: _stored(info, (known or {}).get(name)), {}, ())

    def again(self, sent: Sent, error: CertwrightError | None = None) -> Form:
        """With what was sent, secrets left out, and what is wrong with it."""
        by_field, rest = told(error, self._names())
        return self._form(lambda name, _: self._typed(sent, name), by_field, rest)

    def given(self, sent: Sent) -> dict[str, Any]:
        """What was filled in, by parameter, as the model reads it; without what is empty, or as it is by default."""
        found = {}
        for name in self._names():
            info = self.model.model_fields[name]
            typed = self._typed(sent, name)
            if _shape(self.model, name) is Shape.SWITCH:
                value: Any = bool(typed)
                if value is not info.get_default():
                    found[name] = value
            elif typed and (info.is_required() or typed != _stored(info, None)):
                found[name] = fields.shaped(info, typed) if fields.is_list(info) else typed[-1]
        return found

    def verdict(self, sent: Sent, name: str) -> str:
        """What is wrong with one field of what is typed so far; empty if nothing is."""
        try:
            read_params(self.model, self.given(sent), "it")
        except ConfigurationError as error:
            return told(error, self._names())[0].get(name, "")
        return ""

    def emptied(self, given: Mapping[str, Any]) -> list[str]:
        """The parameters that go back to their defaults where `given` replaces all that a person can see."""
        hidden = secret_names(self.model)
        return [name for name in self._names() if name not in given and name not in hidden]

    def _names(self) -> list[str]:
        return [name for name in self.model.model_fields if name not in self.without]

    def _form(
        self,
        values: Callable[[str, FieldInfo], tuple[str, ...]],
        errors: Mapping[str, str],
        problem: Sequence[str],
    ) -> Form:
        made = {name: self._input(name, values, errors.get(name, "")) for name in self._names()}
        few = len(made) <= _FEW
        often = tuple(each for name, each in made.items() if few or self._is_usual(name))
        seldom = tuple(each for each in made.values() if each not in often)
        return Form(often, seldom, tuple(problem))

    def _typed(self, sent: Sent, name: str) -> tuple[str, ...]:
        """What was filled into a field; what is usual in one that does not count, and so was not sent: see with.js."""
        info, field = self.model.model_fields[name], self.prefix + name
        needs = OnlyWith.of(info)
        if field not in sent and needs and not needs.holds(text(sent, self.prefix + needs.other).strip()):
            return _stored(info, None)
        return tuple(part for each in texts(sent, field) for part in _parts(info, each))

    def _is_usual(self, name: str) -> bool:
        info = self.model.model_fields[name]
        return info.is_required() or name in self.first or name in secret_names(self.model)

    def _input(self, name: str, values: Callable[[str, FieldInfo], tuple[str, ...]], error: str) -> Input:
        info, shape = self.model.model_fields[name], _shape(self.model, name)
        kind = _stored_kind(info)
        known = tuple(self.stored(kind)) if kind else _choices(info)
        needs = OnlyWith.of(info)
        optional = shape is Shape.CHOICE and (kind or info.get_default() in (None, ""))
        shown = () if shape is Shape.SECRET else values(name, info)
        return Input(
            name=self.prefix + name,
            label=info.title or label(name),
            help=info.description or "",
            shape=shape,
            required=info.is_required() and shape is not Shape.SWITCH,
            values=shown,
            choices=("", *known) if optional else known,
            step="any" if float in fields.kinds(info.annotation) else "1",
            error=error,
            other=f"{self.prefix}{needs.other}" if needs else "",
            with_values=needs.values if needs else (),
            worded=not kind and not fields.said(info, "choices"),
            called=fields.said(info, "called") or {},
            stands_out=bool(error) or shown != _stored(info, None),
        )


@dataclass(frozen=True, slots=True)
class Filled:
    """The forms of one page, and what is wrong with none of their fields in particular."""

    forms: tuple[Form, ...]
    problem: tuple[str, ...] = ()


def filled(makers: Sequence[Maker], sent: Sent, error: CertwrightError | None) -> Filled:
    """The forms with what was sent, and what is wrong with it."""
    names = {name for maker in makers for name in maker.model.model_fields}
    return Filled(tuple(maker.again(sent, error) for maker in makers), told(error, names)[1])


def label(name: str) -> str:
    """A parameter's name as a label: `ca_file` is `CA file`, and `auth_token`, as dns-lexicon has it, a `Token`."""
    plain = name.removeprefix("auth_")
    words = [_ABBREVIATIONS.get(word, word) for word in plain.split("_")]
    return _CALLED.get(plain) or " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def told(error: CertwrightError | None, names: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What an error says of each of these parameters, and what it says of none of them, line by line."""
    if error is None:
        return {}, ()
    by_field: dict[str, list[str]] = {}
    rest = []
    for cause in error.causes:
        text = " ".join(part.strip() for part in cause.explain()) if isinstance(cause, CertwrightError) else str(cause)
        where, _, sentence = text.removeprefix(f"{_ALL_TOGETHER}: ").partition(": ")
        name = where.partition(".")[0]
        if sentence and name in names:
            by_field.setdefault(name, []).append(sentence[:1].upper() + sentence[1:])
        else:
            rest.append(text)
    lines = (error.message, *rest, *error.hint.splitlines())
    return {name: " ".join(sentences) for name, sentences in by_field.items()}, lines


def _shape(model: type[BaseModel], name: str) -> Shape:
    info = model.model_fields[name]
    allowed = fields.kinds(info.annotation)
    if name in secret_names(model):
        return Shape.SECRET
    if allowed == {bool}:
        return Shape.SWITCH
    if _stored_kind(info) or fields.said(info, "choices"):
        return Shape.CHOICE
    if fields.is_list(info):
        return Shape.SEVERAL if fields.choices(info.annotation) else Shape.LINES
    if fields.choices(info.annotation) or bool in allowed:
        return Shape.CHOICE
    return Shape.NUMBER if allowed & {int, float} else Shape.TEXT


def _stored_kind(info: FieldInfo) -> str | None:
    """Of which kind the stored things are of which a field names one: credentials, or what a page's own form says."""
    kind: str | None = fields.said(info, "credential") or fields.said(info, "stored")
    return kind


def _choices(info: FieldInfo) -> tuple[str, ...]:
    if bool in fields.kinds(info.annotation):
        return ("yes", "no")
    return tuple(fields.said(info, "choices") or fields.choices(info.annotation))


def _parts(info: FieldInfo, text: str) -> list[str]:
    """What was typed into one field, line by line where it takes several values."""
    lines = text.splitlines() if fields.is_list(info) else [text]
    return [line.strip() for line in lines if line.strip()]


def _stored(info: FieldInfo, value: Any) -> tuple[str, ...]:
    """A value, or the default, as it stands in a field."""
    shown = info.get_default(call_default_factory=True) if value is None and not info.is_required() else value
    if isinstance(shown, bool):
        return ("yes",) if shown else ("no",) * (fields.kinds(info.annotation) != {bool})
    if shown is None or shown == "":
        return ()
    if fields.is_list(info):
        return fields.lines(shown)
    return (str(getattr(shown, "value", shown)),)
