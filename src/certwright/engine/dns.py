"""DNS providers: made from stored credentials, and tried out."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from certwright.domain.errors import ConfigurationError, LeaseHeld, SolverError
from certwright.engine import catalog
from certwright.engine.commands import may_run
from certwright.engine.context import Engine
from certwright.engine.outbound import proxy_for
from certwright.sdk.dns import DnsContext, DnsProvider
from certwright.sdk.journal import Journal
from certwright.sdk.params import read_params
from certwright.store import UnitOfWork

_SECONDS = 180  # an API that hangs is given up sooner
_PAUSE = 0.1


def provider(engine: Engine, name: str, journal: Journal) -> DnsProvider[Any]:
    """The DNS provider of the stored credential `name`, or the provider of that name if it needs no parameters.

    Raises:
        ConfigurationError: if there is neither, or its parameters do not fit (any more).
    """
    with engine.store.read() as unit:
        kind, values = _stored(unit, name)
    found = catalog.plugin("dns", kind)
    params = read_params(found.params, values, f"the credential {name!r}")
    made: DnsProvider[Any] = found.cls(params, context(engine, name, journal))
    return made


def context(engine: Engine, name: str, journal: Journal) -> DnsContext:
    """What the DNS provider of the credential `name` works with."""
    memory = SealedMemory(engine, name)
    return DnsContext(
        name,
        journal,
        memory,
        engine.now,
        engine.places,
        lambda what: alone(engine, name, what),
        proxy_for(engine),
    )


@contextmanager
def alone(
    engine: Engine,
    name: str,
    what: str,
    *,
    seconds: float | None = None,
    pause: float = _PAUSE,
    waits: Callable[[LeaseHeld], None] = lambda _held: None,
) -> Iterator[None]:
    """What only one run at a time may do with the credential `name`; the others wait for it.

    Args:
        engine: what to work with.
        name: of the credential.
        what: it is done with, such as a zone.
        seconds: how long it is waited for; as long as a change takes at most if that is left out.
        pause: seconds from one look to the next.
        waits: is called before each pause.

    Raises:
        SolverError: if that takes too long.
    """
    patience = _SECONDS if seconds is None else seconds
    end = time.monotonic() + patience
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(engine.store.lease(f"dns:{name}:{what}"))
                break
            except LeaseHeld as held:
                if time.monotonic() > end:
                    raise SolverError(
                        f"Another run has worked with the credential {name!r} at {what} for {patience:.0f} s.",
                        causes=[held],
                        hint="Try again when it has finished.",
                        retryable=True,
                    ) from held
                waits(held)
                time.sleep(pause)
        yield


def kind_of(unit: UnitOfWork, name: str) -> str:
    """The provider of the stored credential `name`, or the provider of that name if it needs no parameters.

    Raises:
        NotFound: if there is neither, with the names that there are.
        ConfigurationError: if the credential is not one of a DNS provider.
    """
    return _stored(unit, name)[0]


def may_use(engine: Engine, unit: UnitOfWork, name: str) -> bool:
    """Whether the caller may have records written with the credential `name`: some providers run programs for that."""
    with suppress(ConfigurationError):
        return may_run(engine, catalog.plugin("dns", kind_of(unit, name)).cls)
    return True  # whoever chooses it is told what is missing


def check_name(name: str) -> None:
    """Refuse the name of a provider that needs no parameters: a credential of that name would take its place.

    Raises:
        ConfigurationError: with what to do.
    """
    if _needs_none(name):
        raise ConfigurationError(
            f"{name!r} is the name of a DNS provider that needs no credential.",
            hint=f"Choose another name, such as my-{name}.",
        )


def _stored(unit: UnitOfWork, name: str) -> tuple[str, dict[str, Any]]:
    if _needs_none(name) and name not in unit.credentials.names():
        return name, {}
    return unit.credentials.typed("dns", name)


def _needs_none(name: str) -> bool:
    with suppress(ConfigurationError):
        read_params(catalog.plugin("dns", name).params, {}, name)
        return True
    return False


class SealedMemory:
    """What a DNS provider remembers for its credential, encrypted."""

    def __init__(self, engine: Engine, credential: str) -> None:
        self._engine = engine
        self._owner = f"dns:{credential}"

    def get(self, key: str, default: Any = None) -> Any:
        """What was put last."""
        with self._engine.store.read() as unit:
            value = unit.secrets.find(f"{self._owner}:{key}")
        return default if value is None else json.loads(value)

    def put(self, key: str, value: Any) -> None:
        """Store `value` durably."""
        with self._engine.store.write() as unit:
            unit.secrets.put(f"{self._owner}:{key}", json.dumps(value).encode())
