"""Certificate versions: immutable, but for the moment of their revocation."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from certwright.domain.errors import NotFound
from certwright.domain.managed import CertificateVersion
from certwright.store import schema
from certwright.store.schema import versions
from certwright.store.secrets import Secrets

_FIELDS = [versions.c[name] for name in CertificateVersion.model_fields]


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of all managed certificates; the newest of each is its current one."""

    connection: Connection
    secrets: Secrets

    def add(self, version: CertificateVersion, private_key_pem: bytes | None) -> None:
        """Keep a version, which becomes the current one, and its key if that is with us.

        Raises:
            NotFound: if its managed certificate was removed.
        """
        owner = select(schema.managed.c.id).where(schema.managed.c.id == version.managed_id)
        if self.connection.scalar(owner) is None:
            raise NotFound(f"The managed certificate {version.managed_id} was removed.")
        self.connection.execute(insert(versions).values(version.model_dump()))
        if private_key_pem is not None:
            self.secrets.put(key_name(version.id), private_key_pem)

    def get(self, version_id: str) -> CertificateVersion:
        """The version with this id.

        Raises:
            NotFound: if there is none.
        """
        found = self.connection.execute(select(*_FIELDS).where(versions.c.id == version_id))
        row = found.mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no certificate version {version_id!r}.")
        return CertificateVersion.model_validate(row)

    def list(self, managed_id: str, limit: int | None = None) -> list[CertificateVersion]:
        """The versions of a managed certificate, newest first."""
        query = select(*_FIELDS).where(versions.c.managed_id == managed_id).order_by(versions.c.sequence.desc())
        return [
            CertificateVersion.model_validate(row) for row in self.connection.execute(query.limit(limit)).mappings()
        ]

    def private_key(self, version_id: str) -> bytes | None:
        """The private key in PEM, or None if it is not with us."""
        return self.secrets.find(key_name(version_id))

    def mark_revoked(self, version_id: str, at: datetime) -> None:
        """Note the moment of revocation; the first one stays.

        Raises:
            NotFound: if there is no such version.
        """
        if self.get(version_id).revoked_at is None:
            self.connection.execute(update(versions).where(versions.c.id == version_id).values(revoked_at=at))


def key_name(version_id: str) -> str:
    """The name of the secret that holds a version's private key."""
    return f"version:{version_id}"
