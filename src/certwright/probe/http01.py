"""Looks at the answers to http-01 challenges as an authority will (RFC 8555 section 8.3), and says what is wrong."""

import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import Field, field_validator

from certwright.domain.errors import ConfigurationError, SolverError
from certwright.probe.http import Visit, fetch
from certwright.probe.observation import Endpoint, FailureKind, ProbeError
from certwright.probe.wire import Deadline, harmless, quoted, resolve
from certwright.sdk.journal import Journal
from certwright.sdk.params import Params
from certwright.sdk.solver import Challenge

CHALLENGE_PATH = "/.well-known/acme-challenge/"
_PORT = 80
_WORKERS = 8
_GONE = (FailureKind.REFUSED, FailureKind.CLOSED)
_AGAIN_SECONDS = 1.0

Resolver = Callable[[Endpoint, Deadline], list[Endpoint]]


class Precheck(Params):
    """Whether and how a solver looks at its answers before the authority does."""

    precheck: bool = Field(default=True, description="Fetch each answer as the authority would, before it is asked.")
    check_via: str | None = Field(
        default=None,
        description="HOST:PORT to fetch the answers from, where a name does not lead back here from inside.",
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

    def look(self, challenges: Sequence[Challenge], journal: Journal) -> None:
        """Look, if that is wanted.

        Raises:
            SolverError: with one cause for each wrong answer.
        """
        if self.precheck:
            check_answers(challenges, Endpoint.parse(self.check_via) if self.check_via else None)
        else:
            journal.note("The answers were not looked at first, because of --no-http-check.")


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """What an authority would find instead of the answer for `name`; `sentence` says it all."""

    name: str
    sentence: str
    kind: FailureKind | None = None
    server: str = ""


def check_answers(challenges: Sequence[Challenge], via: Endpoint | None = None, timeout: float = 10) -> None:
    """Fetch the answer to each of `challenges` from every address that its name has.

    Args:
        challenges: of type http-01, already answered.
        via: where to connect to instead of port 80 of the name.
        timeout: seconds for one answer, redirects included.

    Raises:
        SolverError: with one cause for each wrong answer.
    """
    wrong = wrong_answers(challenges, via, timeout)
    if any(answer.kind in _GONE for answer in wrong):
        # One process may just be succeeding another on the port.
        time.sleep(_AGAIN_SECONDS)
        wrong = wrong_answers(challenges, via, timeout)
    if not wrong:
        return
    names = len({answer.name for answer in wrong})
    raise SolverError(
        f"The authority would not find the answer for {names} of {len(challenges)} names, so it was not asked.",
        causes=[answer.sentence for answer in wrong],
        hint=_hint(wrong),
        retryable=True,
    )


def wrong_answers(
    challenges: Sequence[Challenge], via: Endpoint | None, timeout: float, resolver: Resolver = resolve
) -> list[WrongAnswer]:
    """What is wrong with the answers to `challenges`; nothing if all are right."""

    def examine(challenge: Challenge) -> list[WrongAnswer]:
        return list(_examine(challenge, via, timeout, resolver))

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="check") as pool:
        return [answer for answers in pool.map(examine, challenges) for answer in answers]


def _examine(challenge: Challenge, via: Endpoint | None, timeout: float, resolver: Resolver) -> Iterator[WrongAnswer]:
    name = challenge.identifier.value
    place = Endpoint(name, _PORT)
    url = f"http://{f'[{name}]' if ':' in name else name}{CHALLENGE_PATH}{quote(challenge.token)}"
    try:
        addresses = resolver(via or place, Deadline(timeout))
    except ProbeError as error:
        yield WrongAnswer(name, f"{url}: {error.message}", error.failure.kind)
        return
    visits = {address: fetch(url, address, timeout, mapped=via is not None) for address in addresses}
    wrong = {address: what for address, visit in visits.items() if (what := _complaint(visit, challenge))}
    right = ", ".join(str(address) for address in addresses if address not in wrong)
    also = f" {right} answers rightly, but the authority may ask any address of the name." if right else ""
    if via is not None and right:
        return
    for address, what in wrong.items():
        visit = visits[address]
        route = url if len(visit.urls) == 1 else f"{url}, redirected to {harmless(visit.urls[-1], 200)}"
        yield WrongAnswer(name, f"{route}: {what}{also}", visit.kind, visit.page.server if visit.page else "")


def _complaint(visit: Visit, challenge: Challenge) -> str | None:
    """What is wrong with what was found, if anything."""
    if visit.page is None:
        return visit.obstacle
    page = visit.page
    who = f"{page.server or 'the web server'} at {page.address}"
    if page.status != http.client.OK:
        return f"{who} answers {f'{page.status} {page.reason}'.strip()}."
    # Authorities forgive white space at the end (RFC 8555 section 8.3).
    if page.body.rstrip() != challenge.key_authorization.encode():
        return f"{who} answers {quoted(page.body) if page.body else 'nothing'} instead of the challenge's answer."
    return None


def _hint(wrong: Sequence[WrongAnswer]) -> str:
    """What to do, by what is most telling."""
    if any("IIS" in answer.server for answer in wrong):
        return (
            "IIS serves files without an extension only where a web.config maps the extension '.' to a MIME type, and "
            "only if the site does not require TLS: allow both for .well-known/acme-challenge."
        )
    if any(answer.kind is FailureKind.TIMEOUT for answer in wrong):
        return (
            "Let port 80 through to this machine. If it is open but cannot be reached from inside (many routers do "
            "not lead their own outer address back in), give --http-check-via HOST:PORT, or --no-http-check."
        )
    return (
        "Make the name lead to where the answer is served on port 80; give --no-http-check only if the authority "
        "reaches it by another way than this machine."
    )
