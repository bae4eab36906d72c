"""Parameters of plugins: one pydantic model each, from which everything else is derived."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote, quote_plus

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import Identifier, IdentifierType


@dataclass(frozen=True, slots=True)
class OnlyWith:
    """Annotates a parameter that counts only with an `other`: with one of these `values` of it; with any, if none."""

    other: str
    values: tuple[str, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether it counts where the other one has this value."""
        return str(getattr(value, "value", value)) in self.values if self.values else value not in (None, False, "", ())

    def __str__(self) -> str:
        *others, last = self.values or ("",)
        return " ".join([self.other, " or ".join([*filter(None, [", ".join(others)]), last])]).rstrip()

    @staticmethod
    def of(field: FieldInfo) -> "OnlyWith | None":
        """What a field counts with; None if it counts anyway."""
        return next((each for each in field.metadata if isinstance(each, OnlyWith)), None)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """For whoever makes a form of it."""
        return {**handler(schema), "onlyWith": {"parameter": self.other, "values": list(self.values)}}


class Params(BaseModel):
    """Base of every plugin's parameters; frozen, and one that does not exist, or does not count, is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    @model_validator(mode="after")
    def _count(self) -> Self:
        for name, field in type(self).model_fields.items():
            needs, value = OnlyWith.of(field), getattr(self, name)
            if needs and value != field.get_default() and not needs.holds(getattr(self, needs.other)):
                raise ValueError(f"{name}: counts only with {needs}: leave it out, or give that too")
        return self


P = TypeVar("P", bound=BaseModel)


def _existing(path: Path) -> Path:
    """The file for runs that start elsewhere, for example from cron."""
    try:
        full = path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"the home folder in {path} is not known: write the whole path") from None
    try:
        if not full.is_file():
            raise ValueError(f"there is no file {full}")
        with full.open("rb"):
            return full
    except OSError as error:
        raise ValueError(f"{full} cannot be read: {error.strerror}") from error


ExistingFile = Annotated[Path, AfterValidator(_existing)]
"""A file that is there and readable; `~` is expanded, and a relative path becomes absolute."""


def _one_word(value: SecretStr) -> SecretStr:
    word = value.get_secret_value().strip()
    if not word or not all("!" <= character <= "~" for character in word):
        raise ValueError("it is empty, or has a character in it that is in no such key: copy it again, alone")
    return SecretStr(word)


Token = Annotated[SecretStr, AfterValidator(_one_word)]
"""A secret of printable ASCII without blanks, as keys and tokens for HTTP APIs are; blanks around it are cut off."""


def _zone(text: str) -> str:
    try:
        name = Identifier.parse(text)
    except InvalidIdentifier as error:
        raise ValueError(error.message) from None
    if name.is_wildcard or name.type is not IdentifierType.DNS:
        raise ValueError("that is not the name of a zone, such as contoso.com")
    return name.value


ZoneName = Annotated[str, AfterValidator(_zone)]
"""The name of a zone, in lower case and ASCII without the final dot."""


def _mail_address(text: str) -> str:
    name, at, domain = text.rpartition("@")
    if not (at and name and "." in domain) or any(c.isspace() or c in ",?" for c in text):
        raise ValueError("that is not an e-mail address")
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]
"""Where an authority may write to."""


def host(text: str) -> str:
    """The name or address of a host as certificates have it.

    Raises:
        ValueError: if it is none.
    """
    try:
        name = Identifier.parse(text)
    except InvalidIdentifier as error:
        raise ValueError(" ".join(error.explain())) from None
    if name.is_wildcard:
        raise ValueError(f"{text} is a wildcard, and no host")
    return name.value


HostName = Annotated[str, AfterValidator(host)]
"""The name or address of a host."""


def credential_field(kind: str, description: str, default: Any = None) -> Any:
    """A parameter that holds the name of a stored credential of this kind, never the secret itself."""
    return Field(default=default, description=description, json_schema_extra={"credential": kind})


def names_field(description: str) -> Any:
    """A list of names that may hold commas: on the command line each option gives one."""
    return Field(default=(), description=description, json_schema_extra={"whole": True})


def by_name_field(description: str) -> Any:
    """What differs between the names of a certificate: a mapping from `host`; other names than its own are refused."""
    return Field(default_factory=dict, description=description, json_schema_extra={"by_name": True})


def names_given(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, list[str]]:
    """For each parameter that differs between names, those for which `values` have something."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return {
        name: list(values.get(name, ()))
        for name, extra in extras.items()
        if isinstance(extra, dict) and "by_name" in extra
    }


def credentials_named(model: type[BaseModel], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names of stored credentials among `values`, each with the kind that is wanted."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return [
        (str(values[name]), str(extra["credential"]))
        for name, extra in extras.items()
        if isinstance(extra, dict) and "credential" in extra and values.get(name)
    ]


@lru_cache(maxsize=256)
def secret_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The parameters of `model` that are secret."""
    schemas = model.model_json_schema().get("properties", {})
    return tuple(name for name, schema in schemas.items() if _is_secret(schema))


def _is_secret(schema: dict[str, Any]) -> bool:
    return bool(schema.get("writeOnly")) or any(_is_secret(part) for part in schema.get("anyOf", ()))


def without_secrets(params: BaseModel) -> dict[str, Any]:
    """What was given of `params` and may be shown, as JSON values."""
    return params.model_dump(mode="json", exclude_unset=True, exclude=set(secret_names(type(params))))


def secrets_of(params: BaseModel) -> dict[str, str]:
    """What was given of `params` and must be shown to nobody."""
    return {name: value.get_secret_value() for name, value in params if isinstance(value, SecretStr)}


def hide_secrets(params: BaseModel, text: str) -> str:
    """`text` of a stranger without the secrets of `params`: neither as they are nor as URLs have them."""
    return hide(secrets_of(params).values(), text)


def hide(secrets: Iterable[str], text: str) -> str:
    """`text` without any of `secrets`, as they are or as URLs have them."""
    lines = {line.strip() for secret in secrets for line in secret.splitlines()} - {""}
    forms = {form for line in lines for form in (line, quote(line), quote(line, safe=""), quote_plus(line))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def read_params(model: type[P], values: dict[str, Any], what: str) -> P:
    """`values` as `model`.

    Raises:
        ConfigurationError: with one cause for each wrong parameter, in words, naming `what`; values are not repeated,
            so that nothing secret typed in the wrong place is shown.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        causes = [_sentence(dict(item)) for item in error.errors(include_url=False, include_input=False)]
    # Not raised within the handler: pydantic's error holds the values, and would hang on ours as its context.
    plural = "parameter is" if len(causes) == 1 else "parameters are"
    raise ConfigurationError(f"{len(causes)} {plural} wrong for {what}.", causes=causes)


def change_params(
    model: type[P], before: Mapping[str, Any], values: Mapping[str, Any], unset: Iterable[str], what: str
) -> P:
    """What was given `before`, with other `values`, and with the defaults of what is `unset`.

    Raises:
        ConfigurationError: if a parameter is wrong, or there is none of a name to unset.
    """
    known = sorted(model.model_fields)
    if strangers := [name for name in unset if name not in known]:
        raise ConfigurationError(
            f"There is no parameter {strangers[0][:80]!r} of {what}.", hint=f"It has {', '.join(known)}."
        )
    return read_params(model, {**{n: v for n, v in before.items() if n not in set(unset)}, **values}, what)


def _sentence(item: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"]) or "all together"
    match item["type"]:
        case "missing":
            return f"{where}: is needed, but missing"
        case "extra_forbidden":
            return f"{where}: there is no such parameter"
        case "union_tag_invalid":  # pydantic's own words repeat the value
            return f"{where}: {item['ctx']['discriminator']} must be one of {item['ctx']['expected_tags']}"
        case _:
            return f"{where}: {str(item['msg']).removeprefix('Value error, ')}"
