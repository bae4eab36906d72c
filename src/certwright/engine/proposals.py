"""What a new certificate is proposed to be, by what there is: typed names, what a web server presents, or a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from certwright.domain.certificates import (
    CLIENT_AUTHENTICATION,
    EMAIL_PROTECTION,
    SERVER_AUTHENTICATION,
    CertificateFacts,
    key_matches,
    order_chain,
)
from certwright.domain.errors import InvalidIdentifier, InvalidMaterial, Unreachable
from certwright.domain.identifiers import Identifier
from certwright.domain.keys import KeyType, PrivateKey
from certwright.domain.watching import Look, Place, Seen
from certwright.engine.accounts import coming_issuer, usual_account
from certwright.engine.context import Engine
from certwright.engine.exchange.reach import progress
from certwright.engine.key_files import read_contents, read_private_key
from certwright.engine.typed_names import TypedName, look_at_names
from certwright.engine.watch import add_seen, target
from certwright.probe import Endpoint, FailureKind, ProblemKind, probe

_TYPE_NAMES = "or go on by typing the names: certwright certificate new"
_NEXT = {
    FailureKind.DNS: f"Look at how it is spelt, {_TYPE_NAMES}",
    FailureKind.LOOKUP: f"Try it again, {_TYPE_NAMES}",
    FailureKind.CLOSED: f"Look whether TLS is spoken at this port, {_TYPE_NAMES}",
    FailureKind.HANDSHAKE: f"Look whether TLS is spoken at this port, {_TYPE_NAMES}",
}
_NO_WAY = f"Look whether the server runs, at this port, and whether a firewall is in the way, {_TYPE_NAMES}"
_PURPOSES = {EMAIL_PROTECTION: "for mail (S/MIME)", CLIENT_AUTHENTICATION: "for clients that sign in"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a new certificate is proposed to be; nothing is stored yet.

    Attributes:
        names: each with what is wrong with it.
        present: the certificate that there is now; None where names were typed.
        place: where that is presented; None where it was given as a file.
        remarks: what is to be known of it, each in a sentence or two.
        own_key: the private key of the file, if the new certificate is to have it too.
    """

    names: tuple[TypedName, ...]
    present: CertificateFacts | None = None
    place: Place | None = None
    remarks: tuple[str, ...] = ()
    own_key: PrivateKey | None = field(default=None, repr=False)

    @property
    def key_type(self) -> KeyType | None:
        """The kind of key that there is now; None if there is none that authorities sign."""
        return KeyType(self.present.key) if self.present and self.present.key in set(KeyType) else None

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "names": [name.data() for name in self.names],
            "present": Seen.of(self.present).model_dump(mode="json") if self.present else None,
            "place": self.place.model_dump(mode="json") if self.place else None,
            "key_type": self.key_type,
            "remarks": list(self.remarks),
        }


def takes_public_names_only(engine: Engine) -> bool:
    """Whether the authority that usually signs does not certify names of the inside of networks."""
    return not coming_issuer(engine, usual_account(engine)).capabilities.internal_names


def propose_names(engine: Engine, texts: Sequence[str]) -> Proposal:
    """By names as they were typed.

    Raises:
        InvalidIdentifier: if there are none, or more than any certificate has.
    """
    with progress(engine).step("Look the names up"):
        return Proposal(look_at_names(engine, texts, public=takes_public_names_only(engine)))


def propose_from_server(engine: Engine, where: Endpoint) -> Proposal:
    """By what a web server presents: the names of that, and the host, if none of them covers it.

    Raises:
        Unreachable: if it presents nothing.
    """
    place = Place(host=where.host, port=where.port)
    with progress(engine).step(f"Look at what {place} presents"):
        seen = probe(target(place))
    if seen.leaf is None:
        assert seen.failure  # noqa: S101 - an observation has one of the two
        raise Unreachable(
            f"{place} presents no certificate that could be seen: {seen.failure.message}",
            hint=_NEXT.get(seen.failure.kind, _NO_WAY),
        )
    names = list(_names(seen.leaf))
    if not seen.leaf.covers(where.host):
        names.append(where.host)
    misnamed = [problem.message for problem in seen.problems if problem.kind is ProblemKind.NAME_MISMATCH]
    remarks = (*_remarks(seen.leaf, engine.now()), *misnamed)
    return Proposal(propose_names(engine, names).names, seen.leaf, place, remarks)


def propose_from_file(engine: Engine, data: bytes, password: bytes | None, *, keeps_key: bool = False) -> Proposal:
    """By the certificate in a PEM, DER or PFX file.

    Args:
        engine: what to work with.
        data: the file.
        password: its own, or that of the key in it.
        keeps_key: whether the new certificate is to have the private key of the file; else that is not even read.

    Raises:
        InvalidMaterial: if it cannot be read, its certificate names no host, or it has no key that could be kept.
        Throttled: if too many files are being read at this moment.
    """
    with progress(engine).step("Read the file"):
        contents = read_contents(data, password)
        leaf = order_chain(contents.certificates)[0]
        facts = CertificateFacts.of(leaf)
        own_key = read_private_key(data, password) if keeps_key and contents.has_key else None
    if keeps_key and not (own_key and key_matches(own_key, leaf)):
        wrong = "another private key than its own" if own_key else "no private key"
        raise InvalidMaterial(
            f"The certificate comes with {wrong}, so there is none to keep.",
            hint="Export it again, with its private key; or have a new one made.",
        )
    names, remarks = list(_names(facts)), list(_remarks(facts, engine.now()))
    if not names:
        raise InvalidMaterial(
            " ".join(["The certificate names no host that a new one could be for.", *remarks]),
            hint="Choose the file of a server's certificate, or have the end of this one watched: certwright watch add",
        )
    if not contents.has_key:
        remarks.append("There is no private key in the file. None is needed: a new one is made.")
    return Proposal(propose_names(engine, names).names, facts, None, tuple(remarks), own_key)


def watch_present(engine: Engine, proposal: Proposal) -> None:
    """Watch the certificate that there is now, unless it is watched already; under a title that nothing else has."""
    present, place = proposal.present, proposal.place
    if present is None:
        return
    with engine.store.read() as unit:
        items = unit.watches.list()
    if not any(item.place == place and (place or item.seen.sha256 == present.sha256) for item in items):
        title = str(place or f"{proposal.names[0].text} until {present.not_after:%Y-%m-%d}")
        if any(item.title == title for item in items):
            title = f"{title} ({present.sha256[:8]})"
        add_seen(engine, title, place, Look(seen=Seen.of(present)))


def _names(facts: CertificateFacts) -> Iterator[str]:
    """Those that clients look at; of one that has none the common name, if that is a host's."""
    yield from (name.unicode for name in facts.names)
    if _is_called_only(facts):
        yield facts.common_name or ""


def _is_called_only(facts: CertificateFacts) -> bool:
    """Whether a server's certificate has the host in its common name alone, as it was done long ago."""
    if facts.names or facts.is_ca or facts.allows(SERVER_AUTHENTICATION) is False:
        return False
    try:
        return bool(Identifier.parse(facts.common_name or ""))
    except InvalidIdentifier:
        return False


def _remarks(facts: CertificateFacts, now: datetime) -> Iterator[str]:
    """What is special about a certificate that a new one is to follow."""
    if now > facts.not_after:
        yield f"It ended on {facts.not_after:%Y-%m-%d %H:%M} UTC: clients refuse it."
    elif now < facts.not_before:
        yield f"It begins on {facts.not_before:%Y-%m-%d %H:%M} UTC: clients refuse it until then."
    if facts.is_ca:
        yield "It is the certificate of an authority, and not of a server."
    elif facts.allows(SERVER_AUTHENTICATION) is False:
        uses = [told for purpose, told in _PURPOSES.items() if facts.allows(purpose)]
        purpose = " and ".join(uses) or "for another purpose"
        yield f"It is {purpose}, and not for servers. A new one would be for servers, and no substitute."
    if facts.is_self_signed and not facts.is_ca:
        yield "It has signed itself: clients accept it only where somebody told them to."
    if _is_called_only(facts):
        yield "It has a common name alone, where clients do not look any more; the new one has it where they do."
    if facts.key not in set(KeyType):
        yield f"Its key is of a kind that authorities do not sign. The new one gets one of the kind {KeyType.RSA_2048}."
