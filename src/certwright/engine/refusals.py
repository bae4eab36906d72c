"""That somebody may not do what was asked for, or is not let in with a token: noted in the audit trail, not each time.

A wrong password is noted where it is looked at (`engine/sign_in.py`).
"""

from certwright.domain.audit import Subject, SubjectKind, named
from certwright.engine.context import Engine


def refuse_token(engine: Engine, name: str, source: str, why: str) -> None:
    """Note that whoever asked from there was refused with this token; an empty name is for one that there is not.

    What was shown is not kept: it may be the token of another installation.

    Raises:
        NotFound: if there is none of that name.
    """
    with engine.store.read() as unit:
        subject = unit.tokens.subject(name)
    _refuse(engine, subject, source, why)


def refuse_person(engine: Engine, source: str, why: str) -> None:
    """Note that the person who acts from there was refused something."""
    _refuse(engine, named(SubjectKind.PERSON, engine.caller.actor.name), source, why)


def _refuse(engine: Engine, subject: Subject, source: str, why: str) -> None:
    told = {"from": source, "why": why}
    with engine.store.read() as unit:
        if unit.trail.is_refusal_told(subject, told):
            return
    with engine.store.write() as unit:
        unit.trail.refuse(subject, told)
