"""An installation that proves names by DNS: real name servers, an authority that asks them, a stored credential."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.message
import dns.query

from certwright.acme_server import AcmeServerConfig
from certwright.domain.keys import KeyType
from certwright.domain.managed import CertificateVersion, ManagedCertificate
from certwright.domain.validation import Validation
from certwright.engine.credentials import store_credential
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, create
from certwright.engine.request import request
from peers.bind import World
from world.site import ISSUER, Authority, Site, authority

CREDENTIAL = "primary"


@dataclass(frozen=True)
class Proofs:
    """What the tests of DNS validation live in."""

    site: Site
    ca: Authority
    world: World

    def store(self, name: str = CREDENTIAL, **changed: Any) -> None:
        """Keep the key that the primary takes updates with."""
        with self.site.engine() as engine:
            store_credential(engine, "rfc2136", name, {**self.key, **changed}, checked=True)

    @property
    def key(self) -> dict[str, Any]:
        """The parameters of the primary."""
        key = self.world.key
        return {"server": self.world.primary, "key_name": key.name, "key": key.secret, "algorithm": key.algorithm}

    def describe(self, *names: str, **params: Any) -> ManagedCertificate:
        """A managed certificate for `names`, proved by the stored credential with `params` of the solver."""
        way = Validation(challenge="dns-01", solver="dns", params={"credential": CREDENTIAL, **params})
        with self.site.engine() as engine:
            wish = Wish(names=names, issuer=ISSUER, validation=way, key_type=KeyType.ECDSA_P256)
            return create(engine, wish)

    def request(self, managed: ManagedCertificate) -> CertificateVersion:
        """Get a certificate in this process; it must be for all the names."""
        with self.site.engine() as engine:
            version = request(engine, managed.id).version
        assert version
        return version

    def journal(self, managed: ManagedCertificate) -> str:
        """All that the last run said."""
        with self.site.engine() as engine, engine.store.read() as unit:
            run = unit.runs.list(managed.id)[0]
            return "\n".join(f"{entry.title} {entry.detail}" for entry in unit.runs.entries(run.id))

    def standing(self, name: str) -> list[str]:
        """The TXT records at `name` on the primary."""
        answer = dns.query.tcp(dns.message.make_query(f"{name}.", "TXT"), self.world.primary, timeout=10)
        return sorted(str(record).strip('"') for rrset in answer.answer for record in rrset)


@contextmanager
def proofs(
    folder: Path,
    world: World,
    config: AcmeServerConfig | None = None,
    *,
    internal_names: bool = True,
    at_home: bool = False,
) -> Iterator[Proofs]:
    """An installation, its authority and its credential; both ask the resolver of `world`.

    Args:
        folder: of the installation.
        world: its DNS.
        config: of the authority.
        internal_names: whether the authority issues for names that only insiders know.
        at_home: whether the authority asks at the ports 80 and 443, as public ones do.
    """
    http_port, tls_port = (80, 443) if at_home else (None, None)
    with authority(config, resolver=world.resolver, http_port=http_port, tls_port=tls_port) as ca:
        site = Site(folder, (world.resolver,)).initialise()
        with site.engine() as engine:
            add_issuer(engine, "acme", ISSUER, ca.params, internal_names=internal_names, eab=None)
        one = Proofs(site, ca, world)
        one.store()
        yield one
