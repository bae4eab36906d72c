"""What was not seen: the servers of which a check does not know what it needs. Only what was seen is in order."""

from collections.abc import Callable, Iterable

from certwright.domain.deployment import ServedRow
from certwright.exchange.discovery.servers import holds_mailboxes
from certwright.exchange.judgement.checks.case import Case
from certwright.exchange.model import BACK_END, ServerState, Service
from certwright.exchange.snapshot import Snapshot

EVERYTHING = "the whole server"
_ORGANISATION = "the organisation"
_ADDRESSES = ("the addresses of ", "the address of ", "the host names of ", "the POP settings", "the IMAP settings")
_ANSWERS = frozenset({"web", "sign-in"})
_RIVALS = ("the scheduled tasks", "the services of other ACME clients")
_KEYS = ("where the key of ",)

Unseen = Callable[[Case], Iterable[str]]


def servers(known: Callable[[ServerState], bool] = lambda _: True) -> Unseen:
    """The servers that could not be read, or of which this is not `known`."""

    def unseen(case: Case) -> Iterable[str]:
        yield from (state.info.name for state in case.snapshot.servers if not known(state))
        yield from (info.name for info in case.snapshot.unread)

    return unseen


def organisation(known: Callable[[Snapshot], bool]) -> Unseen:
    """The organisation as a whole, if this is not `known` of it."""
    return lambda case: () if known(case.snapshot) else (_ORGANISATION,)


def either(*found: Unseen) -> Unseen:
    """What is not known by one of `found`, each once."""
    return lambda case: dict.fromkeys(name for unseen in found for name in unseen(case))


def shown(case: Case) -> list[ServedRow]:
    """The ports on which a certificate was seen; that a web site did not answer is told in such a row too."""
    return [row for row in case.context.rows if row.now and row.service not in _ANSWERS]


def ports(service: str = "") -> Unseen:
    """The servers none of whose ports, or of whose ports of this service, was seen."""

    def unseen(case: Case) -> Iterable[str]:
        seen = {row.server.lower() for row in shown(case) if service in {"", row.service}}
        return servers(lambda state: not seen.isdisjoint(map(str.lower, state.names)))(case)

    return unseen


def senders(snapshot: Snapshot) -> bool:
    """Whether the send connectors are known."""
    return snapshot.send_connectors is not None


def hybrid(snapshot: Snapshot) -> bool:
    """Whether it is known whether there is a hybrid configuration, and which domains it is for."""
    unread = any(unknown.what == "the hybrid configuration" for unknown in snapshot.unknown)
    return names(snapshot) and not unread


def names(snapshot: Snapshot) -> bool:
    """Whether it is known which domains and connectors of the organisation use names."""
    return senders(snapshot) and snapshot.accepted_domains is not None


def auth(snapshot: Snapshot) -> bool:
    """Whether it is known with which certificate tokens are signed."""
    return snapshot.auth is not None and bool(snapshot.auth.current)


def certificates(state: ServerState) -> bool:
    """Whether what is in the store can be told apart: there is no Exchange server without certificates."""
    return bool(state.certificates) and all(certificate.facts for certificate in state.certificates)


def connectors(state: ServerState) -> bool:
    """Whether it is known which certificates its receive connectors name, and which it holds."""
    return state.connectors is not None and certificates(state)


def services(state: ServerState) -> bool:
    """Whether it is known what its certificates are used for."""
    return bool(state.certificates) and all(c.services is not None for c in state.certificates)


def statuses(state: ServerState) -> bool:
    """Whether Exchange told what it makes of its certificates."""
    return bool(state.certificates) and all(c.status is not None for c in state.certificates)


def web_site(state: ServerState) -> bool:
    """Whether it is known what its web site serves, and whether that is usable."""
    found = state.web_site_certificate()
    return found is not None and found.status is not None and found.facts is not None


def back_end(state: ServerState) -> bool:
    """Whether it is known what the Exchange Back End is bound to."""
    sites = [certificate.iis_sites for certificate in state.certificates]
    return any(BACK_END in (found or ()) for found in sites) or (bool(sites) and None not in sites)


def internal_transport(state: ServerState) -> bool:
    """Whether it is known with which certificate it speaks to other servers; only mailbox servers have one."""
    return certificates(state) and (state.internal_transport is not None or not holds_mailboxes(state.info))


def addresses(state: ServerState) -> bool:
    """Whether all is known by which clients find it."""
    return state.addresses is not None and state.connectors is not None and not _noted(state, _ADDRESSES)


def components(state: ServerState) -> bool:
    """Whether it is known whether it is in maintenance."""
    return state.components is not None and not _noted(state, ("its availability group",))


def bindings(state: ServerState) -> bool:
    """Whether its host told the bindings of IIS."""
    return state.host is not None and state.host.bindings is not None


def keys(state: ServerState) -> bool:
    """Whether its host told where the keys in use are kept."""
    return state.host is not None and bool(state.host.keys) and not _noted(state, _KEYS)


def readers(state: ServerState) -> bool:
    """Whether its host told who may read the keys that services use."""
    if state.host is None or not keys(state):
        return False
    used = {c.thumbprint for c in state.certificates if c.services not in {None, Service.NONE}}
    return all(key.readers for key in state.host.keys if key.thumbprint in used)


def rivals(state: ServerState) -> bool:
    """Whether its host told what runs there."""
    return state.host is not None and not _noted(state, _RIVALS)


def _noted(state: ServerState, beginnings: tuple[str, ...]) -> bool:
    """Whether something of this kind could not be read."""
    return any(unknown.what.startswith(beginnings) for unknown in state.unknown)
