"""Sign-in providers: stored, listed, tried out, and removed. Whoever they vouch for is let in as their claims say."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from certwright.domain.access import Role
from certwright.domain.errors import ConfigurationError
from certwright.engine.context import Engine
from certwright.engine.openid.params import ProviderParams, redirect_uri
from certwright.engine.outbound import require_proxy
from certwright.sdk.params import read_params, secrets_of, without_secrets
from certwright.store import UnitOfWork

FAMILY: Final = "sign-in"
_KIND = "oidc"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Provider:
    """What may be shown of a provider; `redirect_uri` is where it sends browsers back to, which it has to be told."""

    name: str
    title: str
    shown: Mapping[str, Any]

    @property
    def roles(self) -> list[tuple[Role, list[str]]]:
        """The values that give each role."""
        return [(role, self.shown[f"{role}s"]) for role in Role if self.shown.get(f"{role}s")]

    @property
    def redirect_uri(self) -> str:
        """As it is registered there."""
        return redirect_uri(self.name, self.shown["address"])


def providers(engine: Engine) -> list[Provider]:
    """All, by name."""
    with engine.store.read() as unit:
        return [Provider(name, shown["title"], shown) for name, shown in unit.credentials.shown(FAMILY).items()]


def provider_params(engine: Engine, name: str) -> ProviderParams:
    """What is stored of a provider.

    Raises:
        NotFound, ConfigurationError: if there is none of that name, or it does not fit (any more).
    """
    with engine.store.read() as unit:
        return stored_params(unit, name)


def stored_params(unit: UnitOfWork, name: str) -> ProviderParams:
    """As `provider_params`, at the moment of this transaction."""
    _, values = unit.credentials.typed(FAMILY, name)
    return read_params(ProviderParams, values, f"the sign-in provider {name!r}")


def put_provider(engine: Engine, name: str, values: Mapping[str, Any], *, checked: bool) -> str:
    """Keep a provider, in place of the one of that name; whoever came by that one has to sign in again.

    Args:
        engine: what to work with.
        name: what it is called, in addresses too.
        values: the parameters, the secret included.
        checked: whether to ask it first; nothing is stored if it does not answer as it must.

    Returns:
        What was seen, in a few sentences; empty if it was not asked.

    Raises:
        ConfigurationError: if a parameter is wrong, or the name is taken by another credential.
        Unreachable: if it does not answer as it must.
        Forbidden: if it, or the one that it replaces, lets people do what who stores it may not.
    """
    from certwright.engine.openid.peer import Peer  # noqa: PLC0415 - only who asks pays for it

    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name[:40]!r} cannot be the name of a sign-in provider.",
            hint="It is part of addresses: up to 40 small letters, digits and dashes, such as contoso.",
        )
    params = read_params(ProviderParams, dict(values), f"the sign-in provider {name!r}")
    _require_all_of(engine, (role for role, by in params.mapped.roles if by))
    require_proxy(engine, params)
    seen = Peer.of(engine, name, params).judge() if checked else ""
    with engine.store.write() as unit:
        _require_all_of(engine, _roles_by(unit, name))
        unit.credentials.add_typed(FAMILY, _KIND, name, without_secrets(params), secrets_of(params))
        unit.people.put_out(name)
    return seen


def try_provider(engine: Engine, name: str) -> str:
    """Ask a stored provider all that can be asked without a person; what was seen.

    Raises:
        CertwrightError: with what does not work, and what to do.
    """
    from certwright.engine.openid.peer import Peer  # noqa: PLC0415 - as above

    return Peer.of(engine, name, provider_params(engine, name)).judge()


def remove_provider(engine: Engine, name: str) -> None:
    """Forget a provider; nobody comes by it any more, and whoever did has to sign in otherwise.

    Raises:
        NotFound, ConfigurationError: if there is no provider of that name.
        Forbidden: if it lets people do what who removes it may not.
    """
    with engine.store.write() as unit:
        unit.credentials.typed(FAMILY, name)
        _require_all_of(engine, _roles_by(unit, name))
        unit.credentials.remove(name)
        unit.people.put_out(name)


def _roles_by(unit: UnitOfWork, name: str) -> list[Role]:
    """The roles that the stored provider of that name gives; none if there is no such provider."""
    shown = unit.credentials.shown(FAMILY).get(name)
    return [role for role, _ in Provider(name, shown["title"], shown).roles] if shown else []


def _require_all_of(engine: Engine, roles: Iterable[Role]) -> None:
    """Return if the caller may do all that people of these roles may."""
    engine.caller.require(*sorted({permission for role in roles for permission in role.permissions}))
