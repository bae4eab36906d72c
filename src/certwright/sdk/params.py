"""Parameters of plugins: one pydantic model each, from which everything else is derived."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from certwright.domain.errors import ConfigurationError


class Params(BaseModel):
    """Base of every plugin's parameters; frozen, and a parameter that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


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


def credential_field(kind: str, description: str, default: Any = None) -> Any:
    """A parameter that holds the name of a stored credential of this kind, never the secret itself."""
    return Field(default=default, description=description, json_schema_extra={"credential": kind})


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
