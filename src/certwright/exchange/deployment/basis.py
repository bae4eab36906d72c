"""What a plan depends on of the world, in words, so that a person is told what has changed since it was made.

A store may hold hundreds of certificates, and others import theirs when they please. Those count that serve something,
are ours or replaced, are referred to by a setting, or could be chosen in the place of ours. What the checks said counts
too, whatever they had looked at for it.
"""

from collections.abc import Iterable, Iterator

from certwright.domain.deployment import Finding
from certwright.exchange.deployment.connectors import all_of
from certwright.exchange.deployment.situation import Situation, replaced
from certwright.exchange.deployment.wish import Wish
from certwright.exchange.model import Certificate, ServerState
from certwright.exchange.references import refers_to

PASSING = frozenset({"clock-skew", "reachability", "unknown"})
"""Checks that tell what was measured, or a peer's words: that they found something counts, not how it is told."""


def basis(situation: Situation, wish: Wish, findings: Iterable[Finding] = ()) -> dict[str, str]:
    """What a plan for `wish` depends on, by what it is; `findings` are those of the plan."""
    snapshot, relevant = situation.snapshot, _Relevance(situation, wish)
    found: dict[str, str] = {}
    for state in snapshot.servers:
        found |= {f"{state.server}: {what}": value for what, value in _used(state, relevant)}
    for connector in all_of(snapshot):
        name = connector.identity or connector.name
        found[f"{connector.kind} connector {name}"] = connector.tls_certificate_name or "names no certificate"
    for finding in findings:
        check = f"{finding.subject or 'organisation'}: check {finding.check}"
        told = finding.severity if finding.check in PASSING else f"{finding.severity}: {finding.text}"
        found[check] = f"{found[check]} {told}" if check in found else told
    return found


def _used(state: ServerState, relevant: "_Relevance") -> Iterator[tuple[str, str]]:
    for certificate in filter(lambda held: relevant.has(held, state), state.certificates):
        told = f"services {'unknown' if certificate.services is None else certificate.services}"
        sites = "unknown" if certificate.iis_sites is None else ", ".join(map(str, sorted(certificate.iis_sites)))
        keyless = ", no private key" if certificate.has_private_key is False else ""
        yield f"certificate {certificate.thumbprint}", f"{told}; web sites {sites or 'none'}{keyless}"
    yield "internal transport certificate", state.internal_transport or "unknown"
    yield "POP looks for", state.pop_name or "unknown"
    yield "IMAP looks for", state.imap_name or "unknown"
    if state.away:
        yield "left alone", state.away


class _Relevance:
    """Which certificates of a store a plan has to do with."""

    def __init__(self, situation: Situation, wish: Wish) -> None:
        self._wish = wish
        snapshot = situation.snapshot
        begun = situation.begun
        self._ours = {wish.facts.thumbprint, *wish.predecessors, *replaced(situation, wish)}
        self._ours |= begun.versions if begun else frozenset()
        self._protected = snapshot.protected
        self._values = tuple(filter(None, (connector.tls_certificate_name for connector in all_of(snapshot))))

    def has(self, certificate: Certificate, state: ServerState) -> bool:
        """Whether it is one of them; so as long as Exchange does not tell what it is used for."""
        return (
            certificate.services is None
            or bool(certificate.services)
            or bool(certificate.iis_sites)
            or certificate.thumbprint in self._ours
            or self._is_referred_to(certificate, state)
            or self._competes(certificate, state)
        )

    def _is_referred_to(self, certificate: Certificate, state: ServerState) -> bool:
        named = certificate.thumbprint in {*self._protected, state.internal_transport}
        return named or any(refers_to(value, certificate) for value in self._values)

    def _competes(self, certificate: Certificate, state: ServerState) -> bool:
        """Whether it is for a name of ours, or for one by which a service looks for its certificate."""
        wanted, facts = self._wish.facts, certificate.facts
        if facts is None:
            return True
        looked_for = (state.pop_name, state.imap_name, *(c.fqdn for c in state.connectors or ()))
        names = (*(name.value for name in wanted.names), *looked_for)
        return facts.subject == wanted.subject or any(map(facts.covers, filter(None, names)))
