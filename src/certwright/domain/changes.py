"""What is told of changes to whoever listens: of the audit trail that part which makes lists other than they were."""

from collections.abc import Collection, Mapping

from pydantic import AwareDatetime, Field

from certwright.domain.access import Permission
from certwright.domain.audit import Action, Entry, SubjectKind
from certwright.domain.managed import Value

_ACTIONS = frozenset(
    {
        Action.ADDED,
        Action.CHANGED,
        Action.REMOVED,
        Action.REQUESTED,
        Action.HELD,
        Action.RELEASED,
        Action.REVOKED,
        Action.ACKNOWLEDGED,
        Action.UNDONE,
    }
)
_LISTED: Mapping[SubjectKind, Permission] = dict.fromkeys(SubjectKind, Permission.READ) | {
    SubjectKind.PERSON: Permission.ADMINISTER,
    SubjectKind.TOKEN: Permission.ADMINISTER,
    SubjectKind.STORE: Permission.ADMINISTER,
}


class Change(Value):
    """That something is other than it was, for whoever may list it. Who did it, and how, is told by the audit trail."""

    number: int = Field(ge=1, description="Counts all that is done; some numbers are not told.", examples=[42])
    at: AwareDatetime
    action: Action = Field(examples=[Action.HELD])
    kind: SubjectKind = Field(description="Of what is changed.", examples=[SubjectKind.CERTIFICATE])
    id: str = Field(description="Its id, or its name if it goes by that.", examples=["3f2a9c01b7de"])
    title: str = Field(examples=["mail.contoso.com"])


def change(entry: Entry, permissions: Collection[Permission]) -> Change | None:
    """What somebody who may do this is told of an entry; None for nothing."""
    about = entry.subject
    if entry.action not in _ACTIONS or _LISTED[about.kind] not in permissions:
        return None
    return Change(
        number=entry.number, at=entry.at, action=entry.action, kind=about.kind, id=about.id, title=about.title
    )
