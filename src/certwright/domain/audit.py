"""The audit trail: who did what to which, each entry bound to the one before it by a hash, and its signed heads.

The hash of an entry is the SHA-256 of its text, which names the hash of the entry before: so none of them can be
changed, removed, added or moved without another one showing it. Whoever can write all of them anew is found by a head
that was signed, or kept elsewhere.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, Field

from certwright.domain.actors import Actor
from certwright.domain.managed import Json, Value


class Action(StrEnum):
    """What was done.

    `began` is a run that was not begun by the service; `requested` has it begin one. `ran` are programs run, or files
    written, as parameters name them: also by the service.
    """

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    REQUESTED = "requested"
    HELD = "held back"
    RELEASED = "released"
    BEGAN = "began"
    RAN = "ran"
    REVOKED = "revoked"
    EXPORTED = "exported"
    SIGNED_IN = "signed in"
    SIGNED_OUT = "signed out"
    REFUSED = "refused"
    LOCKED = "locked"
    MADE = "made"
    ACKNOWLEDGED = "acknowledged"
    UNDONE = "undone"
    BACKED_UP = "backed up"
    RESTORED = "restored"
    RECOVERED = "recovered"
    KEYS_CHANGED = "keys changed"


class SubjectKind(StrEnum):
    """To what kind of thing something is done."""

    CERTIFICATE = "certificate"
    ISSUER = "issuer"
    CREDENTIAL = "credential"
    WINDOW = "window"
    RULE = "rule"
    WATCHED = "watched"
    PERSON = "person"
    TOKEN = "token"  # noqa: S105 - a word
    ORGANISATION = "organisation"
    STORE = "store"
    SETTINGS = "settings"


class Subject(Value):
    """To what something is done; what goes by its name has that as its `id` too."""

    kind: SubjectKind
    id: str
    title: str


def named(kind: SubjectKind, name: str) -> Subject:
    """What goes by its name."""
    return Subject(kind=kind, id=name, title=name)


def the_store(store_id: str) -> Subject:
    """A store as a whole."""
    return Subject(kind=SubjectKind.STORE, id=store_id, title="the store")


class Entry(Value):
    """That `actor` did something to `subject`: what of it was `before`, and is `after`. Neither holds a secret.

    `number` counts from 1; `previous` is the hash of the entry before, and empty in the first.
    """

    number: int = Field(ge=1)
    previous: str
    at: AwareDatetime
    actor: Actor
    action: Action
    subject: Subject
    before: Json | None = None
    after: Json | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as it is kept: its canonical text, and the hash of that."""

    text: str
    hash: str

    @classmethod
    def of(cls, entry: Entry) -> "Recorded":
        """The entry, to be kept."""
        text = canonical(entry.model_dump(mode="json"))
        return cls(text, digest(text))

    @property
    def entry(self) -> Entry:
        """What the text says.

        Raises:
            ValueError: if it is no entry.
        """
        return Entry.model_validate_json(self.text)


def canonical(value: Any) -> str:
    """JSON in ASCII, without blanks, the keys in order: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(text: str) -> str:
    """The hash of a canonical text, in hex."""
    return hashlib.sha256(text.encode("ascii", "replace")).hexdigest()


def difference(before: Json | None, after: Json | None) -> tuple[Json | None, Json | None]:
    """Of two states the fields in which they differ; all of one that there was or is alone."""
    if before is None or after is None:
        return before, after
    differ = {name for name in before.keys() | after.keys() if before.get(name, ...) != after.get(name, ...)}
    return _only(before, differ), _only(after, differ)


def _only(state: Mapping[str, Any], names: set[str]) -> Json:
    return {name: value for name, value in state.items() if name in names}


class Head(Value):
    """Where the trail of a store stood at some moment: the number and the hash of its last entry."""

    store: str
    number: int
    hash: str
    at: AwareDatetime

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class SignedHead(Value):
    """A head, and what the store's own Ed25519 key signed of it: its canonical text. Key and signature in base64."""

    head: Head
    key: str
    signature: str

    @classmethod
    def by(cls, key: Ed25519PrivateKey, head: Head) -> "SignedHead":
        """Sign a head."""
        return cls(head=head, key=public(key), signature=base64.b64encode(key.sign(_signed(head))).decode())

    @property
    def signature_in_hex(self) -> str:
        """For people: what is in base64 looks like a secret, which logs leave out."""
        return base64.b64decode(self.signature).hex()

    @property
    def is_right(self) -> bool:
        """Whether its key signed it."""
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.key, validate=True))
            key.verify(base64.b64decode(self.signature, validate=True), _signed(self.head))
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def public(key: Ed25519PrivateKey) -> str:
    """What proves signatures of this key, in base64."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _signed(head: Head) -> bytes:
    return canonical(head.model_dump(mode="json")).encode()
