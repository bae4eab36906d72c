"""What stands around the names of a certificate: kept when they are proved, and compared when that fails later."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from certwright.domain.delegation import challenge_name
from certwright.domain.deployment import Finding
from certwright.domain.errors import CertwrightError, NotProved, SolverError
from certwright.domain.identifiers import IdentifierType
from certwright.domain.landmarks import Landmarks, Place, changes
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import BY_DNS, choose
from certwright.engine.context import ActiveRun, Engine
from certwright.probe.dns.aliases import chain_of
from certwright.probe.dns.resolver import Resolver, as_outsider
from certwright.probe.dns.zones import Survey
from certwright.probe.http import Visit, fetch
from certwright.probe.http01 import CHALLENGE_PATH
from certwright.probe.observation import Endpoint, ProbeError
from certwright.probe.wire import Deadline, resolve
from certwright.sdk.solver import Challenge
from certwright.store import UnitOfWork

_MOST = 8  # names that are looked at; what changes for one mostly changes for the others
_SECONDS = 5.0
_KIND = "landmarks"


@dataclass
class Surroundings:
    """What was seen around the names of a certificate while they were proved; None if nothing had to be proved."""

    seen: Landmarks | None = None

    def keep(self, unit: UnitOfWork, managed: ManagedCertificate) -> None:
        """Remember it, in the transaction that stores the version."""
        if self.seen:
            unit.records.put(_subject(managed), _KIND, self.seen.model_dump(mode="json"), self.seen.seen_at)


@contextmanager
def compared(
    engine: Engine,
    managed: ManagedCertificate,
    run: ActiveRun,
    challenges: Sequence[Challenge],
    surroundings: Surroundings,
) -> Iterator[None]:
    """Have the error of the block tell what has changed since names were proved last; `surroundings` learns of now."""
    try:
        yield
    except (SolverError, NotProved) as error:
        told = [f"{each.text} [{each.check}]" for each in changed(engine, managed, challenges)]
        for sentence in told:
            run.journal.note(f"Since a certificate was issued last: {sentence}")
        error.causes = (*error.causes, *told)
        raise
    surroundings.seen = Landmarks(seen_at=engine.now(), names=_look(engine, managed, challenges))


def changed(engine: Engine, managed: ManagedCertificate, challenges: Sequence[Challenge]) -> tuple[Finding, ...]:
    """What is another thing now than when they were found proved last; nothing if they never were."""
    with engine.store.read() as unit:
        last = unit.records.last(_subject(managed), _KIND)
    if last is None:
        return ()
    return changes(Landmarks.model_validate(last.value), _look(engine, managed, challenges))


def _subject(managed: ManagedCertificate) -> str:
    return f"certificate:{managed.id}"


def _look(engine: Engine, managed: ManagedCertificate, challenges: Sequence[Challenge]) -> dict[str, Place]:
    asked = [c for c in challenges if c.identifier.type is IdentifierType.DNS][:_MOST]
    if not asked:
        return {}
    with ThreadPoolExecutor(_MOST, thread_name_prefix="landmarks") as pool:
        places = pool.map(partial(_place, engine, managed), asked)
        return {challenge.identifier.base: place for challenge, place in zip(asked, places, strict=True)}


def _place(engine: Engine, managed: ManagedCertificate, challenge: Challenge) -> Place:
    """What is seen of one name; what cannot be seen is not known."""
    if challenge.type in BY_DNS:
        return _zone(engine, challenge)
    params: dict[str, Any] = choose(managed.validations, challenge.identifier).params
    name, outside = challenge.identifier.value, as_outsider(engine.resolvers)
    via = Endpoint.parse(params["check_via"]) if params.get("check_via") else None
    found: Sequence[Endpoint] = () if via else _quietly(lambda: outside(Endpoint(name, 80), Deadline(_SECONDS)), ())
    place = Place(addresses=tuple(sorted(each.host for each in found)))
    if challenge.type != "http-01" or params.get("precheck") is False or not (via or found):
        return place
    address = next(iter(resolve(via, Deadline(_SECONDS)))) if via else found[0]
    visit = fetch(
        f"http://{name}{CHALLENGE_PATH}{challenge.token}", address, _SECONDS, mapped=bool(via), resolver=outside
    )
    return place.model_copy(update=_answered(visit, name))


def _answered(visit: Visit, name: str) -> dict[str, Any]:
    host = urlsplit(visit.urls[-1]).hostname or ""
    server = visit.redirectors[0] if visit.redirectors else visit.page.server if visit.page else ""
    return {
        "answered": bool(visit.page or visit.redirectors),
        "server": server,
        "leads_to": host if host != name else "",
    }


def _zone(engine: Engine, challenge: Challenge) -> Place:
    survey, record = Survey(Resolver(engine.resolvers)), challenge_name(challenge.identifier.base)
    zone = _quietly(lambda: survey.zone(challenge.identifier.base), None)
    if zone is None:
        return Place()
    chain = _quietly(lambda: chain_of(survey, record), (record,))
    servers = tuple(sorted(server.host for server in zone.servers))
    return Place(name_servers=servers, alias="" if chain[-1] == record else chain[-1])


def _quietly(look: Callable[[], Any], otherwise: Any) -> Any:
    with suppress(CertwrightError, ProbeError):
        return look()
    return otherwise
