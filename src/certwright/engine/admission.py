"""What somebody may at this moment, whose work goes on for longer than a request: rights end while it does."""

from certwright.domain.access import Caller
from certwright.domain.actors import ActorKind
from certwright.domain.errors import Forbidden
from certwright.engine.context import Engine


def admitted(engine: Engine) -> Engine:
    """The same engine, with what its caller may now. The service and the command line may what they may.

    A person stays one without a session: who signs out has not taken back what was begun.

    Raises:
        Forbidden: if that one is not let in any more, or not by the permission that it took.
    """
    caller = _now(engine)
    if caller is None:
        raise Forbidden(
            f"{engine.caller.actor} is not let in any more.",
            hint="What was done stays done; whoever may do the rest begins it again.",
        )
    caller.require(engine.takes)
    return engine.acting(caller, engine.takes)


def _now(engine: Engine) -> Caller | None:
    caller = engine.caller
    if caller.actor.kind not in (ActorKind.TOKEN, ActorKind.PERSON):
        return caller
    with engine.store.read() as unit:
        if caller.actor.kind is ActorKind.TOKEN:
            known = unit.tokens.find(caller.token)
            return known[0].caller if known and known[0].is_valid(engine.now()) else None
        found = unit.people.find(caller.actor.name)
        return found[0].caller if found and not found[0].barred else None
