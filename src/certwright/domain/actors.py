"""Who acts: each change tells who made it."""

from enum import StrEnum

from pydantic import Field

from certwright.domain.managed import Value


class ActorKind(StrEnum):
    """As what somebody acts."""

    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - a word
    COMMAND_LINE = "command line"
    SERVICE = "service"


class Actor(Value):
    """Who acts.

    `name` is a person's or a token's name; at the command line the user of the operating system, as `USER@HOST`.
    """

    kind: ActorKind
    name: str = Field(min_length=1, max_length=300)

    def __str__(self) -> str:
        return f"The token {self.name!r}" if self.kind is ActorKind.TOKEN else self.name
