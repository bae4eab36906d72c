"""How names are proved, from the options of commands that describe a certificate."""

from collections.abc import Mapping
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.domain.validation import Validation


def look(via: str | None, *, off: bool) -> dict[str, Any]:
    """The parameters that say how the answers are looked at."""
    if off and via:
        raise ConfigurationError("--no-http-check and --http-check-via exclude each other.")
    return {"precheck": False} if off else _set(check_via=via)


def _listen(addresses: str) -> dict[str, Any]:
    """The parameters that say where a listener listens."""
    from certwright.probe import Endpoint  # noqa: PLC0415 - loads cryptography

    if addresses.startswith(":") and not addresses.startswith("::"):
        return {"port": Endpoint.parse(f"localhost{addresses}").port}
    places = [Endpoint.parse(address) for address in addresses.split(",")]
    if len({place.port for place in places}) > 1:
        raise ConfigurationError(f"{addresses!r} names several ports.", hint="Write all addresses with the same port.")
    return {"address": [place.host for place in places], "port": places[0].port}


def validation_of(ways: Mapping[str, Any], check: dict[str, Any]) -> Validation:
    """How the names are proved: `ways` are the options that choose it, `check` how http-01 and tls-alpn-01 look."""
    chosen = {option: value for option, value in ways.items() if value}
    if len(chosen) > 1:
        raise ConfigurationError(
            f"{' and '.join(chosen)} exclude each other: choose one way to prove the names.",
            hint="Other ways for some of the names: certwright validation set CERT SOLVER --for NAME ...",
        )
    way, value = next(iter(chosen.items()), ("", ""))
    if check and way.startswith("--dns"):
        raise ConfigurationError(f"{way} goes without the options that begin with --http and --no-http.")
    match way:
        case "--dns":
            return Validation(challenge="dns-01", solver="dns", params={"credential": value})
        case "--dns-persist":
            return Validation(challenge="dns-persist-01", solver="dns_persist")
        case "--tls-alpn":
            return Validation(challenge="tls-alpn-01", solver="tls_alpn", params={**_listen(value), **check})
        case "--webroot":
            return Validation(challenge="http-01", solver="webroot", params={"path": value, **check})
        case _:
            listen = _listen(value) if value else {}
            return Validation(challenge="http-01", solver="http_listener", params={**listen, **check})


def _set(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
