"""Certificates from elsewhere, watched: given as files, or seen at services."""

from collections.abc import Sequence
from dataclasses import dataclass

from certwright.domain.certificates import CertificateFacts, order_chain
from certwright.domain.errors import ConfigurationError, Unreachable
from certwright.domain.events import Event, EventKind
from certwright.domain.plain_text import check_line
from certwright.domain.watching import Look, Place, Seen, Watched, looked, next_look, replaced
from certwright.domain.web_address import is_address
from certwright.engine.context import Engine
from certwright.engine.key_files import read_contents
from certwright.probe import Observation, ProblemKind, Target, probe_all

_BATCH = 100
_OF_THE_DATE = (ProblemKind.EXPIRED, ProblemKind.NOT_YET_VALID)


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known of an item after a look, and what was told of it."""

    watched: Watched
    events: tuple[tuple[EventKind, str], ...]


def watch_file(engine: Engine, data: bytes, title: str | None, password: bytes | None = None) -> Watched:
    """Watch the certificate of a PEM, DER or PFX file; a key in it is not kept.

    Raises:
        InvalidMaterial: if it cannot be read.
        ConfigurationError: if something of that title is watched.
    """
    facts = _facts(data, password)
    return add_seen(engine, title or facts.common_name or facts.sha256[:16], None, Look(seen=Seen.of(facts)))


def replace_file(engine: Engine, reference: str, data: bytes, password: bytes | None = None) -> Watched:
    """Watch the certificate of another file in place of the one that was given: under the same title and id.

    Raises:
        InvalidMaterial: if it cannot be read.
        ConfigurationError: if nothing so called is watched, it is a service, or that is the certificate that it has.
    """
    seen, now = Seen.of(_facts(data, password)), engine.now()
    with engine.store.write() as unit:
        before = unit.watches.get(reference)
        if before.place:
            raise ConfigurationError(
                f"{before.title!r} is what {before.place} serves, and not a file.",
                hint=f"A new certificate there is seen by itself; to see it now: certwright watch look {before.id}",
            )
        if seen.sha256 == before.seen.sha256:
            raise ConfigurationError(
                f"{before.title!r} has this certificate already, which ends on {seen.not_after:%Y-%m-%d}.",
                hint="Give the file with the new one.",
            )
        after, events = replaced(before, seen, now)
        unit.watches.replace(before, after, next_look(after, now))
        for kind, message in events:
            unit.events.add(Event(kind=kind, managed_id=after.id, at=now, message=message))
    return after


def _facts(data: bytes, password: bytes | None) -> CertificateFacts:
    return CertificateFacts.of(order_chain(read_contents(data, password).certificates)[0])


def watch_endpoint(engine: Engine, place: Place, title: str | None) -> Watched:
    """Watch what a service serves; it is looked at now.

    Raises:
        Unreachable: if nothing can be seen there.
        ConfigurationError: if the place is none, or something of that title is watched.
    """
    look = _looks([place])[0]
    if look.seen is None:
        raise Unreachable(
            f"{place} cannot be watched, as nothing can be seen there: {look.problem}",
            hint="Mend the address, or add it when the service runs; where TLS begins later, choose --starttls.",
        )
    return add_seen(engine, title or str(place), place, look)


def add_seen(engine: Engine, title: str, place: Place | None, look: Look) -> Watched:
    """Watch what was just seen at a place, or in a file.

    Raises:
        ConfigurationError: if something of that title is watched.
    """
    if look.seen is None:
        raise ValueError("what is added was seen")
    check_line(title, "The title")
    now = engine.now()
    new = Watched(title=title, place=place, seen=look.seen, since=now, looked_at=now)
    watched, events = looked(new, look, now)
    with engine.store.write() as unit:
        unit.watches.add(watched, next_look(watched, now))
        for kind, message in events:
            unit.events.add(Event(kind=kind, managed_id=watched.id, at=now, message=message))
    return watched


def unwatch(engine: Engine, reference: str) -> Watched:
    """Watch it no more; what was watched.

    Raises:
        NotFound: if there is none of that id or title.
    """
    with engine.store.write() as unit:
        watched = unit.watches.get(reference)
        unit.watches.remove(watched.id)
    return watched


def look_at_all(engine: Engine) -> list[Looked]:
    """Look at all that is due, and tell of what ends soon, has changed, or cannot be seen."""
    done: list[Looked] = []
    while True:
        with engine.store.read() as unit:
            due = unit.watches.due(engine.now(), _BATCH)
        if not due:
            return done
        done += look_at(engine, due)


def look_at(engine: Engine, items: Sequence[Watched]) -> list[Looked]:
    """Look at these now; one that another process has looked at meanwhile is left out."""
    places = [item.place for item in items if item.place]
    seen = dict(zip(places, _looks(places), strict=True))
    now, done = engine.now(), []
    with engine.store.write() as unit:
        for item in items:
            after, events = looked(item, seen[item.place] if item.place else Look(seen=item.seen), now)
            if unit.watches.save(item, after, next_look(after, now)):
                for kind, message in events:
                    unit.events.add(Event(kind=kind, managed_id=item.id, at=now, message=message))
                done.append(Looked(after, events))
    return done


def _looks(places: Sequence[Place]) -> list[Look]:
    return [_look(seen) for seen in probe_all([target(place) for place in places])]


def target(place: Place) -> Target:
    """Where to look, and which name to send and to expect there."""
    named = place.name or (None if is_address(place.host) else place.host)
    return Target(place.host, place.port, starttls=place.starttls, server_name=named)


def _look(observed: Observation) -> Look:
    """Dates are judged by `watching`; roots of others are not known here, so trust is not judged."""
    wrong = [problem.message for problem in observed.problems if problem.kind not in _OF_THE_DATE]
    if observed.leaf is None:
        return Look(seen=None, problem=observed.failure.message if observed.failure else "nothing was served")
    return Look(seen=Seen.of(observed.leaf), problem=" ".join(wrong))
