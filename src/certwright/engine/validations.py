"""How the names of a managed certificate are proved: rules added, changed and removed."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from certwright.domain.access import Permission
from certwright.domain.capabilities import check_choice
from certwright.domain.delegation import challenge_name, ruled_target
from certwright.domain.errors import ConfigurationError
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import Validation, check_rules, choose
from certwright.engine import catalog
from certwright.engine.commands import may_run, require_commands
from certwright.engine.context import Engine
from certwright.engine.dns import kind_of, may_use
from certwright.engine.schedule import reschedule
from certwright.sdk.params import credentials_named, names_given, read_params
from certwright.store import UnitOfWork


def readable(validation: Validation) -> Validation:
    """`validation` with the parameters as its solver reads them, as JSON values.

    Raises:
        ConfigurationError: if a parameter is wrong, or the solver does not answer that challenge.
    """
    found = catalog.plugin("solvers", validation.solver)
    params = read_params(found.params, validation.params, "the validation")
    if validation.challenge not in found.cls.types:
        raise ConfigurationError(
            f"The solver {validation.solver!r} does not answer {validation.challenge}.",
            hint=f"It answers {', '.join(sorted(found.cls.types))}.",
        )
    return validation.model_copy(update={"params": params.model_dump(mode="json", exclude_unset=True)})


def check_credentials(
    engine: Engine, unit: UnitOfWork, validations: Sequence[Validation], before: Sequence[Validation] = ()
) -> None:
    """Refuse a validation that names a credential which is not stored; or one that runs programs, if it is new.

    `before` are those that there are already: somebody who may run programs has described them.

    Raises:
        ConfigurationError: with the names that there are.
        Forbidden: if programs would be run, and the caller may not have that.
    """
    for validation in validations:
        kinds = [kind_of(unit, name) for name in _credentials(validation)]
        if validation not in before:
            for kind in kinds:
                if catalog.plugin("dns", kind).cls.commands:
                    engine.caller.require(Permission.COMMANDS)


def may_choose(engine: Engine, unit: UnitOfWork, validation: Validation) -> bool:
    """Whether the caller may have names proved so: some ways write files, or run programs."""
    with suppress(ConfigurationError):
        solver = catalog.plugin("solvers", validation.solver).cls
        return may_run(engine, solver) and all(may_use(engine, unit, name) for name in _credentials(validation))
    return True  # as `may_use`


def _credentials(validation: Validation) -> list[str]:
    named = credentials_named(catalog.plugin("solvers", validation.solver).params, validation.params)
    return [name for name, _kind in named]


def check_validations(
    engine: Engine, unit: UnitOfWork, managed: ManagedCertificate, before: Sequence[Validation] = ()
) -> None:
    """Refuse what `check_credentials` refuses, and a parameter for a name that is proved otherwise.

    Raises:
        ConfigurationError: with what is wrong.
        Forbidden: as `check_credentials`.
    """
    check_credentials(engine, unit, managed.validations, before)
    for validation in managed.validations:
        _check_names(validation, managed.validations, managed.identifiers)


def ruled(managed: ManagedCertificate, identifier: Identifier) -> str | None:
    """Where a delegation rule has the record that proves `identifier` written; None if none does."""
    rules = choose(managed.validations, identifier).params.get("delegations", ())
    return ruled_target(rules, challenge_name(identifier.base))


def put_validation(
    engine: Engine,
    reference: str,
    validation: Validation,
    revision: int | None = None,
    *,
    was: Sequence[str] | None = None,
) -> ManagedCertificate:
    """Add a validation, in place of the one with the same rules; it counts from the next request on.

    With `was`, it takes the place of the one with exactly those rules instead: so its rules are changed, too.

    Here and below, `revision` is that at which the certificate was looked at before, if somebody did.

    Raises:
        Changed: if it is not at this revision any more.
        ConfigurationError: if a parameter, a rule or a credential is wrong, a name would have no validation or two, or
            a parameter is for a name that is proved otherwise.
        Forbidden: if it writes files or runs programs, and who asks may not have that.
    """
    new = readable(validation)
    require_commands(engine, "solvers", new.solver, new.params)
    replaced = set(new.names if was is None else was)

    def put(managed: ManagedCertificate) -> tuple[Validation, ...]:
        others = [v for v in managed.validations if set(v.names) != replaced]
        _check_names(new, (*others, new), managed.identifiers)
        return (*others, new)

    return _change(engine, reference, put, revision)


def remove_validation(
    engine: Engine, reference: str, names: Sequence[str], revision: int | None = None
) -> ManagedCertificate:
    """Remove the validation with exactly these rules; none means the one for all other names.

    Raises:
        Changed: if it is not at this revision any more.
        ConfigurationError: if one of `names` is no rule, there is none, or a name would be left without.
    """
    wanted = set(read_params(Validation, {"names": tuple(names)}, "the validation").names)

    def remove(managed: ManagedCertificate) -> tuple[Validation, ...]:
        left = tuple(v for v in managed.validations if set(v.names) != wanted)
        if left == managed.validations:
            known = "; ".join(", ".join(v.names) or "all other names" for v in managed.validations)
            raise ConfigurationError(
                f"{managed.title!r} has no validation for {', '.join(sorted(wanted)) or 'all other names'}.",
                hint=f"It has one for each of: {known}.",
            )
        return left

    return _change(engine, reference, remove, revision)


def _check_names(new: Validation, validations: Sequence[Validation], identifiers: Sequence[Identifier]) -> None:
    """Refuse a parameter of `new` that is for a name which it does not prove: it would be without effect."""
    given = names_given(catalog.plugin("solvers", new.solver).params, new.params)
    if not any(given.values()):
        return
    check_rules(validations, identifiers)
    proved = [identifier.value for identifier in identifiers if choose(validations, identifier) is new]
    idle = [f"{parameter}: {name}" for parameter, names in given.items() for name in names if name not in proved]
    if idle:
        raise ConfigurationError(
            "Some parameters are for names that this validation does not prove.",
            causes=idle,
            hint=f"Correct them or leave them out; it proves {', '.join(proved) or 'none of the names'}.",
        )


def _change(
    engine: Engine,
    reference: str,
    change: Callable[[ManagedCertificate], tuple[Validation, ...]],
    revision: int | None,
) -> ManagedCertificate:
    with engine.changing(reference, revision) as (unit, managed):
        changed = managed.model_copy(update={"validations": change(managed)})
        for name in changed.issuers:
            check_choice(changed, unit.issuers.get(name))
        check_credentials(engine, unit, changed.validations, managed.validations)
        unit.managed.update(changed)
        reschedule(engine, unit, changed)
    return changed
