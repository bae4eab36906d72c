"""Names that a person types, looked at one by one before anything is made of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from certwright.domain.audit import Subject
from certwright.domain.errors import InvalidIdentifier
from certwright.domain.identifiers import MAX_NAMES, Identifier, IdentifierType, public_obstacle
from certwright.engine.context import Engine
from certwright.engine.exchange.names import resolves
from certwright.store import UnitOfWork

_LOOKED_UP = 50
_WORKERS = 8
_ELSEWHERE = (
    "No public authority issues for it: leave it out and have clients use a public name that leads to the same place, "
    "or choose an authority of your own."
)


@dataclass(frozen=True, slots=True)
class TypedName:
    """One name as it was typed: what it is, if it is a name, and what a person is told of it.

    Attributes:
        text: as it was typed.
        identifier: what is meant; None if it is no name.
        advice: why it cannot be put on the certificate, and what to do.
        is_repeated: whether the same name was typed before it.
        holder: another certificate that has it already.
        resolves: whether it has an address in DNS; None if that is not known, or was not asked.
    """

    text: str
    identifier: Identifier | None
    advice: str = ""
    is_repeated: bool = False
    holder: Subject | None = None
    resolves: bool | None = None

    @property
    def spelling(self) -> str:
        """How it stands on the certificate, if that is in another script than it was typed in; else empty."""
        found = self.identifier.value if self.identifier else ""
        return found if "xn--" in found and found != self.text.removesuffix(".").lower() else ""

    @property
    def is_usable(self) -> bool:
        """Whether it can be put on the certificate."""
        return self.identifier is not None and not self.advice

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "text": self.text,
            "name": str(self.identifier) if self.identifier else None,
            "usable": self.is_usable,
            "advice": self.advice,
            "holder": self.holder.model_dump(mode="json") if self.holder else None,
            "resolves": self.resolves,
        }


def judge_names(unit: UnitOfWork, texts: Sequence[str], *, public: bool, but: str = "") -> tuple[TypedName, ...]:
    """Each of these names, with what is wrong with it, and which other certificate has it; nothing is asked in DNS.

    Args:
        unit: knows the certificates.
        texts: the names, as they were typed.
        public: whether a public authority is to certify them.
        but: the id of the certificate that they are for, if there is one already.
    """
    judged = [_judge(text.strip(), public=public) for text in texts if text.strip()]
    holders = unit.managed.holders({str(each.identifier) for each in judged if each.identifier}, but)
    known: set[Identifier] = set()
    found = []
    for each in judged:
        is_repeated = each.identifier in known
        found.append(replace(each, is_repeated=is_repeated, holder=holders.get(str(each.identifier))))
        known |= {each.identifier} if each.identifier else set()
    return tuple(found)


def look_at_names(engine: Engine, texts: Sequence[str], *, public: bool) -> tuple[TypedName, ...]:
    """The same, each name once; the first of them are looked up in DNS.

    Raises:
        InvalidIdentifier: if there are none, or more than any certificate has.
    """
    wanted = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if not wanted:
        raise InvalidIdentifier("No name was given.", hint="Type at least one, for example mail.contoso.com.")
    if len(wanted) > MAX_NAMES:
        raise InvalidIdentifier(
            f"{len(wanted)} names are more than any certificate has.", hint=f"Type {MAX_NAMES} at most."
        )
    with engine.store.read() as unit:
        names = [each for each in judge_names(unit, wanted, public=public) if not each.is_repeated]
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="names") as pool:
        return (*pool.map(_looked_up, names[:_LOOKED_UP]), *names[_LOOKED_UP:])


def _judge(text: str, *, public: bool) -> TypedName:
    try:
        identifier = Identifier.parse(text)
    except InvalidIdentifier as error:
        return TypedName(text, None, " ".join(error.explain()))
    obstacle = public_obstacle(identifier) if public else None
    return TypedName(text, identifier, f"{obstacle}. {_ELSEWHERE}" if obstacle else "")


def _looked_up(name: TypedName) -> TypedName:
    found = name.identifier
    if found is None or name.advice or found.type is not IdentifierType.DNS or found.is_wildcard:
        return name
    return replace(name, resolves=resolves(found.value))
