"""Proxies of plugins: parameters for one of their own, and the way of libraries that speak HTTP by themselves."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from certwright.domain.errors import ConfigurationError
from certwright.domain.proxy import Proxy, ProxyChoice, environment
from certwright.sdk.params import ExistingFile, OnlyWith, Params, credential_field
from certwright.sdk.reach import guard


def _usable(way: str) -> str:
    try:
        return ProxyChoice(way).way
    except ConfigurationError as error:
        raise ValueError(f"{error.message} {error.hint}") from None


class ProxiedParams(Params):
    """What they have beside their own parameters; without `proxy`, the proxy is that of the installation."""

    proxy: Annotated[str, AfterValidator(_usable)] | None = Field(
        default=None,
        description="The proxy for this alone: system, none, or http://HOST:PORT [default: CERTWRIGHT_PROXY].",
    )
    proxy_credential: Annotated[str | None, OnlyWith("proxy")] = credential_field(
        "proxy", "What that proxy is signed in to with."
    )
    proxy_ca_file: Annotated[ExistingFile | None, OnlyWith("proxy")] = Field(
        default=None, description="PEM certificates that that proxy signs with, if it opens TLS."
    )

    @property
    def own_proxy(self) -> ProxyChoice | None:
        """What was chosen for this alone."""
        return ProxyChoice(self.proxy, self.proxy_credential, self.proxy_ca_file) if self.proxy else None


class LibraryProxy(BaseModel):
    """What the process of a library is told of a proxy, through a pipe: `variables` may hold a credential."""

    variables: Mapping[str, str] = {}
    roots: Path | None = None

    @classmethod
    def of(cls, proxy: Proxy | None) -> "LibraryProxy":
        """What is to be told; without a proxy, that there is none."""
        return cls(variables=environment(proxy), roots=proxy.roots) if proxy else cls()

    @contextmanager
    def used(self) -> Iterator[None]:
        """In that process, until the block ends: libraries built on requests go this way, and no other.

        What is never reached is refused there.
        """
        guard()
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            del os.environ[name]
        os.environ.update(self.variables)
        if self.roots is None:
            yield
            return
        import certifi  # noqa: PLC0415 - requests takes all authorities from one file

        with tempfile.TemporaryDirectory(prefix="certwright-") as folder:
            bundle = Path(folder) / "roots.pem"
            bundle.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + self.roots.read_bytes())
            os.environ["REQUESTS_CA_BUNDLE"] = str(bundle)
            yield
