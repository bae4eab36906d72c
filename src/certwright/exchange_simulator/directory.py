"""Active Directory as Exchange's cmdlets see it: domain controllers that learn of a change one after another."""

import dataclasses
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Lag:
    """How long a domain controller goes on showing an old value after another one was written to.

    Attributes:
        seconds: By the clock.
        reads: By how often the old value is still read there.
    """

    seconds: float = 0.0
    reads: int = 0


@dataclass(slots=True)
class _Outdated:
    """What one controller still believes; `target` is held so that its id is not used again."""

    target: object
    value: Any
    due: float
    reads: int


class Directory:
    """The domain controllers of the organisation's domain.

    Args:
        domain: For example ``contoso.test``.
        controllers: Their NetBIOS names.
        lag: How slowly they replicate.
        clock: Seconds, for `lag`.
    """

    def __init__(
        self,
        domain: str,
        controllers: Sequence[str] = ("DC01",),
        lag: Lag | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.domain = domain
        self.controllers = tuple(f"{name}.{domain}" for name in controllers)
        self.lag = lag or Lag()
        self._clock = clock
        self._lock = threading.Lock()
        self._next = itertools.cycle(self.controllers)
        self._outdated: dict[tuple[int, str, str], _Outdated] = {}

    def controller(self, wanted: str | None) -> str:
        """The controller that `wanted` names in full or in short, else the next in turn.

        Raises:
            LookupError: There is no such controller.
        """
        if not wanted:
            with self._lock:
                return next(self._next)
        for fqdn in self.controllers:
            if wanted.lower() in {fqdn.lower(), fqdn.partition(".")[0].lower()}:
                return fqdn
        raise LookupError(wanted)

    def write(self, target: object, attribute: str, value: Any, controller: str) -> None:
        """Set an attribute through `controller`; the others learn of it later."""
        old = getattr(target, attribute)
        setattr(target, attribute, value)
        self.changed(target, attribute, old, controller)

    def changed(self, target: object, attribute: str, old: Any, controller: str) -> None:
        """An attribute has been changed through `controller`; the others go on believing `old` for a while."""
        with self._lock:
            due = self._clock() + self.lag.seconds
            for other in self.controllers:
                key = (id(target), attribute, other)
                if other == controller:
                    self._outdated.pop(key, None)
                elif self.lag.seconds or self.lag.reads:
                    believed = self._outdated[key].value if key in self._outdated else old
                    self._outdated[key] = _Outdated(target, believed, due, self.lag.reads)

    def seen(self, target: object, attribute: str, controller: str) -> Any:
        """The attribute as `controller` knows it."""
        with self._lock:
            key = (id(target), attribute, controller)
            outdated = self._outdated.get(key)
            if outdated is None or (outdated.reads <= 0 and self._clock() >= outdated.due):
                self._outdated.pop(key, None)
                return getattr(target, attribute)
            outdated.reads -= 1
            return outdated.value

    def view(self, target: Entry, controller: str) -> Entry:
        """A copy of the dataclass instance `target` as `controller` knows it."""
        with self._lock:
            believed = {attribute for i, attribute, at in self._outdated if i == id(target) and at == controller}
        old = {attribute: self.seen(target, attribute, controller) for attribute in believed}
        return dataclasses.replace(target, **old)  # type: ignore[type-var]  # only ever given dataclasses

    def distinguished_name(self, name: str, container: str) -> str:
        """Where the object `name` of `container` lies, for example ``CN=Outbound,CN=Connections,...,DC=test``."""
        return ",".join((f"CN={name}", f"CN={container}", "CN=Configuration", *self._components()))

    def _components(self) -> list[str]:
        return [f"DC={label}" for label in self.domain.split(".")]


def guid_of(container: str, identity: str) -> uuid.UUID:
    """The Guid of a directory object; always the same for the same one."""
    return uuid.uuid5(uuid.NAMESPACE_X500, f"{container}/{identity}".lower())
