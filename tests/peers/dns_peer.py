"""What the contract of DNS providers needs of the other side: an account at a DNS service, kept on loopback.

The peer of the provider NAME is the module `peers.dns_NAME` with a context manager `serve()` that gives a `DnsPeer`.
There may be several, `peers.dns_NAME__SERVER`; that of `lexicon:MEMBER` is `peers.dns_lexicon__MEMBER`.
`tests/contract/test_dns_providers.py` finds them there; nothing else is to be registered.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

ZONE = "contoso.com"
OTHER_ZONE = "fabrikam.com"


class Fault(Enum):
    """What a service does to the next request, in its own documented way where there is one."""

    RATE_LIMITED = "too many requests, try again at once"
    UNAVAILABLE = "out of order for a moment"
    BROKEN = "the connection breaks before anything is done"
    ANSWER_LOST = "it is done, but the connection breaks before the answer"
    NONSENSE = "a success that is a web page"
    FORBIDDEN = "the credential is right, but may not do that"


class DnsPeer(ABC):
    """An account that has the zones `ZONE` and `OTHER_ZONE` with a few records, and nothing else.

    Attributes:
        params: what the provider is given, as stored; with it everything works.
        wrong_params: the same with a secret that the service does not accept.
        overrides: class attributes that the provider has for this peer, such as its base address.
        tells_zones: whether the service tells which zones there are.
        tries_secret: whether a check alone shows that the secret is wrong.
        writes_anywhere: whether values are written at any name, and can be taken away again.
        script_folders: from where programs may be run.
        faults: those that the peer can bring about.
        complaints: what was asked that the service's documentation does not allow; a right provider causes none.
    """

    tells_zones: ClassVar[bool] = True
    tries_secret: ClassVar[bool] = True
    writes_anywhere: ClassVar[bool] = True
    script_folders: tuple[Path, ...] = ()
    faults: ClassVar[frozenset[Fault]] = frozenset(Fault)
    params: Mapping[str, Any]
    wrong_params: Mapping[str, Any]
    overrides: Mapping[str, Any]
    complaints: list[str]

    @abstractmethod
    def read(self, name: str) -> list[str]:
        """The values of the TXT records at `name` (absolute, no final dot), sorted, each once as DNS shows it."""

    @abstractmethod
    def put(self, name: str, value: str) -> None:
        """Add a TXT record, as somebody else would."""

    @abstractmethod
    def everything(self) -> object:
        """All records of all zones, to be compared; SOA serials and the like left out."""

    @abstractmethod
    def fail(self, fault: Fault, times: int = 1, *, after: int = 0) -> None:
        """Let the next `times` requests end so, once `after` others have been answered; it replaces earlier wishes."""


Serve = Callable[[], AbstractContextManager[DnsPeer]]


def peers() -> dict[str, Serve]:
    """Name of module without its beginning -> the peer."""
    names = sorted(path.stem.removeprefix("dns_") for path in Path(__file__).parent.glob("dns_*.py"))
    return {name: _later(name) for name in names if name != "peer"}


def _later(name: str) -> Serve:
    """The peer, whose module is imported when it is served."""

    def serve() -> AbstractContextManager[DnsPeer]:
        made: AbstractContextManager[DnsPeer] = import_module(f"peers.dns_{name}").serve()
        return made

    return serve
