"""What a name is an alias of (CNAME, DNAME), and where a record for it must be written therefore."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from dns.rdtypes.ANY.CNAME import CNAME

from certwright.domain.errors import SolverError
from certwright.domain.identifiers import MAX_NAME
from certwright.probe.dns.query import CONCLUSIVE, Answer, Kind, LookupFailure, canonical, shown_name
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.zones import WORKERS, Survey, of_each

MAX_ALIASES = 10  # resolvers give up at about as many


class AliasLoop(SolverError):
    """Aliases that lead back to themselves, or on and on."""


class AliasDead(SolverError):
    """An alias of a name that is in no zone."""


def follow(resolver: Resolver, name: str) -> tuple[str, ...]:
    """`name` and what it is an alias of (CNAME, DNAME), in turn: a record for it must be written at the last.

    What only a wildcard makes an alias is none: a record at the name itself goes before the wildcard.

    Raises:
        AliasLoop: if they go round in circles, or there are too many.
        AliasDead: if one leads to where no zone is.
        SolverError: if the zone of `name` cannot be found, or nobody answers for it.
    """
    return chain_of(Survey(resolver), canonical(name), by_wildcards=False)


def follow_all(survey: Survey, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`follow` for each of `names`, at the same time; by name as it was given.

    Raises:
        SolverError: with one cause for each name that leads nowhere.
    """
    return of_each(
        names,
        lambda name: chain_of(survey, canonical(name), by_wildcards=False),
        "The end of the aliases",
    )


def find_astray(survey: Survey, places: Mapping[str, str]) -> dict[str, str]:
    """The names of `places` from which no aliases lead to where their records are written, each with what is seen.

    `places` tells where the record of each name is written. Names of which nobody can say anything are left out.
    """
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="dns") as pool:
        seen = pool.map(lambda name: astray(survey, canonical(name), canonical(places[name])), places)
        return {name: sentence for name, sentence in zip(places, seen, strict=True) if sentence}


def chain_of(survey: Survey, name: str, *, by_wildcards: bool = True, until: str = "") -> tuple[str, ...]:
    """`name` and what it is an alias of, in turn; as `follow`, but for wildcards, which an authority follows.

    Where it comes to `until`, it ends.
    """
    links = [name]
    while True:
        if links[-1] == until:
            return tuple(links)
        target = _target(survey, links)
        if target is None or not (by_wildcards or _is_made(survey, links[-1], target)):
            return tuple(links)
        if target in links:
            raise AliasLoop(
                f"{name} is an alias that leads back to itself: {' -> '.join([*links, target])}.",
                hint=f"Correct the CNAME record at {links[-1]}.",
            )
        links.append(target)
        if len(links) > MAX_ALIASES:
            raise AliasLoop(
                f"{name} is an alias of an alias, {MAX_ALIASES} times over: {' -> '.join(links)}.",
                hint=f"Let the CNAME record at {name} name its target directly.",
            )


def astray(survey: Survey, name: str, place: str) -> str:
    """What is seen, in a sentence, if no aliases lead from `name` to `place`; empty also if nobody can say."""
    try:
        chain = chain_of(survey, name, until=place)
    except (AliasLoop, AliasDead) as error:
        return "" if error.retryable else error.message
    except SolverError:
        return ""
    if chain[-1] == place:
        return ""
    return f"{name} leads to {chain[-1]}." if len(chain) > 1 else f"{name} is no alias."


def _is_made(survey: Survey, name: str, target: str) -> bool:
    """Whether an administrator made `name` an alias of `target`.

    A wildcard makes aliases of all names, but not beneath a name that exists (RFC 4592 section 3.3.1).
    """
    beneath = f"_{secrets.token_hex(8)}.{name}"
    if len(beneath) > MAX_NAME:
        return True
    try:
        return _alias(survey.ask_directly(beneath, "CNAME")) != target
    except SolverError:
        return True


def _target(survey: Survey, links: Sequence[str]) -> str | None:
    """What the last of `links` is an alias of."""
    try:
        return _alias(survey.ask_directly(links[-1], "CNAME"))
    except SolverError as error:
        if len(links) == 1:
            raise
        raise AliasDead(
            f"{links[0]} is an alias of {links[-1]}, where no record can be written.",
            causes=[error],
            hint=f"Correct or remove the CNAME record at {links[-2]}.",
            retryable=error.retryable,
        ) from error


def _alias(answer: Answer) -> str | None:
    """What the name is an alias of, directly: the answer to a question for CNAME.

    Raises:
        LookupFailure: if that was no answer.
    """
    if answer.kind is Kind.RECORDS and len(answer.chain) == 1:
        return next((shown_name(record.target) for record in answer.records if isinstance(record, CNAME)), None)
    if answer.kind in CONCLUSIVE or answer.kind is Kind.REFERRAL:
        return answer.chain[1] if len(answer.chain) > 1 else None
    raise LookupFailure(answer)
