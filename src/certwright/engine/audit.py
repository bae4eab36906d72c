"""The audit trail: listed, signed now and then, written to a file, and verified."""

import json
import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, TextIO

from pydantic import ValidationError

from certwright.domain.audit import Entry, Recorded, SignedHead, SubjectKind, canonical, named, public
from certwright.domain.audit_faults import Fault, Verification
from certwright.domain.errors import ConfigurationError
from certwright.engine.context import Engine
from certwright.settings import Settings, shown
from certwright.store.audit import ALL, End, Wanted, key, sealed_end

log = logging.getLogger("certwright")
_SHOWN = 20
_CHUNK = 64 * 1024
_SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: how many entries and heads there are, whose key signs them, and all that is wrong."""

    entries: int
    heads: int
    key: str | None
    faults: Sequence[Fault]
    advice = "Compare with an exported file or a backup from before, and ask who could write to the store."

    @property
    def whole(self) -> str:
        """That all is as it was, where it is."""
        there = "1 entry is there," if self.entries == 1 else f"{self.entries} entries are there, each"
        heads = "1 head is" if self.heads == 1 else f"{self.heads} heads are"
        signed = f"{heads} signed by {self.key}" if self.heads else "no head is signed yet"
        return f"{there} as it was written; {signed}."

    @property
    def told(self) -> Sequence[str]:
        """What is wrong, of each a sentence; the first of them, if there are many."""
        more = len(self.faults) - _SHOWN
        return [*(each.message for each in self.faults[:_SHOWN]), *([f"And {more} more."] if more > 0 else [])]

    def data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "entries": self.entries,
            "heads": self.heads,
            "key": self.key,
            "faults": [{"number": fault.number, "message": fault.message} for fault in self.faults],
        }


def entries(engine: Engine, wanted: Wanted = ALL, limit: int = 50, before: int | None = None) -> Sequence[Entry]:
    """The newest entries, newest first; those before the one of this number, if it is given."""
    with engine.store.read() as unit:
        return unit.trail.list(wanted, limit, before)


def sign_head(engine: Engine) -> SignedHead | None:
    """Sign where the trail stands, and tell the log, which is sent elsewhere; None if nothing was added since."""
    with engine.store.write() as unit:
        signed = unit.trail.sign(engine.store.id, unit.secrets)
    if signed:
        log.info("The audit trail stands at %s; signature %s.", signed.head, signed.signature_in_hex)
    return signed


def head(engine: Engine) -> SignedHead:
    """Where the trail stands now, signed.

    Raises:
        ConfigurationError: if there is no entry yet.
    """
    sign_head(engine)
    with engine.store.read() as unit:
        last = unit.trail.last_head()
    if last is None:
        raise ConfigurationError("There is nothing in the audit trail yet.", hint="The first change adds to it.")
    return last


def note_settings(engine: Engine, host: str, settings: Settings) -> None:
    """Note what of the settings of the service on this host is another than when it began the last time.

    Who changed it is not known: they stand in a file, in the environment, or on a command line.
    """
    subject, values = f"settings:{host}", {each.name: each.value for each in shown(settings)}
    with engine.store.write() as unit:
        last = unit.records.last(subject, _SETTINGS)
        before = last.value if last else None
        unit.trail.change(named(SubjectKind.SETTINGS, host), before, values)
        if before != values:
            unit.records.put(subject, _SETTINGS, values, engine.now())


def export(engine: Engine, file: TextIO) -> int:
    """Write the whole trail as JSON lines, each head behind the entry that it names; how many entries there are."""
    count = 0
    with engine.store.read() as unit:
        for one in unit.trail.whole():
            count += isinstance(one, Recorded)
            file.write(_line(one) + "\n")
    return count


def exported(engine: Engine) -> Iterator[str]:
    """What `export` writes, piece by piece; it lies on the disk, not in memory, before the first is given."""
    file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115 - closed behind the last piece
    try:
        export(engine, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return _chunks(file)


def _chunks(file: IO[str]) -> Iterator[str]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


def verify(engine: Engine, seen: Mapping[int, str]) -> Verified:
    """Look whether the trail of the store is whole.

    Args:
        engine: what to work with.
        seen: heads that were kept elsewhere: number -> hash.
    """
    with engine.store.read() as unit:
        own, end = key(unit.secrets), sealed_end(unit.secrets)
        known = {**({end.number: end.hash} if end else {}), **seen}
        found = _verified(Verification(public(own) if own else None, known), unit.trail.whole())
        heads = {each.head.number for each in unit.trail.heads()}
    return replace(found, faults=(*found.faults, *_cut(found, end, heads)))


def _cut(found: Verified, end: End | None, heads: Collection[int]) -> Iterator[Fault]:
    """What is missing at the end, or of what is sealed about it."""
    if not found.entries:
        yield Fault(1, "There is no entry, and the first one tells that the store was made.")
    if end is None and found.entries:
        yield Fault(found.entries, "What was kept sealed of where the trail ends is missing.")
    if end and end.head and end.head not in heads:
        yield Fault(end.head, f"The signed head of entry {end.head} is missing.")


def verify_file(path: Path, seen: Mapping[int, str], signed_by: str | None) -> Verified:
    """As `verify`, of a file that `export` wrote.

    Args:
        path: the file.
        seen: as for `verify`.
        signed_by: the key by which its heads are to be signed; None believes the file.

    Raises:
        ConfigurationError: if it cannot be read.
    """
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return _verified(Verification(signed_by, seen), _read(file))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def _verified(verification: Verification, trail: Iterable[Recorded | SignedHead]) -> Verified:
    faults = tuple(verification.faults(trail))
    return Verified(verification.entries, verification.heads, verification.key, faults)


def read_head(text: str) -> tuple[int, str]:
    """A head as people keep it, its number and its hash: NUMBER:HASH.

    Raises:
        ConfigurationError: if it is none.
    """
    number, colon, hashed = text.partition(":")
    if not (number.isascii() and number.isdigit() and colon and hashed):
        raise ConfigurationError(
            f"{text[:40]!r} is no head.", hint="Write it as it is shown when it is signed: NUMBER:HASH."
        )
    return int(number), hashed


def _line(one: Recorded | SignedHead) -> str:
    if isinstance(one, Recorded):
        return f'{{"entry":{one.text},"hash":"{one.hash}"}}'
    return canonical(one.model_dump(mode="json"))


def _read(file: TextIO) -> Iterator[Recorded | SignedHead]:
    """What the lines say; one that says nothing, or says it otherwise than we write it, counts as an altered entry."""
    for line in file:
        text = line.rstrip("\n")
        try:
            said = json.loads(text)
            one = (
                SignedHead.model_validate(said) if "head" in said else Recorded(canonical(said["entry"]), said["hash"])
            )
        except (ValueError, ValidationError, KeyError, TypeError):
            yield Recorded(text, "")
        else:
            yield one if _line(one) == text else Recorded(text, "")
