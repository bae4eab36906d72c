"""The certificate that the service presents itself: of a managed certificate, or one that it has signed itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509

from certwright.domain.certificates import CertificateFacts, load_certificates, pem, self_signed
from certwright.domain.errors import ConfigurationError
from certwright.domain.identifiers import Identifier
from certwright.domain.keys import KeyType, PrivateKey, generate, load_own_key, private_key_pem
from certwright.engine.context import Engine
from certwright.engine.material import material
from certwright.store import UnitOfWork

_SECRET = "service:self-signed"  # noqa: S105 - the name of it
_LIFETIME = timedelta(days=825)  # some clients take no certificate that lives longer
_RENEWED_BEFORE = timedelta(days=30)
_MOST_NAMES = 50
_MEANT, _KIND = "own_certificate:", "certificate"  # a record of this kind for each setting
_SAID_EVERY, _COUNTS_FOR = timedelta(minutes=10), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Presented:
    """What is presented: leaf first, with its key, which is the same if the leaf is.

    `told` is why it is not what the settings name, if it is not.
    """

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False, compare=False)
    facts: CertificateFacts
    told: str = ""

    @classmethod
    def of(cls, chain: Sequence[x509.Certificate], key: PrivateKey, told: str = "") -> "Presented":
        """A chain with its key."""
        return cls(tuple(chain), key, CertificateFacts.of(chain[0]), told)

    @property
    def fingerprint(self) -> str:
        """Its SHA-256, as browsers show it."""
        return ":".join(self.facts.sha256[at : at + 2] for at in range(0, len(self.facts.sha256), 2)).upper()


def of_managed(engine: Engine, reference: str, names: Sequence[Identifier]) -> Presented:
    """The current version of a managed certificate; for as long as there is none, one that we signed for `names`.

    Which one `reference` means is decided once, so that none that is given such a title or name later takes its place.

    Raises:
        StoreError: if the store cannot be used.
    """
    try:
        managed_id = _meant(engine, reference)
        with engine.store.read() as unit:
            found = _current(unit, managed_id)
    except (ConfigurationError, ValueError) as error:
        found = str(error)
    return found if isinstance(found, Presented) else self_made(engine, names, found)


def is_presented(unit: UnitOfWork, managed_id: str, now: datetime) -> bool:
    """Whether a service presents it, or would if it were issued; one that was stopped counts for an hour."""
    said = unit.records.newest(_MEANT, _KIND).values()
    return any(each.value == managed_id and each.at > now - _COUNTS_FOR for each in said)


def _meant(engine: Engine, reference: str) -> str:
    """The id of the one that `reference` fitted at first; it is said again now and then for as long as it is asked.

    Raises:
        NotFound, ConfigurationError: if it has fitted none yet, or fits several.
    """
    subject, now = f"{_MEANT}{reference}", engine.now()
    with engine.store.read() as unit:
        said = unit.records.last(subject, _KIND)
        found = said.value if said else unit.managed.get(reference).id
    if said is None or said.at <= now - _SAID_EVERY:
        with engine.store.write() as unit:
            said = unit.records.last(subject, _KIND)  # another node may have been first
            found = said.value if said else found
            unit.records.put(subject, _KIND, found, now)
    return str(found)


def _current(unit: UnitOfWork, managed_id: str) -> Presented | str:
    """What is to be presented, or why there is nothing."""
    if not unit.managed.there([managed_id]):
        return f"The certificate {managed_id} was removed. Name another one by its id in the setting own_certificate."
    managed = unit.managed.get(managed_id)
    version = unit.managed.current(managed.id)
    if version is None:
        return f"{managed.title!r} was not issued yet: certwright certificate request {managed.id}"
    held = material(unit, version)
    if held.key is None:
        return f"The key of {managed.title!r} is not here, as it was made from a signing request of yours."
    return Presented.of(held.chain, held.key)


def self_made(engine: Engine, names: Iterable[Identifier], told: str = "") -> Presented:
    """The one that we signed ourselves, for these names at least; it is kept, so that people know it again.

    Raises:
        StoreError: if the store cannot be used.
    """
    now, wanted = engine.now(), tuple(dict.fromkeys(names))
    with engine.store.read() as unit:
        kept = _kept(unit)
    if kept is None or not _serves(kept, wanted, now):
        with engine.store.write() as unit:
            kept = _kept(unit)
            if kept is None or not _serves(kept, wanted, now):
                earlier = kept.facts.names if kept else ()
                kept = _make(unit, tuple(dict.fromkeys((*wanted, *earlier)))[:_MOST_NAMES], now)
    return Presented(kept.chain, kept.key, kept.facts, told)


def _kept(unit: UnitOfWork) -> Presented | None:
    held = unit.secrets.find(_SECRET)
    return Presented.of(load_certificates(held), load_own_key(held)) if held else None


def _serves(kept: Presented, wanted: Sequence[Identifier], now: datetime) -> bool:
    return set(wanted) <= set(kept.facts.names) and now < kept.facts.not_after - _RENEWED_BEFORE


def _make(unit: UnitOfWork, names: Sequence[Identifier], now: datetime) -> Presented:
    key = generate(KeyType.ECDSA_P256)
    made = Presented.of([self_signed(names, key, now, _LIFETIME)], key)
    unit.secrets.put(_SECRET, private_key_pem(key) + pem(made.chain))
    return made
