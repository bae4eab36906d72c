"""The way out of this machine: which proxy a request takes, with the credential that is stored for it."""

import ssl
from dataclasses import replace
from pathlib import Path
from urllib.request import getproxies

from pydantic import BaseModel

from certwright.domain.errors import ConfigurationError
from certwright.domain.proxy import NONE, SYSTEM, Proxy, explicit, of_system
from certwright.engine.context import Engine
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
        credential = unit.credentials.get(choice.credential)
    return replace(proxy, username=credential.username, password=credential.password)


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
