"""People who sign in, a digest of each one's password or who vouches for them, and their sessions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from certwright.domain.access import Identity, Person, SignedIn
from certwright.domain.audit import Action, Subject, SubjectKind, named
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.domain.managed import Json
from certwright.domain.totp import SecondFactor
from certwright.store.audit import Trail
from certwright.store.schema import people, sessions
from certwright.store.secrets import Secrets

_STRANGER = Subject(kind=SubjectKind.PERSON, id="", title="nobody that is known")


@dataclass(frozen=True, slots=True)
class People:
    """The people. Names that differ in capitals only are one."""

    connection: Connection
    secrets: Secrets
    trail: Trail

    def add(self, person: Person, password: str = "") -> None:
        """Keep somebody new, with the digest of a password, or with none who comes by a provider.

        Raises:
            ConfigurationError: if there is one of that name.
        """
        if self.find(person.name):
            raise ConfigurationError(f"There is a person {person.name!r} already.", hint="Choose another name.")
        who = {"issuer": person.identity.issuer, "subject": person.identity.subject} if person.identity else {}
        self.connection.execute(insert(people).values(name=person.name, password=password, body=person, **who))
        self.trail.change(_subject(person), None, person)

    def find(self, name: str) -> tuple[Person, str] | None:
        """The person of this name, and the digest of the password."""
        mine = select(people.c.body, people.c.password).where(func.lower(people.c.name) == name.lower())
        row = self.connection.execute(mine).first()
        return (row.body, row.password) if row else None

    def password(self, name: str) -> str:
        """The digest of the password of this person; empty of one who comes by a provider."""
        return self.connection.execute(select(people.c.password).where(people.c.name == name)).scalar_one()

    def vouched(self, identity: Identity) -> Person | None:
        """The person whom the issuer means by this subject."""
        mine = (people.c.issuer == identity.issuer) & (people.c.subject == identity.subject)
        return self.connection.scalar(select(people.c.body).where(mine))

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
        """Keep what is known of somebody now; with a new password, and by another provider, all sessions end.

        Raises:
            NotFound: if there is nobody of that name.
            ConfigurationError: if the last administrator is to be none.
        """
        if not person.keeps_the_key:
            self._keep_an_administrator(person.name)
        mine, told = people.c.name == person.name, person.model_dump(mode="json")
        told |= {} if password is None else {"password": "another one"}
        before = self.get(person.name)
        self.trail.change(_subject(person), before, told)
        self.connection.execute(update(people).where(mine).values(body=person))
        if password is not None:
            self.connection.execute(update(people).where(mine).values(password=password))
        if password is not None or person.identity != before.identity:
            self._end_sessions(person)

    def attempted(self, person: Person) -> None:
        """Keep how often this person's password was wrong, and until when none is looked at."""
        self.connection.execute(update(people).where(people.c.name == person.name).values(body=person))
        if person.failures:
            action = Action.LOCKED if person.locked_until else Action.REFUSED
            told = person.model_dump(mode="json", include={"failures", "locked_until"})
            self.trail.note(action, _subject(person), after=told)

    def refuse_stranger(self, told: Json | None = None) -> None:
        """Note that nobody of this name is known; not each time.

        What was typed is not kept: it may be a password. `told` is what else may be.
        """
        self.trail.refuse(_STRANGER, told)

    def refuse_vouched(self, identity: Identity, reason: str) -> None:
        """Note that somebody for whom a provider vouches is not let in, and why; sessions of this one end."""
        known = self.vouched(identity)
        if known:
            self._end_sessions(known)
        subject = _subject(known) if known else named(SubjectKind.PERSON, f"{identity.subject} of {identity.provider}")
        self.trail.note(Action.REFUSED, subject, after={**identity.model_dump(mode="json"), "reason": reason})

    def factor(self, name: str) -> SecondFactor | None:
        """What proves this person's codes, confirmed or not."""
        kept = self.secrets.find(_factor(name))
        return SecondFactor.model_validate_json(kept, extra="ignore") if kept else None

    def put_factor(self, person: Person, factor: SecondFactor | None) -> None:
        """Have codes asked for that this proves, once it is confirmed; None: have none asked for any more."""
        self.secrets.remove(_factor(person.name))
        if factor:
            self.secrets.put(_factor(person.name), factor.model_dump_json().encode())
        is_asked = factor is not None and factor.confirmed
        self.update(person.model_copy(update={"second_factor": is_asked}))

    def use_code(self, person: Person, used: SecondFactor) -> None:
        """Keep that a code was used."""
        before = self.factor(person.name)
        left = [{"recovery_codes": len(each.recovery)} if each else None for each in (before, used)]
        self.trail.change(_subject(person), *left)
        self.secrets.put(_factor(person.name), used.model_dump_json().encode())

    def remove(self, name: str) -> None:
        """Have somebody not be let in any more.

        Raises:
            NotFound: if there is nobody of that name.
            ConfigurationError: if it is the last administrator.
        """
        person = self.get(name)
        self._keep_an_administrator(person.name)
        self.connection.execute(delete(people).where(people.c.name == person.name))
        self.secrets.remove(_factor(person.name))
        self.trail.change(_subject(person), person, None)

    def put_out(self, provider: str) -> None:
        """End the sessions of all who came by this provider."""
        for each in self.list():
            if each.identity and each.identity.provider == provider:
                self._end_sessions(each)

    def bar(self, person: Person) -> None:
        """Let somebody in no more, whatever a provider says; sessions end."""
        self.update(person.model_copy(update={"barred": True}))
        self._end_sessions(person)

    def _end_sessions(self, person: Person) -> None:
        self.connection.execute(delete(sessions).where(sessions.c.person == person.name))

    def _keep_an_administrator(self, but: str) -> None:
        if [each.name for each in self.list() if each.keeps_the_key] == [but]:
            raise ConfigurationError(
                f"{but!r} is the last administrator.", hint="Add another one first, with a password."
            )

    def begin_session(self, digest: bytes, session: SignedIn, ended_before: datetime) -> None:
        """Keep that a person signed in, and forget the sessions that began before this moment."""
        self.connection.execute(delete(sessions).where(sessions.c.since < ended_before))
        values = {"digest": digest, "person": session.person, "since": session.since, "body": session}
        self.connection.execute(insert(sessions).values(values))
        self.trail.note(Action.SIGNED_IN, named(SubjectKind.PERSON, session.person))

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
        """Forget it; that there is none is fine."""
        if found := self.session(digest):
            self.connection.execute(delete(sessions).where(sessions.c.digest == digest))
            self.trail.note(Action.SIGNED_OUT, _subject(found[1]))


def _factor(name: str) -> str:
    return f"totp:{name}"


def _subject(person: Person) -> Subject:
    return named(SubjectKind.PERSON, person.name)
