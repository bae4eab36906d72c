"""Challenge answers: served by whichever process owns the port."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from certwright.store import rows
from certwright.store.schema import answers

_GET = select(answers.c.key_authorization).where(answers.c.token == bindparam("token"))
_DELETE = delete(answers).where(answers.c.token == bindparam("token"))
_EXPIRE = delete(answers).where(answers.c.put_at < bindparam("older_than"))


@dataclass(frozen=True, slots=True)
class Answers:
    """Key authorizations by token (RFC 8555 section 8.1); every solver publishes them, so they are no secret."""

    connection: Connection

    def put(self, token: str, key_authorization: str, at: datetime) -> None:
        """Keep an answer, in place of an earlier one."""
        row = {"token": token, "key_authorization": key_authorization, "put_at": at}
        rows.put(self.connection, answers, row)

    def claim(self, token: str, key_authorization: str, at: datetime) -> bool:
        """Keep an answer unless there is another one; whether it is kept."""
        found = self.get(token)
        if found is None:
            self.put(token, key_authorization, at)
        return found in {None, key_authorization}

    def get(self, token: str) -> str | None:
        """The answer to `token`, whoever put it."""
        return self.connection.scalar(_GET, {"token": token})

    def remove(self, token: str) -> None:
        """Forget an answer; that it is not there is fine."""
        self.connection.execute(_DELETE, {"token": token})

    def expire(self, older_than: datetime) -> int:
        """Forget the answers that were put before this moment, which crashed runs left; how many there were."""
        return self.connection.execute(_EXPIRE, {"older_than": older_than}).rowcount
