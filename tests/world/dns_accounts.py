"""DNS providers as the engine makes them, at peers that take the place of the services."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Event, Lock
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.domain.proxy import Proxy
from certwright.engine import catalog
from certwright.rest import Api
from certwright.sdk.dns import DnsContext, DnsProvider
from certwright.sdk.journal import Journal, SilentJournal
from certwright.sdk.params import read_params
from certwright.sdk.places import Places
from certwright.wiring import utc_now
from peers.dns_peer import DnsPeer

CREDENTIAL = "the-dns-account"
_SECONDS = 30


class Alone:
    """As the engine has it; `waits` is set once somebody has to wait."""

    def __init__(self) -> None:
        self.waits = Event()
        self._locks: dict[str, Lock] = {}

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        lock = self._locks.setdefault(what, Lock())
        if not lock.acquire(blocking=False):
            self.waits.set()
            assert lock.acquire(timeout=_SECONDS)
        try:
            yield
        finally:
            lock.release()


class Memory:
    """What a provider remembers, as JSON, until the test ends."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def put(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)


def provider(
    name: str,
    params: Mapping[str, Any],
    journal: Journal | None = None,
    script_folders: tuple[Path, ...] = (),
    proxy: Proxy | None = None,
    alone: Callable[[str], AbstractContextManager[None]] = lambda _what: nullcontext(),
) -> DnsProvider[Any]:
    """The DNS provider `name`, as if `params` were stored as the credential `CREDENTIAL`."""
    plugin = catalog.plugin("dns", name)
    read = read_params(plugin.params, dict(params), "the provider")
    told = journal or SilentJournal()
    context = DnsContext(CREDENTIAL, told, Memory(), utc_now, Places(script_folders), alone, proxy)
    made: DnsProvider[Any] = plugin.cls(read, context)
    return made


@contextmanager
def reached(name: str, peer: DnsPeer) -> Iterator[Callable[..., DnsProvider[Any]]]:
    """Makes the providers `name` that reach `peer`, with changed parameters if wished; `peer` must have no complaint.

    Attempts follow each other without a pause.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Api, "pauses", (0.0, 0.0, 0.0))
        for attribute, value in peer.overrides.items():
            patch.setattr(catalog.plugin("dns", name).cls, attribute, value)
        yield lambda **changed: provider(name, {**peer.params, **changed})
    assert peer.complaints == []


def refusal(name: str, **values: Any) -> str:
    """What a person is told who gives the provider `name` these `values`, which do not fit."""
    with pytest.raises(ConfigurationError) as caught:
        read_params(catalog.plugin("dns", name).params, values, "the provider")
    return "\n".join(caught.value.explain())
