"""A provider of the catalogue against its peer."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from certwright.engine import catalog
from certwright.rest import Api
from certwright.sdk.dns import DnsContext, DnsProvider
from certwright.sdk.journal import SilentJournal
from certwright.sdk.params import read_params
from peers.dns_peer import DnsPeer

Make = Callable[..., DnsProvider[Any]]


class NoMemory:
    def get(self, key: str, default: Any = None) -> Any:
        del key
        return default

    def put(self, key: str, value: Any) -> None:
        raise AssertionError(f"{key} = {value} was to be remembered")


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes the provider `name` for a peer, with other parameters than the peer's own, or another clock."""

    def made(
        name: str,
        peer: DnsPeer,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        **changed: Any,
    ) -> DnsProvider[Any]:
        plugin = catalog.plugin("dns", name)
        for attribute, value in peer.overrides.items():
            monkeypatch.setattr(plugin.cls, attribute, value)
        monkeypatch.setattr(Api, "pauses", (0.0, 0.0, 0.0))
        params = read_params(plugin.params, {**peer.params, **changed}, "the provider")
        provider: DnsProvider[Any] = plugin.cls(params, DnsContext("the-account", SilentJournal(), NoMemory(), now))
        return provider

    return made
