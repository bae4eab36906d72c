"""People who sign in, a digest of each one's password, and their sessions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from certwright.domain.access import Person, Role, SignedIn
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.store.schema import people, sessions


@dataclass(frozen=True, slots=True)
class People:
    """The people. Names that differ in capitals only are one."""

    connection: Connection

    def add(self, person: Person, password: str) -> None:
        """Keep somebody new, with the digest of a password.

        Raises:
            ConfigurationError: if there is one of that name.
        """
        if self.find(person.name):
            raise ConfigurationError(f"There is a person {person.name!r} already.", hint="Choose another name.")
        self.connection.execute(insert(people).values(name=person.name, password=password, body=person))

    def find(self, name: str) -> tuple[Person, str] | None:
        """The person of this name, and the digest of the password."""
        mine = select(people.c.body, people.c.password).where(func.lower(people.c.name) == name.lower())
        row = self.connection.execute(mine).first()
        return (row.body, row.password) if row else None

    def get(self, name: str) -> Person:
        """The person of this name.

        Raises:
            NotFound: with the names that there are.
        """
        if found := self.find(name):
            return found[0]
        known = ", ".join(person.name for person in self.list())
        raise NotFound(f"There is no person {name!r}.", hint=f"People: {known}." if known else "There is nobody yet.")

    def list(self) -> list[Person]:
        """All, by name."""
        return list(self.connection.scalars(select(people.c.body).order_by(people.c.name)))

    def update(self, person: Person, password: str | None = None) -> None:
        """Keep what is known of somebody now; with a new password all sessions end."""
        mine = people.c.name == person.name
        self.connection.execute(update(people).where(mine).values(body=person))
        if password is not None:
            self.connection.execute(update(people).where(mine).values(password=password))
            self.connection.execute(delete(sessions).where(sessions.c.person == person.name))

    def remove(self, name: str) -> None:
        """Have somebody not be let in any more.

        Raises:
            NotFound: if there is nobody of that name.
            ConfigurationError: if it is the last administrator.
        """
        person = self.get(name)
        if [each.name for each in self.list() if each.role is Role.ADMINISTRATOR] == [person.name]:
            raise ConfigurationError(f"{person.name!r} is the last administrator.", hint="Add another one first.")
        self.connection.execute(delete(people).where(people.c.name == person.name))

    def begin_session(self, digest: bytes, session: SignedIn, ended_before: datetime) -> None:
        """Keep that a person signed in, and forget the sessions that began before this moment."""
        self.connection.execute(delete(sessions).where(sessions.c.since < ended_before))
        values = {"digest": digest, "person": session.person, "since": session.since, "body": session}
        self.connection.execute(insert(sessions).values(values))

    def session(self, digest: bytes) -> tuple[SignedIn, Person] | None:
        """The session, and whose it is."""
        both = sessions.join(people, people.c.name == sessions.c.person)
        mine = select(sessions.c.body, people.c.body.label("person_body")).select_from(both)
        row = self.connection.execute(mine.where(sessions.c.digest == digest)).first()
        return (row[0], row[1]) if row else None

    def update_session(self, digest: bytes, session: SignedIn) -> None:
        """Keep that it was seen."""
        self.connection.execute(update(sessions).where(sessions.c.digest == digest).values(body=session))

    def end_session(self, digest: bytes) -> None:
        """Forget it."""
        self.connection.execute(delete(sessions).where(sessions.c.digest == digest))
