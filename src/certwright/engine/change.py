"""Change what a managed certificate is to be: its names, how these are proved, its key, and who signs it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from certwright.domain import keys
from certwright.domain.audit import difference
from certwright.domain.capabilities import check_choice
from certwright.domain.credentials import SignIn
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import Json, ManagedCertificate, new_id
from certwright.domain.plain_text import check_line
from certwright.domain.renewal import Decision, decide
from certwright.domain.validation import Validation
from certwright.engine.commands import require_commands
from certwright.engine.context import Engine
from certwright.engine.managed import KeyWish, know_profile
from certwright.engine.schedule import renewal_input, reschedule
from certwright.engine.validations import check_validations, readable
from certwright.store import UnitOfWork


class Change(TypedDict, total=False):
    """What is to be another than it is; what is left out stays as it is.

    `validations` are all there are to be. None takes away a profile, a preferred chain or a credential.
    """

    title: str
    names: Sequence[str]
    issuers: Sequence[str]
    validations: Sequence[Validation]
    key: KeyWish
    profile: str | None
    preferred_chain: str | None
    pfx_password_credential: str | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a change would come to: the fields that differ, as they are and as they would be, and whether it is due."""

    before: Json
    after: Json
    renewal: Decision


_AS_GIVEN = ("title", "profile", "preferred_chain", "pfx_password_credential")


def change(engine: Engine, reference: str, wanted: Change, revision: int | None = None) -> ManagedCertificate:
    """Change a managed certificate; a new version is due if what is issued depends on it.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        wanted: what is to be another.
        revision: that at which it was looked at before, if somebody did.

    Raises:
        Changed: if it is not at this revision any more.
        ConfigurationError: with all that is wrong with it.
        NotFound: if an issuer or a credential that it names is not in the store.
        Forbidden: if who asks may not have programs run or files written as a new validation does.
    """
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
        _check_names(unit, found, wanted)
    secret = f"key:{found.id}:{new_id()}"
    _prepare(engine, wanted, _changed(found, wanted, secret))
    with engine.changing(reference, revision) as (unit, managed):
        changed = _changed(managed, wanted, secret)
        _check(engine, unit, managed, changed)
        _keep_key(unit, managed, changed, wanted)
        unit.managed.update(changed)
        reschedule(engine, unit, changed)
    return changed


def preview_change(engine: Engine, reference: str, wanted: Change) -> Foreseen:
    """What `change` would do now, and what would follow; nothing is changed.

    Raises:
        ConfigurationError, NotFound, Forbidden: as `change`.
    """
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
        _check_names(unit, found, wanted)
    changed = _changed(found, wanted, f"key:{found.id}")
    _prepare(engine, wanted, changed)
    with engine.store.read() as unit:
        _check(engine, unit, found, changed)
        given = renewal_input(engine, unit, found)
    after = decide(replace(given, managed=changed, revision=given.revision + (changed != found)))
    as_it_is, as_it_would_be = difference(found.model_dump(mode="json"), changed.model_dump(mode="json"))
    return Foreseen(as_it_is or {}, as_it_would_be or {}, after)


def _check_names(unit: UnitOfWork, managed: ManagedCertificate, wanted: Change) -> None:
    """Refuse names of which some are none, together with those for which its issuers cannot issue."""
    issuers = [unit.issuers.get(name) for name in wanted.get("issuers", managed.issuers)]
    if "names" in wanted:
        parse_all(wanted["names"], public=not all(each.capabilities.internal_names for each in issuers))


def _prepare(engine: Engine, wanted: Change, changed: ManagedCertificate) -> None:
    """Refuse what takes a right, or is no title, and have what the authority offers be known."""
    check_line(wanted.get("title", ""), "The title")
    for validation in wanted.get("validations", ()):
        require_commands(engine, "solvers", validation.solver, validation.params)
    if wanted.get("profile"):
        know_profile(engine, changed)


def _check(engine: Engine, unit: UnitOfWork, before: ManagedCertificate, changed: ManagedCertificate) -> None:
    for name in changed.issuers:
        check_choice(changed, unit.issuers.get(name))
    check_validations(engine, unit, changed, before.validations)
    if changed.pfx_password_credential:
        unit.credentials.get(changed.pfx_password_credential, SignIn.PFX)


def _changed(managed: ManagedCertificate, wanted: Change, secret: str) -> ManagedCertificate:
    """As it would be; `secret` names where an own key would be."""
    values: dict[str, Any] = {name: wanted[name] for name in _AS_GIVEN if name in wanted}  # type: ignore[literal-required]
    if "names" in wanted:
        values["identifiers"] = parse_all(wanted["names"])
    if "issuers" in wanted:
        first, *others = wanted["issuers"]
        values |= {"issuer": first, "fallback_issuers": tuple(others)}
    if "validations" in wanted:
        values["validations"] = tuple(map(readable, wanted["validations"]))
    if "key" in wanted:
        values["key"] = wanted["key"].settings(secret)
    return managed.model_copy(update=values)


def _keep_key(unit: UnitOfWork, before: ManagedCertificate, after: ManagedCertificate, wanted: Change) -> None:
    """Keep an own key that was given, and forget the one before it."""
    if before.key.own_key and before.key.own_key != after.key.own_key:
        unit.secrets.remove(before.key.own_key)
    if "key" in wanted and wanted["key"].own_key and after.key.own_key:
        unit.secrets.put(after.key.own_key, keys.private_key_pem(wanted["key"].own_key))
