"""What stood around names when a certificate was issued last, and what of it is another thing now. Pure.

An authority that finds no proof where it found one before has mostly met a change that nobody told us of: a firewall,
a balancer, a filter, a DNS record. What is different is named; whether it is the cause, a person decides.
"""

from collections.abc import Iterator, Mapping

from pydantic import AwareDatetime, Field

from certwright.domain.deployment import Finding, Severity
from certwright.domain.managed import Value

CHANGED = "surroundings-changed"
"""What the check is called whose findings name a change."""

_ADDRESS = "If nobody meant that, correct the address record; else let the new place answer the challenge, too."
_SILENCE = (
    "Look for what changed in between: a rule of the firewall, a port that is no longer forwarded, a balancer, a virus "
    "scanner."
)
_STRANGER = (
    "Something took its place or stands before it, such as a balancer, a proxy or a filter: let it pass "
    "/.well-known/acme-challenge/ on."
)
_REDIRECT = "Take /.well-known/acme-challenge/ out of that redirect, or out of that sign-in page."
_MOVED = "Its DNS moved: store a credential for the service where it is now, and choose it for this name."
_ALIAS = "If nobody meant that, put the alias (CNAME) back."


class Place(Value):
    """What was seen of one name; empty is what was not looked at.

    `addresses` are those that it leads to, `answered` whether a web server did on the way of a challenge (None: nobody
    looked), `server` how that names itself, and `leads_to` the host that it redirects to. `name_servers` are those of
    its zone, `alias` is where the record of its challenge stands, if that is elsewhere.
    """

    addresses: tuple[str, ...] = ()
    answered: bool | None = None
    server: str = ""
    leads_to: str = ""
    name_servers: tuple[str, ...] = ()
    alias: str = ""


class Landmarks(Value):
    """What was seen of each name, and when."""

    seen_at: AwareDatetime
    names: dict[str, Place] = Field(default_factory=dict)


def changes(before: Landmarks, now: Mapping[str, Place]) -> tuple[Finding, ...]:
    """What is another thing now than when a certificate was issued last; what is not known at either time is none."""
    then = f"on {before.seen_at:%Y-%m-%d}, when a certificate was issued,"
    return tuple(
        Finding(check=CHANGED, severity=Severity.WARN, subject=name, message=message, remedy=remedy)
        for name, place in now.items()
        if name in before.names
        for message, remedy in _told(name, before.names[name], place, then)
    )


def _told(name: str, was: Place, now: Place, then: str) -> Iterator[tuple[str, str]]:
    if was.addresses and now.addresses and not set(was.addresses) & set(now.addresses):
        yield f"{name} leads to {_listed(now.addresses)} now; {then} it led to {_listed(was.addresses)}.", _ADDRESS
    if was.answered and now.answered is False:
        who = was.server or "a web server"
        yield f"Nothing answers at {name} on the way of the challenge now; {then} {who} did.", _SILENCE
    elif was.server and now.server and was.server != now.server:
        yield f"{name} is answered by {now.server} now; {then} it was {was.server}.", _STRANGER
    if now.leads_to and was.answered and now.leads_to != was.leads_to:
        before = f"it redirected to {was.leads_to}" if was.leads_to else "it did not redirect"
        yield f"{name} redirects the challenge to {now.leads_to} now; {then} {before}.", _REDIRECT
    if was.name_servers and now.name_servers:
        yield from _told_of_zone(name, was, now, then)


def _told_of_zone(name: str, was: Place, now: Place, then: str) -> Iterator[tuple[str, str]]:
    if not set(was.name_servers) & set(now.name_servers):
        served = f"{_listed(now.name_servers)} now; {then} it was {_listed(was.name_servers)}"
        yield f"The zone of {name} is served by {served}.", _MOVED
    if was.alias != now.alias:
        stands = f"{now.alias or 'its own name'} now; {then} it stood at {was.alias or 'its own name'}"
        yield f"The record of the challenge for {name} stands at {stands}.", _ALIAS


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)
