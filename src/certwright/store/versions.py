"""Certificate versions: immutable, but for the moment of their revocation, and that a key is kept no longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, case, delete, exists, func, insert, select, update

from certwright.domain.certificates import load_certificates
from certwright.domain.errors import InvalidMaterial, NotFound
from certwright.domain.managed import CertificateVersion, KeyForm
from certwright.store import schema
from certwright.store.schema import versions
from certwright.store.secrets import Secrets

_FIELDS = [versions.c[name] for name in CertificateVersion.model_fields]
_GET = select(*_FIELDS).where(versions.c.id == bindparam("id"))
_NEWEST_FIRST = (
    select(*_FIELDS).where(versions.c.managed_id == bindparam("managed_id")).order_by(versions.c.sequence.desc())
)
_NEWEST = _NEWEST_FIRST.limit(1)
_REVOKED = select(*_FIELDS).where(versions.c.revoked_at.is_not(None))
_OWNER = select(schema.managed.c.id).where(schema.managed.c.id == bindparam("managed_id"))
_INSERT = insert(versions)


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
        if self.connection.scalar(_OWNER, {"managed_id": version.managed_id}) is None:
            raise NotFound(f"The managed certificate {version.managed_id} was removed.")
        self.connection.execute(_INSERT, version.model_dump() | _validity(version))
        if private_key_pem is not None:
            self.secrets.put(key_name(version.id), private_key_pem)

    def get(self, version_id: str) -> CertificateVersion:
        """The version with this id.

        Raises:
            NotFound: if there is none.
        """
        row = self.connection.execute(_GET, {"id": version_id}).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no certificate version {version_id!r}.")
        return CertificateVersion.model_validate(row)

    def newest(self, managed_id: str) -> CertificateVersion | None:
        """The current version of a managed certificate, if it was ever issued."""
        row = self.connection.execute(_NEWEST, {"managed_id": managed_id}).mappings().one_or_none()
        return CertificateVersion.model_validate(row) if row else None

    def list(self, managed_id: str) -> list[CertificateVersion]:
        """The versions of a managed certificate, newest first."""
        rows = self.connection.execute(_NEWEST_FIRST, {"managed_id": managed_id}).mappings()
        return [CertificateVersion.model_validate(row) for row in rows]

    def revoked(self) -> Sequence[CertificateVersion]:
        """Those that were revoked, of all managed certificates."""
        rows = self.connection.execute(_REVOKED).mappings()
        return [CertificateVersion.model_validate(row) for row in rows]

    def owners_of_more_than(self, count: int) -> Sequence[str]:
        """The managed certificates that have more than `count` versions; an index answers it."""
        each = select(versions.c.managed_id).group_by(versions.c.managed_id).having(func.count() > count)
        return self.connection.scalars(each).all()

    def ends(self, edges: Sequence[datetime]) -> tuple[Sequence[int], datetime | None]:
        """How many current versions end up to each of these moments and after the one before, and after the last.

        Beside it the end of the one that ends first. It looks at every version.

        Args:
            edges: in their order.
        """
        later = versions.alias()
        newer = exists().where((later.c.managed_id == versions.c.managed_id) & (later.c.sequence > versions.c.sequence))
        place = case(*((versions.c.not_after <= edge, number) for number, edge in enumerate(edges)), else_=len(edges))
        each = select(place.label("place"), versions.c.not_after).where(~newer, versions.c.not_after.is_not(None))
        found = each.subquery()
        rows = self.connection.execute(
            select(found.c.place, func.count(), func.min(found.c.not_after)).group_by(found.c.place)
        ).all()
        counts = {place: count for place, count, _ in rows}
        return [counts.get(place, 0) for place in range(len(edges) + 1)], min((row[2] for row in rows), default=None)

    def remove(self, version_ids: Sequence[str]) -> None:
        """Forget versions and their keys; whoever calls knows that nothing refers to them.

        Of what was revoked the key alone is forgotten: that it must never be used again is known for good.
        """
        self.secrets.remove(*map(key_name, version_ids))
        gone, was_revoked = versions.c.id.in_(version_ids), versions.c.revoked_at.is_not(None)
        self.connection.execute(delete(versions).where(gone & ~was_revoked))
        self.connection.execute(update(versions).where(gone & was_revoked).values(key_form=KeyForm.ELSEWHERE))

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


def _validity(version: CertificateVersion) -> dict[str, datetime]:
    """The moments that versions are searched by."""
    try:
        leaf = load_certificates(version.chain_pem.encode())[0]
    except InvalidMaterial:
        return {}
    return {"not_before": leaf.not_valid_before_utc, "not_after": leaf.not_valid_after_utc}


def key_name(version_id: str) -> str:
    """The name of the secret that holds a version's private key."""
    return f"version:{version_id}"
