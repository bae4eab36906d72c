"""Whether SMTP can choose the certificate: by a name that a receive connector announces, or because one names it."""

from collections.abc import Sequence
from dataclasses import dataclass

from certwright.domain.certificates import CertificateFacts
from certwright.exchange.deployment.wish import mail_access_name, names_server
from certwright.exchange.model import Certificate, Connector, ServerState
from certwright.exchange.references import referred_to, refers_to
from certwright.exchange.steps import adding


@dataclass(frozen=True, slots=True)
class Unannounced:
    """A server on which SMTP may go on serving another certificate, and why that is no fault of ours.

    Its front-end receive connectors announce no name of the version, or name certificates of their own (`others`,
    thumbprints), which they keep.
    """

    names: tuple[str, ...]
    commands: tuple[str, ...]
    others: frozenset[str] = frozenset()

    def explains(self, leaf: CertificateFacts) -> bool:
        """Whether `leaf` is what SMTP serves then: the server's own certificate, or one that a connector names."""
        return leaf.thumbprint in self.others or (leaf.is_self_signed and names_server(leaf, self.names))

    @property
    def advice(self) -> str:
        """What a person can do, as commands."""
        return f"To let SMTP serve the new one: {'; '.join(self.commands)}"


def unannounced(
    state: ServerState, facts: CertificateFacts, replaced: Sequence[Certificate] = ()
) -> Unannounced | None:
    """What follows if not every front-end receive connector of `state` leads to the version; None if all do.

    Those that name a certificate of `replaced` will follow.
    """
    front = [c for c in state.connectors or () if c.is_front_end and c.enabled]
    new = state.certificate(facts.thumbprint)
    own = [c for c in front if c.tls_certificate_name and not _follows(c, new, replaced)]
    silent = [c for c in front if not c.tls_certificate_name and c.fqdn]
    is_announced = any(facts.covers(c.fqdn) for c in silent) or not silent
    if is_announced and not own:
        return None
    name = mail_access_name(facts, "") or "HOST"
    commands = [c.setting(f"-Fqdn {name}") for c in (silent if not is_announced else ())]
    commands += [adding("connectors", [c.identity or c.name for c in own])] if own else []
    others = (held.thumbprint for c in own for held in referred_to(c.tls_certificate_name, state.certificates))
    return Unannounced(state.names, tuple(commands), frozenset(others))


def _follows(connector: Connector, new: Certificate | None, replaced: Sequence[Certificate]) -> bool:
    value = connector.tls_certificate_name
    return bool(referred_to(value, replaced)) or (new is not None and refers_to(value, new))
