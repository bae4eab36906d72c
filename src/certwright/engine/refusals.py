"""That somebody may not do what was asked for, or is not let in with a token: noted in the audit trail, not each time.

A wrong password is noted where it is looked at (`engine/sign_in.py`).
"""

from contextlib import suppress

from certwright.domain.actors import ActorKind
from certwright.domain.audit import Subject, SubjectKind, named
from certwright.domain.errors import CertwrightError, Forbidden
from certwright.domain.managed import Json
from certwright.engine.context import Engine


def refuse_token(engine: Engine, name: str, source: str, why: str) -> None:
    """Note that whoever asked from there was refused with this token; an empty name is for one that there is not.

    What was shown is not kept: it may be the token of another installation.

    Raises:
        NotFound: if there is none of that name.
    """
    with engine.store.read() as unit:
        subject = unit.tokens.subject(name)
    _refuse(engine, subject, {"from": source, "why": why})


def refuse_person(engine: Engine, source: str, why: str) -> None:
    """Note that the person who acts from there was refused something."""
    _refuse(engine, named(SubjectKind.PERSON, engine.caller.actor.name), {"from": source, "why": why})


def refuse_work(engine: Engine, error: CertwrightError) -> None:
    """Note it, if that is why work that goes on beside ends: whoever began it may not do this, or not any more."""
    if isinstance(error, Forbidden):
        actor = engine.caller.actor
        kind = SubjectKind.TOKEN if actor.kind is ActorKind.TOKEN else SubjectKind.PERSON
        with suppress(CertwrightError):  # it ends, whether or not it can be noted
            _refuse(engine, named(kind, actor.name), {"why": error.message})


def _refuse(engine: Engine, subject: Subject, told: Json) -> None:
    with engine.store.read() as unit:
        if unit.trail.is_refusal_told(subject, told):
            return
    with engine.store.write() as unit:
        unit.trail.refuse(subject, told)
