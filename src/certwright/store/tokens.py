"""API tokens: what is known of each, and a digest of its secret."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from certwright.domain.access import ApiToken
from certwright.domain.audit import Subject, SubjectKind
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.store.audit import Trail
from certwright.store.schema import tokens

_STRANGER = Subject(kind=SubjectKind.TOKEN, id="", title="none that is known")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The API tokens."""

    connection: Connection
    trail: Trail

    def add(self, token: ApiToken, digest: bytes) -> None:
        """Keep a new one.

        Raises:
            ConfigurationError: if there is one of that name.
        """
        if self.connection.scalar(select(tokens.c.id).where(tokens.c.name == token.name)):
            raise ConfigurationError(
                f"There is a token {token.name!r} already.",
                hint="Choose another name, or remove that one first: certwright token remove",
            )
        self.connection.execute(insert(tokens).values(id=token.id, name=token.name, digest=digest, body=token))
        self.trail.change(_subject(token), None, token)

    def find(self, token_id: str) -> tuple[ApiToken, bytes] | None:
        """The one with this id, and the digest of its secret."""
        row = self.connection.execute(select(tokens.c.body, tokens.c.digest).where(tokens.c.id == token_id)).first()
        return (row.body, row.digest) if row else None

    def update(self, token: ApiToken) -> None:
        """Keep when it was used."""
        self.connection.execute(update(tokens).where(tokens.c.id == token.id).values(body=token))

    def list(self) -> list[ApiToken]:
        """All, by name."""
        return list(self.connection.scalars(select(tokens.c.body).order_by(tokens.c.name)))

    def get(self, name: str) -> ApiToken:
        """The one of this name.

        Raises:
            NotFound: with the names that there are.
        """
        token = self.connection.scalar(select(tokens.c.body).where(tokens.c.name == name))
        if token is None:
            known = ", ".join(token.name for token in self.list())
            raise NotFound(f"There is no token {name!r}.", hint=f"Tokens: {known}." if known else "There is none yet.")
        return token

    def remove(self, name: str) -> None:
        """Have it let nobody in any more.

        Raises:
            NotFound: as `get`.
        """
        token = self.get(name)
        self.connection.execute(delete(tokens).where(tokens.c.name == name))
        self.trail.change(_subject(token), token, None)

    def subject(self, name: str) -> Subject:
        """What the audit trail calls the one of this name; an empty name is for one that there is not.

        Raises:
            NotFound: as `get`.
        """
        return _subject(self.get(name)) if name else _STRANGER


def _subject(token: ApiToken) -> Subject:
    return Subject(kind=SubjectKind.TOKEN, id=token.id, title=token.name)
