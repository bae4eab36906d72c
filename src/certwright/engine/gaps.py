"""What is missing so that nobody is left without word, and nothing is lost for good: told until it is there."""

from collections.abc import Iterator
from dataclasses import dataclass

from certwright.domain.access import Permission
from certwright.domain.rules import PROBLEMS
from certwright.engine.channels import beats, carries
from certwright.engine.context import Engine
from certwright.engine.recovery import is_confirmed
from certwright.store import UnitOfWork

_ADD = "certwright notification channel add"


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing, in a sentence; what to do, in a few words; the command that does it, and what that takes."""

    message: str
    step: str
    command: str
    takes: Permission

    def __str__(self) -> str:
        return f"{self.message} {self.step}: {self.command}"


def unheard(unit: UnitOfWork) -> Iterator[Gap]:
    """Why nobody would be told of problems."""
    kinds = unit.credentials.kinds("notify").values()
    if not any(map(carries, kinds)):
        yield Gap(
            "Nobody is told of problems: there is no channel.",
            "Add one",
            f"{_ADD} smtp NAME --sender ...",
            Permission.MANAGE,
        )
    if not any(map(beats, kinds)):
        yield Gap(
            "If this machine stops, nobody notices.",
            "Let something watch it",
            f"{_ADD} heartbeat NAME",
            Permission.MANAGE,
        )


def unproved(engine: Engine, unit: UnitOfWork) -> Iterator[Gap]:
    """Why a lost master key would lose all that it encrypts."""
    if not is_confirmed(engine, unit):
        yield Gap(
            "Nobody has shown yet that the recovery key is known: without it, a lost master key means lost private "
            "keys.",
            "Show that it is",
            "certwright keys confirm",
            Permission.ADMINISTER,
        )


def advice(unit: UnitOfWork) -> list[str]:
    """All that would have more people hear of problems, each in one sentence with the next step."""
    told = [str(gap) for gap in unheard(unit)]
    kinds = set(filter(carries, unit.credentials.kinds("notify").values()))
    if len(kinds) == 1:
        (only,) = kinds
        other = "webhook, apprise or event_log" if only == "smtp" else "smtp"
        told.append(
            f"All messages go by {only}: if that is broken, it cannot say so. "
            f"Add a channel of another kind, for example {other}: {_ADD}"
        )
    rules = [rule for rule, _ in unit.notices.rules()]
    if silent := [matter for matter in PROBLEMS if not any(matter in rule.matters for rule in rules)]:
        told.append(f"No rule tells of {', '.join(silent)}: certwright notification rule add NAME")
    return told
