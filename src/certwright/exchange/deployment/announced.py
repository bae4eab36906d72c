"""Whether SMTP can choose the certificate: by a name that a receive connector announces, or because one names it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from certwright.domain.certificates import CertificateFacts
from certwright.exchange.deployment.wish import Wish, mail_access_name, names_server
from certwright.exchange.model import Certificate, Connector, ServerState, quoted
from certwright.exchange.references import referred_to, refers_to
from certwright.exchange.steps import adding, steps


@dataclass(frozen=True, slots=True)
class Unannounced:
    """A server on which SMTP may go on serving another certificate, and why that is no fault of ours.

    Its front-end receive connectors announce no name of the version, or name certificates of their own (`others`,
    thumbprints), which they keep; `connectors` tells in words which, and which of both.
    """

    names: tuple[str, ...]
    commands: tuple[str, ...]
    connectors: tuple[str, ...] = ()
    others: frozenset[str] = frozenset()

    def explains(self, leaf: CertificateFacts) -> bool:
        """Whether `leaf` is what SMTP serves then: the server's own certificate, or one that a connector names."""
        return leaf.thumbprint in self.others or (leaf.is_self_signed and names_server(leaf, self.names))

    @property
    def advice(self) -> str:
        """What a person can do, in one line."""
        return f"To let SMTP serve the new one: {'; '.join(self.commands)}"

    @property
    def remedy(self) -> str:
        """The same, with each command on a line of its own."""
        return steps("To let SMTP serve the new one (Set-... in the Exchange Management Shell):", *self.commands)


def unannounced(state: ServerState, wish: Wish, replaced: Sequence[Certificate] = ()) -> Unannounced | None:
    """What follows if not every front-end receive connector of `state` leads to the version; None if all do.

    Those that are to name it, such as one that names a certificate of `replaced`, lead there whatever they announce.
    """
    facts, new = wish.facts, state.certificate(wish.facts.thumbprint)
    front = [c for c in state.connectors or () if c.is_front_end and c.enabled and not wish.leads(c, replaced)]
    own = [c for c in front if c.tls_certificate_name and not (new and refers_to(c.tls_certificate_name, new))]
    silent = [c for c in front if not c.tls_certificate_name and c.fqdn]
    if any(facts.covers(c.fqdn) for c in silent):
        silent = []
    if not silent and not own:
        return None
    name = mail_access_name(facts, "") or "HOST"
    commands = [c.setting(f"-Fqdn {quoted(name)}") for c in silent]
    commands += [adding("connectors", [c.identity or c.name for c in own])] if own else []
    others = (held.thumbprint for c in own for held in referred_to(c.tls_certificate_name, state.certificates))
    return Unannounced(state.names, tuple(commands), tuple(_told(silent, own)), frozenset(others))


def _told(silent: Iterable[Connector], own: Iterable[Connector]) -> Iterator[str]:
    yield from (f"{c.name!r} announces {c.fqdn}, which is not on it" for c in silent)
    yield from (f"{c.name!r} names another certificate" for c in own)
