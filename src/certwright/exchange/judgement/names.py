"""The names that clients and servers ask Exchange for: what has to be on its certificate, why, and whether it is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import InvalidIdentifier
from certwright.domain.identifiers import MAX_COMMON_NAME, Identifier, covered, public_obstacle
from certwright.exchange.judgement.moves import Move, merged
from certwright.exchange.model import ServerState, WebAddress
from certwright.exchange.snapshot import Snapshot
from certwright.exchange.steps import steps

Resolve = Callable[[str], bool | None]
_SHOWN = 3
_DIRECTORIES = {
    "OWA": "Set-OwaVirtualDirectory",
    "ECP": "Set-EcpVirtualDirectory",
    "EWS": "Set-WebServicesVirtualDirectory",
    "ActiveSync": "Set-ActiveSyncVirtualDirectory",
    "OAB": "Set-OabVirtualDirectory",
    "MAPI": "Set-MapiVirtualDirectory",
    "PowerShell": "Set-PowerShellVirtualDirectory",
}
_CLOUD = ".onmicrosoft.com"  # Microsoft's own: nobody else has a certificate for it, and Autodiscover there is theirs
_AUTODISCOVER = "autodiscover."


@dataclass(frozen=True, slots=True)
class Source:
    """One setting that uses a name, in words that `subjects` complete: servers, connectors or domains.

    `moves` are the commands that would give these another name. `own` tells that the
    service chooses among certificates by itself, so that the server's own one will do for the server's own name.
    """

    setting: str
    subjects: tuple[str, ...]
    moves: tuple[Move, ...] = ()
    own: bool = False

    def __str__(self) -> str:
        shown = ", ".join(self.subjects[:_SHOWN])
        more = len(self.subjects) - _SHOWN
        return f"{self.setting} {shown}" + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class RequiredName:
    """A name that somebody asks Exchange for; `own` if only services that choose for themselves use it, on its server.

    `name` is in lower case, and maybe no host name at all.
    """

    name: str
    sources: tuple[Source, ...]
    own: bool = False


class Coverage(StrEnum):
    """What a certificate does for a name."""

    COVERED = "covered"
    REDUNDANT = "redundant under a wildcard"
    MISSING = "missing"
    NOT_PUBLIC = "not public"
    OWN = "server's own certificate"
    UNUSED = "not used by Exchange"


@dataclass(frozen=True, slots=True)
class NameVerdict:
    """A name, who uses it, and what is to be done. `resolves` is None if it is not known whether the name resolves.

    `advice` says it in a sentence, `moves` are the commands that belong to it.
    """

    name: str
    sources: tuple[Source, ...]
    coverage: Coverage
    resolves: bool | None = None
    advice: str = ""
    moves: tuple[Move, ...] = ()

    @property
    def remedy(self) -> str:
        """The advice, and below it each command on a line of its own."""
        return steps(self.advice, *(move.typed for move in self.moves)) if self.moves else self.advice

    def data(self) -> dict[str, Any]:
        """As JSON: every source and every command."""
        return {
            "name": self.name,
            "coverage": self.coverage.value,
            "resolves": self.resolves,
            "sources": [f"{source.setting} {', '.join(source.subjects)}" for source in self.sources],
            "remedy": self.advice,
            "commands": [move.typed for move in self.moves],
        }


@dataclass(frozen=True, slots=True)
class _Use:
    name: str
    setting: str
    subject: str
    move: Move | None = None
    own: bool = False


def described(sources: Iterable[Source]) -> tuple[str, ...]:
    """All sources in words; web addresses of one kind on the same servers are told together."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for source in sources:
        service, _, kind = source.setting.partition(" ")
        key = (kind, source.subjects) if service in _DIRECTORIES else (source.setting, source.subjects)
        grouped.setdefault(key, []).append(service if service in _DIRECTORIES else "")
    told = (Source(f"{', '.join(services)} {kind}".strip(), subjects) for (kind, subjects), services in grouped.items())
    return tuple(map(str, told))


def required_names(snapshot: Snapshot) -> tuple[RequiredName, ...]:
    """Every name that the organisation is asked for, with its sources; the mail host first, Autodiscover next."""
    found: dict[str, list[_Use]] = {}
    for use in _uses(snapshot):
        found.setdefault(use.name.strip().lower().removesuffix("."), []).append(use)
    found.pop("", None)
    fqdns = {name.lower() for state in snapshot.servers for name in state.names}
    names = [
        RequiredName(name, _sources(uses), own=name in fqdns and all(use.own for use in uses))
        for name, uses in found.items()
    ]
    host = _mail_host(found)
    return tuple(sorted(names, key=lambda n: (n.name != host, n.own, not n.name.startswith(_AUTODISCOVER), n.name)))


def proposed_names(snapshot: Snapshot, resolve: Resolve = lambda _: None, *, public: bool = True) -> tuple[str, ...]:
    """What to put on the organisation's certificate, in this order; the first becomes its common name.

    Left out is what no public authority issues for (if it is to be `public`), what does not resolve, so that it could
    not be validated either, and servers' own names that their own certificates serve.
    """
    names = [r.name for r in required_names(snapshot) if not r.own and _obstacle(r.name, public=public) is None]
    resolving = [name for name in names if resolve(name) is not False]
    return tuple(sorted(resolving, key=lambda name: len(name) > MAX_COMMON_NAME))


def judge(
    required: Iterable[RequiredName],
    facts: CertificateFacts | None,
    resolve: Resolve = lambda _: None,
    *,
    public: bool = True,
) -> tuple[NameVerdict, ...]:
    """What the certificate with `facts` does for each name, and for which of its names nobody asks.

    Args:
        required: see `required_names`.
        facts: of the certificate; None if there is none yet.
        resolve: tells whether a name resolves, or None if that is not known.
        public: whether the certificate comes from a public authority.
    """
    wanted = tuple(required)
    target = next((r.name for r in wanted if not r.own and public_name(r.name)), "")
    verdicts = [_judged(r, facts, resolve, target, public=public) for r in wanted]
    known = {r.name for r in wanted}
    unused = [n.value for n in (facts.names if facts else ()) if not _is_used(n, known)]
    about = "Exchange uses this name nowhere: leave it out when you next choose the certificate's names."
    return (*verdicts, *(NameVerdict(name, (), Coverage.UNUSED, advice=about) for name in unused))


def public_name(name: str) -> bool:
    """Whether a public authority can issue for `name`."""
    return _obstacle(name, public=True) is None


def asks_public(facts: CertificateFacts | None) -> bool:
    """Whether the certificate with `facts` may be followed by one of a public authority, by its names.

    What setup made for a server tells nothing of that, and no more does having none.
    """
    return facts is None or facts.is_self_signed or not any(map(public_obstacle, facts.names))


def _judged(
    required: RequiredName, facts: CertificateFacts | None, resolve: Resolve, target: str, *, public: bool
) -> NameVerdict:
    made = partial(NameVerdict, required.name, required.sources)
    if facts and facts.covers(required.name):
        return _covered(required.name, facts, made, resolve)
    if required.own:
        return made(Coverage.OWN, advice="Nothing to do: the server serves its own self-signed certificate for it.")
    if obstacle := _obstacle(required.name, public=public):
        moves = merged(move.to(target or "HOST") for source in required.sources for move in source.moves)
        return made(Coverage.NOT_PUBLIC, advice=_moved(obstacle, target, moves), moves=moves)
    resolves = resolve(required.name)
    advice = "Put it on the certificate."
    if resolves is False:
        advice = (
            "It does not resolve: if nobody uses it, leave it off the certificate; else create its DNS record first, "
            "because an authority can validate it only then (or by a DNS record, with dns-01)."
        )
    return made(Coverage.MISSING, resolves=resolves, advice=advice)


def _covered(name: str, facts: CertificateFacts, made: Callable[..., NameVerdict], resolve: Resolve) -> NameVerdict:
    wildcards = [n for n in facts.names if n.is_wildcard]
    explicit = any(n.value == name for n in facts.names)
    if explicit and covered(wildcards, (name,)):
        advice = f"A wildcard on the certificate covers it as well; {name} itself can be left out."
        return made(Coverage.REDUNDANT, resolves=resolve(name), advice=advice)
    resolves = resolve(name)
    advice = "It does not resolve here: clients on this side cannot reach it by this name." if resolves is False else ""
    return made(Coverage.COVERED, resolves=resolves, advice=advice)


def _moved(obstacle: str, target: str, moves: Sequence[Move]) -> str:
    if not moves:
        return f"{obstacle}: no public authority issues for it. Nothing in Exchange's settings can be moved."
    return (
        f"{obstacle}: no public authority issues for it. Once {target or 'a public name (HOST)'} leads to Exchange "
        "from inside your network too, move the settings yourself, in the Exchange Management Shell:"
    )


def _obstacle(name: str, *, public: bool) -> str | None:
    try:
        identifier = Identifier.parse(name)
    except InvalidIdentifier as error:
        return error.message.rstrip(".")
    return public_obstacle(identifier) if public else None


def _is_used(name: Identifier, required: set[str]) -> bool:
    return bool(covered((name,), required))


def _sources(uses: Iterable[_Use]) -> tuple[Source, ...]:
    grouped: dict[str, list[_Use]] = {}
    for use in uses:
        grouped.setdefault(use.setting, []).append(use)
    return tuple(
        Source(
            setting,
            tuple(dict.fromkeys(use.subject for use in group)),
            tuple(dict.fromkeys(use.move for use in group if use.move)),
            own=all(use.own for use in group),
        )
        for setting, group in grouped.items()
    )


def _mail_host(found: dict[str, list[_Use]]) -> str:
    """The name that most web addresses use, a public one and those for outside first: it becomes the common name."""
    usable = [n for n in found if "." in n and not n.startswith(_AUTODISCOVER) and len(n) <= MAX_COMMON_NAME]
    weights = {n: sum(_weight(use) for use in found[n]) for n in usable}
    ranked = sorted((not public_name(n), -weight, n) for n, weight in weights.items() if weight)
    return ranked[0][-1] if ranked else ""


def _weight(use: _Use) -> int:
    return 0 if use.own else 100 if "external" in use.setting else 1


def _uses(snapshot: Snapshot) -> Iterator[_Use]:
    for state in snapshot.servers:
        yield from _addresses(state)
        yield from _mail_settings(state)
    for connector in snapshot.send_connectors or ():
        if connector.cloud_mail and connector.fqdn:
            yield _Use(connector.fqdn, "Fqdn of the hybrid send connector", connector.name)
    for domain in snapshot.accepted_domains or ():
        plain = "*" not in domain.name and not domain.name.lower().endswith(_CLOUD)
        if domain.kind == "Authoritative" and plain:
            yield _Use(f"{_AUTODISCOVER}{domain.name}", "Autodiscover for the accepted domain", domain.name)


def _addresses(state: ServerState) -> Iterator[_Use]:
    for address in state.addresses or ():
        for side, value in (("internal", address.internal), ("external", address.external)):
            if value and (name := _host(value)):
                yield _Use(name, _setting(address.service, side), state.info.name, _move(state, address, side, value))


def _mail_settings(state: ServerState) -> Iterator[_Use]:
    for service, name in (("POP", state.pop_name), ("IMAP", state.imap_name)):
        if name:
            named = (("X509CertificateName", "{name}"),)
            move = Move(state.info.name, f"Set-{service.title()}Settings", state.info.name, named, by="Server")
            yield _Use(name, f"{service} certificate name of", state.info.name, move, own=True)
    for connector in state.connectors or ():
        if connector.fqdn and connector.is_front_end and connector.enabled:
            subject = connector.identity or f"{state.info.name}\\{connector.name}"
            yield _Use(connector.fqdn, "Fqdn of the receive connector", subject, own=True)


def _setting(service: str, side: str) -> str:
    if service == "Outlook Anywhere":
        return f"Outlook Anywhere {side} host name of"
    return "Autodiscover internal URI of" if service == "Autodiscover" else f"{service} {side} URL of"


def _host(value: str) -> str | None:
    """The host of an address, or the host itself; nothing for plain http, which needs no certificate."""
    if "://" not in value:
        return value
    with suppress(ValueError):
        parts = urlsplit(value)
        return parts.hostname if parts.scheme == "https" else None
    return None


def _move(state: ServerState, address: WebAddress, side: str, value: str) -> Move | None:
    """The command that would give this setting another name; the path stays."""
    server, url = state.info.name, f"https://{{name}}{urlsplit(value).path}"
    if address.service == "Outlook Anywhere":
        host = ((f"{side.title()}Hostname", "{name}"), (f"{side.title()}ClientsRequireSsl", "$true"))
        return Move(server, "Set-OutlookAnywhere", address.identity or f"{server}\\Rpc (Default Web Site)", host)
    if address.service == "Autodiscover":
        cmdlet = "Set-ClientAccessServer" if "15.0" in state.info.version else "Set-ClientAccessService"
        return Move(server, cmdlet, server, (("AutoDiscoverServiceInternalUri", url),))
    cmdlet = _DIRECTORIES.get(address.service, "")
    return Move(server, cmdlet, address.identity, ((f"{side.title()}Url", url),)) if cmdlet else None
