"""Looking at answers before the authority does: whether, where, and what is said of those that are wrong."""

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import Field, field_validator

from certwright.domain.errors import ConfigurationError, SolverError
from certwright.probe.observation import Endpoint, FailureKind
from certwright.sdk.journal import Journal
from certwright.sdk.params import Params
from certwright.sdk.solver import Challenge

MEND_DNS = (
    "Repair what 'certwright certificate test CERT' finds in the zone: name servers that do not answer, or its DNSSEC. "
    "If the public DNS is well and only this machine's resolver fails, set CERTWRIGHT_RESOLVERS to one that sees it, "
    "such as 9.9.9.9."
)
"""A remedy where DNS does not say whether a name has an address: an authority would be told no more."""
LOOK_ELSEWHERE = (
    "have the answers looked at elsewhere, or not at all: --check-via HOST:PORT or --no-precheck in "
    "'certwright validation set CERT SOLVER ...'."
)
"""A remedy, as the end of a sentence, where answers cannot be reached from inside."""
NOT_SEEN = "{} could not be looked at: this machine has no route to it, and another address answers rightly."
"""Evidence about an IPv6 address, where this machine may have no IPv6 at all."""
_WORKERS = 8
_GONE = (FailureKind.REFUSED, FailureKind.CLOSED)
_AGAIN_SECONDS = 1.0
_SECONDS = 10.0
_MAX_REMEDIES = 3


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """What an authority would find instead of the answer for `name`; `sentence` says it all.

    `cause` is a stable id, `remedy` one sentence; `kind` is set if there was no answer, `server` is who answered.
    `unseen`: nothing wrong was found, but one address of the name could not be looked at from here.
    """

    name: str
    sentence: str
    kind: FailureKind | None = None
    server: str = ""
    cause: str = ""
    remedy: str = ""
    unseen: bool = False


Look = Callable[[Challenge, Endpoint | None, float], Iterable[WrongAnswer]]
"""What is wrong with the answer to one challenge, at this endpoint (None: where an authority looks), within seconds."""


class Precheck(Params):
    """Whether and how a solver looks at its answers before the authority does."""

    precheck: bool = Field(default=True, description="Look at each answer as the authority would, before it is asked.")
    check_via: str | None = Field(
        default=None,
        description="HOST:PORT to look at the answers, where a name does not lead back here from inside.",
    )

    @field_validator("check_via")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                Endpoint.parse(value)
            except ConfigurationError as error:
                raise ValueError(" ".join(error.explain())) from error
        return value

    def check(self, challenges: Sequence[Challenge], journal: Journal, look: Look) -> None:
        """Look, if that is wanted.

        Raises:
            SolverError: with one cause for each wrong answer.
        """
        if self.precheck:
            via = Endpoint.parse(self.check_via) if self.check_via else None
            for unseen in check_answers(challenges, look, via):
                journal.note(f"{unseen.sentence} {unseen.remedy}")
        else:
            journal.note(
                "The answers were not looked at first, as was chosen; to have them looked at: --precheck in "
                "'certwright validation set CERT SOLVER ...'."
            )


def check_answers(
    challenges: Sequence[Challenge], look: Look, via: Endpoint | None = None, timeout: float = _SECONDS
) -> list[WrongAnswer]:
    """Look at the answer to each of `challenges` at every address that its name has; what could not be seen from here.

    Args:
        challenges: already answered.
        look: how.
        via: where to connect to instead of the authority's port of the name.
        timeout: seconds for one answer, redirects included.

    Raises:
        SolverError: with one cause for each wrong answer.
    """
    found = wrong_answers(challenges, look, via, timeout)
    if any(answer.kind in _GONE for answer in found):
        # One process may just be succeeding another on the port.
        time.sleep(_AGAIN_SECONDS)
        found = wrong_answers(challenges, look, via, timeout)
    wrong = [answer for answer in found if not answer.unseen]
    if not wrong:
        return found
    names = len({answer.name for answer in wrong})
    raise SolverError(
        f"The authority would not find the answer for {names} of {len(challenges)} names, so it was not asked.",
        causes=[answer.sentence for answer in wrong],
        hint=" ".join(list(dict.fromkeys(answer.remedy for answer in wrong if answer.remedy))[:_MAX_REMEDIES]),
    )


def wrong_answers(
    challenges: Sequence[Challenge], look: Look, via: Endpoint | None, timeout: float
) -> list[WrongAnswer]:
    """What is wrong with the answers to `challenges`; nothing if all are right."""
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="check") as pool:
        found = pool.map(functools.partial(_listed, look, via, timeout), challenges)
        return [answer for answers in found for answer in answers]


def _listed(look: Look, via: Endpoint | None, timeout: float, challenge: Challenge) -> list[WrongAnswer]:
    return list(look(challenge, via, timeout))
