"""Which names are proved how: validations of a managed certificate and the rules that choose among them."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from certwright.domain.delegation import CHALLENGE_LABEL
from certwright.domain.errors import ConfigurationError, InvalidIdentifier
from certwright.domain.identifiers import MAX_NAME, Identifier, IdentifierType

Challenge = Literal["http-01", "dns-01", "tls-alpn-01", "dns-persist-01"]
BY_DNS: frozenset[Challenge] = frozenset({"dns-01", "dns-persist-01"})
"""Proved by records: the only ones for wildcards, and none for addresses."""
RECORD_LABELS: dict[Challenge, str] = {"dns-01": CHALLENGE_LABEL, "dns-persist-01": "_validation-persist"}
"""What stands before a name in the name of the record that proves it."""


class Validation(BaseModel):
    """How control of names is proved: `challenge` type, the solver plugin and its parameters.

    `names` are the rules that say for which names: a name itself (``mail.contoso.com``, an IP address), one level
    under a name (``*.contoso.com``; the wildcard of that very name too), or a name and all under it
    (``.contoso.com``). Without rules it is for every name that no rule of another validation fits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    challenge: Challenge = "http-01"
    solver: str = "http_listener"
    params: dict[str, Any] = Field(default_factory=dict)
    names: tuple[str, ...] = ()

    @field_validator("names")
    @classmethod
    def _are_rules(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_read_rule(rule) for rule in value))

    @property
    def title(self) -> str:
        """As it is shown in lists of names."""
        return f"{self.challenge} by {self.solver}"


def choose(validations: Sequence[Validation], identifier: Identifier) -> Validation:
    """The validation for `identifier`: by the name itself, else one level, else the longest suffix, else without rules.

    Raises:
        ConfigurationError: if no rule fits; there is no silent fallback.
    """
    fitting = [(rank, v) for v in validations for rank in _ranks(v, identifier)]
    if not fitting:
        rules = ", ".join(rule for v in validations for rule in v.names)
        raise ConfigurationError(
            f"No validation is chosen for {identifier}: none of the rules {rules} fits it.",
            hint="Add a rule for it, or a validation without rules for all other names.",
        )
    return max(fitting, key=lambda found: found[0])[1]


def unused(validations: Sequence[Validation], identifiers: Sequence[Identifier]) -> list[Validation]:
    """What of `validations` is for none of `identifiers`: each with those of its rules that fit none.

    One without rules is unused if rules of others fit every name.
    """
    chosen = [choose(validations, identifier) for identifier in identifiers]
    found = []
    for validation in validations:
        idle = tuple(rule for rule in validation.names if not any(_rank(rule, i) for i in identifiers))
        if idle or not (validation.names or validation in chosen):
            found.append(validation.model_copy(update={"names": idle}))
    return found


def check_rules(validations: Sequence[Validation], identifiers: Sequence[Identifier]) -> None:
    """Refuse what leaves a name without a validation, or with two.

    Raises:
        ConfigurationError: with one cause for each rule or name.
    """
    rules = [rule for v in validations for rule in v.names or ("all other names",)]
    twice = dict.fromkeys(rule for rule in rules if rules.count(rule) > 1)
    causes: list[Exception | str] = [f"{rule}: two validations are for the same" for rule in twice]
    for identifier in identifiers:
        try:
            choose(validations, identifier)
        except ConfigurationError as error:
            causes.append(error)
    if causes:
        raise ConfigurationError("It is not clear how each name is to be proved.", causes=causes)


def check_provable(validations: Sequence[Validation], identifiers: Sequence[Identifier]) -> None:
    """Refuse a name that its kind of challenge cannot prove, whatever the authority.

    Raises:
        InvalidIdentifier: with one cause for each of them.
    """
    ways = [(i, choose(validations, i).challenge) for i in identifiers]
    wildcards = [i for i, challenge in ways if i.is_wildcard and challenge not in BY_DNS]
    long = [(i, by) for i, by in ways if i.type is IdentifierType.DNS and by in BY_DNS and _is_too_long(i, by)]
    addresses = [(i, by) for i, by in ways if i.type is IdentifierType.IP and by in BY_DNS]
    hints: list[str] = []
    if wildcards:
        hints.append(
            "Prove wildcards by DNS: --dns CREDENTIAL for all names of a new certificate; for some of them: certwright "
            f"validation set CERT dns --credential CREDENTIAL --for '{wildcards[0]}'"
        )
    if addresses:
        hints.append(
            "Prove addresses by http-01 or tls-alpn-01, for example: certwright validation set CERT http_listener "
            f"--for {addresses[0][0]}"
        )
    if long:
        hosts = [i for i, _ in long if not i.is_wildcard]
        hints.append(
            "For such a name choose http-01 or tls-alpn-01: certwright validation set CERT http_listener --for "
            f"{hosts[0]}"
            if hosts
            else "Nothing else proves a wildcard: leave it out, or choose a shorter name."
        )
    if hints:
        raise InvalidIdentifier(
            "Some names cannot be proved in the way that is chosen for them.",
            causes=[
                *(f"{i} is a wildcard, which authorities let only dns-01 and dns-persist-01 prove" for i in wildcards),
                *(f"{i} is an IP address, which {by} cannot prove (RFC 8738 section 7)" for i, by in addresses),
                *(
                    f"{i} is too long for {by}: with {RECORD_LABELS[by]} before it, it would be longer than the "
                    f"{MAX_NAME} characters of a DNS name"
                    for i, by in long
                ),
            ],
            hint="\n".join(hints),
        )


def _is_too_long(identifier: Identifier, challenge: Challenge) -> bool:
    """Whether the record that proves it would have a name that DNS does not take."""
    return len(f"{RECORD_LABELS[challenge]}.{identifier.base}") > MAX_NAME


def _ranks(validation: Validation, identifier: Identifier) -> Iterator[tuple[int, int]]:
    """How closely each fitting rule fits; a greater one goes before a lesser one."""
    if not validation.names:
        yield 0, 0
    for rule in validation.names:
        if rank := _rank(rule, identifier):
            yield rank


def _rank(rule: str, identifier: Identifier) -> tuple[int, int] | None:
    """How closely `rule` fits; None if it does not."""
    if rule == str(identifier):
        return 3, 0
    if identifier.type is not IdentifierType.DNS:
        return None
    if rule.startswith("*."):
        fits = identifier.value.partition(".")[2] == rule[2:] and not identifier.is_wildcard
        return (2, 0) if fits else None
    return (1, len(rule)) if rule.startswith(".") and f".{identifier.value}".endswith(rule) else None


def _read_rule(rule: str) -> str:
    text = rule.strip().lower().rstrip(".")
    lead = "." if text.startswith(".") else ""
    try:
        return lead + str(Identifier.parse(text.removeprefix(".")))
    except InvalidIdentifier as error:
        raise ValueError(
            f"{rule!r} is no rule: write mail.contoso.com, *.contoso.com (one level) or .contoso.com (and all under it)"
        ) from error
