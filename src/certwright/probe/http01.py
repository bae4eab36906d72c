"""Looks at the answers to http-01 challenges as an authority will (RFC 8555 section 8.3)."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote

from certwright.probe.http import Visit, fetch
from certwright.probe.http_causes import causes, unseen, unseen_cause
from certwright.probe.http_sight import Sight, Sighting
from certwright.probe.observation import Endpoint, FailureKind, ProbeError, Target
from certwright.probe.precheck import WrongAnswer
from certwright.probe.tls import probe
from certwright.probe.wire import Deadline, Resolve, resolve
from certwright.sdk.solver import Challenge

CHALLENGE_PATH = "/.well-known/acme-challenge/"
_PORT = 80
_TRIES = 4


def look(
    challenge: Challenge, via: Endpoint | None, timeout: float, resolver: Resolve = resolve
) -> Iterator[WrongAnswer]:
    """What is wrong with the answer to `challenge`, at every address of its name."""
    seen = see(challenge, via, timeout, resolver=resolver)
    for cause in causes(seen):
        yield WrongAnswer(
            challenge.identifier.value, cause.sentence, cause.failure, cause.server, cause.id, cause.remedy
        )
    for address in unseen(seen):
        cause = unseen_cause(seen, address)
        yield WrongAnswer(
            challenge.identifier.value, cause.sentence, cause.failure, "", cause.id, cause.remedy, unseen=True
        )


def see(
    challenge: Challenge,
    via: Endpoint | None,
    timeout: float,
    *,
    resolver: Resolve = resolve,
    tries: int = 1,
) -> Sight:
    """All that is found where an authority looks for the answer to `challenge`.

    Args:
        challenge: of type http-01, already answered.
        via: where to connect to instead of port 80 of the name.
        timeout: seconds for one visit, redirects included.
        resolver: gives the addresses of a host.
        tries: how often each address is visited; one whose answer is wrong is visited 4 times, because a balancer may
            have servers of which one is wrong.
    """
    name = challenge.identifier.value
    url = f"http://{f'[{name}]' if ':' in name else name}{CHALLENGE_PATH}{quote(challenge.token)}"
    sight = Sight(url, challenge.token, challenge.key_authorization, datetime.now(UTC), mapped=via is not None)
    try:
        addresses = resolve(via, Deadline(timeout)) if via else resolver(Endpoint(name, _PORT), Deadline(timeout))
    except ProbeError as error:
        return sight.unresolvable(error.failure)
    visit = partial(fetch, url, timeout=timeout, mapped=sight.mapped, resolver=resolver)
    for address in addresses:
        visits = [visit(address)]
        visits += [visit(address) for _ in range(_wanted(sight, visits[0], tries) - 1)]
        closed = visits[0].kind is FailureKind.CLOSED and len(visits[0].urls) == 1
        speaks_tls = closed and bool(probe(Target(address.host, address.port), timeout=timeout).chain)
        sight = sight.having(Sighting(address, tuple(visits), _is_own(address.host), speaks_tls))
    return sight


def _wanted(sight: Sight, first: Visit, tries: int) -> int:
    """How often an address is visited that was found so: who is slow is not waited for again."""
    if first.page and not sight.is_right(first):
        return _TRIES
    return 1 if first.kind is FailureKind.TIMEOUT else tries


def _is_own(address: str) -> bool:
    """Whether it is an address of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as attempt:
        attempt.bind((address, 0))
        return True
    return False
