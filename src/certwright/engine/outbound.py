"""The way out of this machine: which proxy a request takes, with the credential that is stored for it."""

import ssl
from dataclasses import replace
from pathlib import Path
from urllib.request import getproxies

from pydantic import BaseModel

from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError
from certwright.domain.proxy import NONE, SYSTEM, Proxy, explicit, of_system
from certwright.engine.context import Engine
from certwright.engine.destinations import require_destinations
from certwright.sdk.proxy import ProxiedParams


def proxy_for(engine: Engine, params: BaseModel | None = None) -> Proxy | None:
    """The proxy of a plugin with these `params`, or of whoever has none of its own.

    Raises:
        NotFound, ConfigurationError: if the credential or the roots are not there, or the system's proxy is none that
            can be used.
    """
    own = params.own_proxy if isinstance(params, ProxiedParams) else None
    choice = own or engine.proxy
    if choice.way == NONE:
        return None
    found = getproxies()
    proxy = of_system(found) if choice.way == SYSTEM else explicit(choice, found.get("no", ""))
    if proxy is None:
        return None
    proxy = replace(proxy, roots=_readable(choice.roots))
    if choice.credential is None:
        return proxy
    with engine.store.read() as unit:
        credential = unit.credentials.get(choice.credential, SignIn.PROXY)
    return replace(proxy, username=credential.username, password=credential.password)


def require_proxy(engine: Engine, params: BaseModel) -> None:
    """Return if a plugin's own proxy is given no stored password that it was not given before, or the caller may do so.

    Raises:
        NotFound, ConfigurationError: if there is no such credential for proxies.
        Forbidden: if who asks may not have the password sent there.
    """
    choice = params.own_proxy if isinstance(params, ProxiedParams) else None
    if choice is None or choice.credential is None:
        return
    with engine.store.read() as unit:
        unit.credentials.get(choice.credential, SignIn.PROXY)
        shown = [values for family in ("notify", "sign-in") for values in unit.credentials.shown(family).values()]
        stored = [*shown, *(issuer.params for issuer in unit.issuers.list())]
    known = {SYSTEM, NONE, *(each["proxy"] for each in stored if each.get("proxy_credential") == choice.credential)}
    if engine.proxy.credential == choice.credential:
        known.add(engine.proxy.way)
    refusal = "may not have a stored password sent to a proxy that it was not sent to before"
    require_destinations(engine, [choice.way], known, refusal, "The password")


def _readable(roots: Path | None) -> Path | None:
    try:
        if roots:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(roots)
    except OSError as error:
        raise ConfigurationError(
            f"The proxy's roots cannot be read from {roots}: {error.strerror or error}.",
            hint="Give a PEM file in CERTWRIGHT_PROXY_CA_FILE, or with --proxy-ca-file.",
        ) from error
    return roots
