"""Credentials: those of DNS services are stored once they work, and tried out; all are removed cleanly."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from certwright.domain.access import Permission
from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError, InUse
from certwright.domain.identifiers import Identifier, IdentifierType
from certwright.domain.plain_text import check_new_name
from certwright.domain.validation import Validation
from certwright.engine import catalog, dns
from certwright.engine.commands import require_commands
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.left_over import cleared
from certwright.engine.mended import retry_with
from certwright.engine.seen import as_seen, digest, stored
from certwright.engine.solving import answered, solver
from certwright.engine.written import clear_credential
from certwright.sdk.context import Credential
from certwright.sdk.params import read_params, secrets_of, without_secrets
from certwright.sdk.solver import Challenge
from certwright.store import CredentialInfo, Lease

DNS = "dns:"
"""Before the name of a DNS provider, in the kind of its credentials."""
_OWN_PROXY = "the installation's proxy (CERTWRIGHT_PROXY_CREDENTIAL)"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of credential: its name, a sentence, and why it cannot be used here, if so."""

    name: str
    sentence: str
    unavailable: str = ""


def kinds() -> Iterator[Kind]:
    """All kinds of credential; DNS providers also where they stand together in one plugin module."""
    yield from (Kind(kind, kind.sentence) for kind in SignIn)
    for name in sorted(catalog.names("dns")):
        try:
            members = catalog.members("dns", name)
            for member, missing in (members or {"": ""}).items():
                found = catalog.plugin("dns", f"{name}:{member}" if members else name)
                yield Kind(f"{DNS}{found.name}", found.sentence, missing and f"Install {missing}.")
        except ConfigurationError as error:
            yield Kind(f"{DNS}{name}", error.message, error.hint)


def store_sign_in(engine: Engine, kind: SignIn, credential: Credential) -> None:
    """Keep a user name and a password, in place of the credential of that name, wherever that is used.

    What could not sign in with it is tried again at once.

    Raises:
        ConfigurationError: if the password has line breaks in it, a user name is missing, or the name is taken by a DNS
            provider or a credential of another kind.
    """
    if len(credential.password.splitlines()) > 1:
        raise ConfigurationError("The password has line breaks in it.", hint="Write it on one line, alone in the file.")
    if kind.has_username and not credential.username:
        raise ConfigurationError(f"A credential of the kind {kind} has a user name.", hint="Give it with --username.")
    dns.check_name(credential.name)
    with engine.store.write() as unit:
        check_new_name(credential.name, unit.credentials.names())
        unit.credentials.add(kind, credential)
        retry_with(engine, unit, credential.name)


def store_credential(engine: Engine, kind: str, name: str, values: Mapping[str, Any], *, checked: bool) -> str:
    """Keep a DNS provider's parameters as the credential `name`, in place of the one of that name.

    Args:
        engine: what to work with.
        kind: the provider.
        name: what it is called.
        values: the parameters, secret ones included.
        checked: whether to sign in with them first; nothing is stored if that fails.

    Returns:
        What was seen, in one sentence; empty if it was not looked.

    Raises:
        ConfigurationError: if a parameter is wrong, or the name is taken by a provider or a credential of another kind.
        SolverError, Unreachable: if signing in fails.
        Forbidden: if it runs programs, and who asks may not have that.
    """
    dns.check_name(name)
    with engine.store.read() as unit:
        check_new_name(name, unit.credentials.names())
    require_commands(engine, "dns", kind, values)
    found = catalog.plugin("dns", kind)
    params = read_params(found.params, dict(values), f"the DNS provider {kind!r}")
    journal = ActiveRun.unrecorded(engine).journal
    provider = found.cls(params, dns.context(engine, name, journal))
    seen = ""
    if checked:
        with journal.step(f"Sign in with {name}"):
            seen = provider.check()
    with engine.store.write() as unit:
        unit.credentials.add_typed("dns", kind, name, without_secrets(params), secrets_of(params))
    return seen


def try_credential(engine: Engine, name: str, domain: str | None) -> str:
    """Sign in; with a `domain`, write a random record as a request for it would, see it everywhere, and remove it.

    Returns:
        What was seen, in a few words.

    Raises:
        LeaseHeld: if it is being tried already.
        CertwrightError: with what does not work, and what to do.
    """
    identifier = Identifier.parse(domain) if domain else None
    if identifier and identifier.type is IdentifierType.IP:
        raise ConfigurationError(
            f"{identifier} is an address, and DNS proves names alone.",
            hint="Give a domain that the DNS service keeps, such as contoso.com.",
        )
    with _lease(engine, name) as lease:
        run = ActiveRun.unrecorded(engine, lease)
        with cleared(engine, run):
            return _try(engine, name, identifier, run)


def _try(engine: Engine, name: str, identifier: Identifier | None, run: ActiveRun) -> str:
    provider = dns.provider(engine, name, run.journal)
    with run.journal.step(f"Sign in with {name}"):
        seen = provider.check()
    if identifier is None:
        return seen
    if provider.by_hand:
        return f"{seen} A person makes them anew for each request, so there is nothing to try out."
    token = secrets.token_urlsafe(32)
    challenge = Challenge(identifier, "dns-01", token, f"{token}.{secrets.token_urlsafe(32)}")
    validation = Validation(challenge="dns-01", solver="dns", params={"credential": name})
    again = f"certwright credential test {name} {identifier}"
    with answered([(solver(engine, validation, run, again=again), [challenge])], run.journal):
        pass
    return f"{seen} A record for {identifier.unicode} was written, seen on every server of its zone, and removed."


def credentials(engine: Engine) -> list[CredentialInfo]:
    """All, by name, with what uses each: what is stored, and the installation's own proxy.

    Sign-in providers, which tell who becomes what here, are shown to those alone who decide about people.
    """
    with engine.store.read() as unit:
        hidden = {} if Permission.ADMINISTER in engine.caller.permissions else unit.credentials.kinds("sign-in")
        found = [one for one in unit.credentials.list() if one.name not in hidden]
    own = engine.proxy.credential
    return [_with_user(one, _OWN_PROXY) if one.name == own else one for one in found]


def _with_user(one: CredentialInfo, user: str) -> CredentialInfo:
    return replace(one, used_by=replace(one.used_by, first=(*one.used_by.first, user)))


def remove_credential(engine: Engine, name: str) -> None:
    """Forget a credential that nothing uses; the records that were written with it and are left are removed first.

    Raises:
        NotFound: if there is none of that name.
        InUse: if it is used; the users are named.
        ConfigurationError: if it is a notification channel or a sign-in provider, with more to it than a credential.
        Changed: if another was stored in its place meanwhile.
        LeaseHeld: if a run works with it.
    """
    with engine.store.read() as unit:
        unit.credentials.check_unused(name)
        kept = stored(unit, name)
        if name in unit.credentials.kinds("notify"):
            raise ConfigurationError(
                f"{name!r} is a notification channel.",
                hint=f"Remove it with what waits for it: certwright notification channel remove {name}",
            )
        if name in unit.credentials.kinds("sign-in"):
            raise ConfigurationError(
                f"{name!r} is a sign-in provider.",
                hint=f"An administrator removes it: certwright person provider remove {name}",
            )
    if name == engine.proxy.credential:
        raise InUse(
            f"The credential {name!r} is used by {_OWN_PROXY}.",
            hint="Name another one there, or none, first; a new password needs no removal.",
        )
    with _lease(engine, name) as lease:
        clear_credential(engine, name, ActiveRun.unrecorded(engine, lease))
        unchanged = as_seen(engine, stored, name, digest(kept))
        with unchanged.store.write(lease) as unit:
            unit.credentials.remove(name)


def _lease(engine: Engine, name: str) -> AbstractContextManager[Lease]:
    """Exclusive work on one credential."""
    return engine.store.lease(f"credential:{name}")
