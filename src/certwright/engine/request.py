"""Ask for the next version of a managed certificate, once, whatever happens in between."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.domain import certificates, keys, renewal
from certwright.domain.errors import (
    CertwrightError,
    ConfigurationError,
    NeedsPerson,
    NotProved,
    NotReplaced,
    OrderDead,
    StoreError,
    Unfinished,
)
from certwright.domain.events import Event, EventKind
from certwright.domain.failover import judged
from certwright.domain.keys import KeySource, PrivateKey
from certwright.domain.managed import CertificateVersion, Issuer, KeyForm, ManagedCertificate
from certwright.domain.renewal import Reason
from certwright.domain.runs import RunKind
from certwright.engine import first_request, ledger
from certwright.engine.caa import refuse_forbidden
from certwright.engine.context import ActiveRun, Engine, running
from certwright.engine.deploy import prepare
from certwright.engine.failover import in_turn, issuers_in_turn
from certwright.engine.hold import not_heeded
from certwright.engine.issuers import issuer_plugin
from certwright.engine.landmarks import Surroundings
from certwright.engine.left_over import cleared
from certwright.engine.material import version_facts
from certwright.engine.schedule import decide, note_failure, note_success, reschedule
from certwright.engine.slots import places
from certwright.engine.solving import solving
from certwright.sdk.issuer import IssueRequest
from certwright.store import OrderInFlight

_SKEW = timedelta(days=1)
_CLOCK = "look at the clock of this machine, and at the authority"


@dataclass(frozen=True, slots=True)
class RequestResult:
    """What came of it: the decision, and the new version if one was due."""

    decision: renewal.Decision
    version: CertificateVersion | None


def request(engine: Engine, reference: str, *, force: bool = False) -> RequestResult:
    """Get a new version if one is due (or `force`d); an order that an earlier run began is resumed, never doubled.

    Args:
        engine: what to work with.
        reference: the managed certificate.
        force: ask also if it is not due.

    Raises:
        LeaseHeld: if another run works on it.
        ConfigurationError: if it is forced, and a person holds it back.
        CertwrightError: with the reason in plain words; the run's journal has every step.
    """
    with engine.store.read() as unit:
        found = unit.managed.get(reference)
    return request_for(engine, found, force=force)


def request_for(
    engine: Engine, found: ManagedCertificate, *, force: bool = False, patient: bool = False
) -> RequestResult:
    """As `request`, for one that was found already; it is read anew.

    With patience the pause after a failure is kept, as by work that nobody waits for.
    """
    with engine.certificate_lease(found) as lease:
        with engine.store.read() as unit:
            managed = unit.managed.get(found.id)
            begun = unit.orders.get(managed.id)
            decision = decide(engine, unit, managed, patient=patient)
            is_first = not patient and first_request.waits(unit, managed.id)
        if is_first:
            with engine.store.write(lease) as unit:
                first_request.requested(unit, managed.id, engine.now())
                decision = decide(engine, unit, managed, patient=patient)
        if force and decision.reason is Reason.HELD:
            raise not_heeded(engine, decision)
        waits = decision.reason in (Reason.HELD, Reason.LIMITED, Reason.BACKING_OFF)
        resumable = begun is not None and begun.url and begun.fingerprint == managed.fingerprint and not waits
        if not (decision.due or force or resumable):
            with engine.store.write(lease) as unit:
                reschedule(engine, unit, managed)
            return RequestResult(decision, None)
        with running(engine, managed, RunKind.REQUEST, lease) as run:
            run.journal.note(decision.message if decision.due else "Asked for although it is not due.")
            try:
                with cleared(engine, run):
                    prepare(engine, managed, run)
                    version = _obtain(engine, managed, run, begun)
            except StoreError:
                raise
            except CertwrightError as error:
                with engine.store.write(lease) as unit:
                    unit.events.add(_failed(run, managed, engine.now(), error))
                    note_failure(engine, unit, managed, error)
                    reschedule(engine, unit, managed)
                raise
        return RequestResult(decision, version)


def _failed(run: ActiveRun, managed: ManagedCertificate, at: datetime, error: CertwrightError) -> Event:
    if isinstance(error, NeedsPerson):
        hint = f"Read what is to be done with: certwright certificate log {managed.id}"
        return run.event(EventKind.ISSUANCE_WAITS, managed, at, error.message, hint)
    return run.event(EventKind.ISSUANCE_FAILED, managed, at, error.message, error.hint)


def _obtain(
    engine: Engine, managed: ManagedCertificate, run: ActiveRun, begun: OrderInFlight | None
) -> CertificateVersion:
    with engine.store.read() as unit:
        current = unit.managed.current(managed.id)
    if begun and begun.fingerprint != managed.fingerprint:
        run.journal.note("The settings changed since an earlier order was begun; that order is left.")
        begun = None
    elif begun and begun.issuer != managed.issuer and (begun.url is None or begun.issuer not in managed.issuers):
        begun = None

    def attempt(issuer: Issuer) -> CertificateVersion:
        if begun and begun.issuer == issuer.name:
            run.journal.note("Going on with the order that an earlier run began.")
            try:
                return _finish(engine, managed, run, begun, current)
            except NotProved:
                raise  # another order would only meet the same
            except Unfinished as error:
                raise judged(error, begun.created_at, engine.now()) from error
            except OrderDead as dead:
                run.journal.note(f"{dead.message} A new order is begun.")
        return _finish(engine, managed, run, _begin(engine, managed, run, issuer), current)

    return in_turn(managed, issuers_in_turn(engine, managed, begun), run, attempt)


def _finish(
    engine: Engine,
    managed: ManagedCertificate,
    run: ActiveRun,
    order: OrderInFlight,
    current: CertificateVersion | None,
) -> CertificateVersion:
    """From an order to a stored version; an order that can come to nothing is not kept."""
    try:
        surroundings = Surroundings()
        chain = _ask(engine, managed, run, order, current, surroundings)
        return _keep(engine, managed, run, chain, surroundings)
    except OrderDead:
        with engine.store.write(*run.leases) as unit:
            unit.orders.close(managed.id)
        raise


def _begin(engine: Engine, managed: ManagedCertificate, run: ActiveRun, issuer: Issuer) -> OrderInFlight:
    """The key and the signing request, stored before the authority hears of them."""
    with run.journal.step("Make the key and the signing request") as step:
        key, csr = _key_and_request(engine, managed)
        step.note(f"Key: {managed.key.type}, {managed.key.source}.")
        with engine.store.write(*run.leases) as unit:
            unit.orders.close(managed.id)
            pem = keys.private_key_pem(key) if key else None
            return unit.orders.begin(managed.id, issuer.name, managed.fingerprint, csr, pem, engine.now())


def _key_and_request(engine: Engine, managed: ManagedCertificate) -> tuple[PrivateKey | None, bytes]:
    with engine.store.read() as unit:
        current = unit.managed.current(managed.id)
        own = unit.secrets.get(managed.key.own_key) if managed.key.own_key else None
        stored = unit.versions.private_key(current.id) if current else None
    brought = managed.key.source in (KeySource.OWN_KEY, KeySource.OWN_CSR)
    if brought and current and current.revoked_at:
        raise ConfigurationError(
            f"The certificate was revoked, and {managed.title!r} would use the same key again.",
            hint="Describe it anew with another key: certwright certificate new ...",
        )
    if managed.key.source is KeySource.OWN_CSR and managed.key.own_csr:
        request = certificates.load_request(managed.key.own_csr.encode())
        return None, request.public_bytes(Encoding.DER)
    if managed.key.source is KeySource.REUSED and stored and current and not current.revoked_at:
        own = stored
    key = keys.load_own_key(own) if own else keys.generate(managed.key.type)
    if keys.key_type(key) is not managed.key.type:
        key = keys.generate(managed.key.type)
    return key, certificates.build_request(managed.identifiers, key)


def _ask(
    engine: Engine,
    managed: ManagedCertificate,
    run: ActiveRun,
    order: OrderInFlight,
    current: CertificateVersion | None,
    surroundings: Surroundings,
) -> tuple[x509.Certificate, ...]:
    def remember(url: str) -> None:
        with engine.store.write(*run.leases) as unit:
            unit.orders.set_url(managed.id, url)

    with engine.store.read() as unit:
        issuer = unit.issuers.get(order.issuer)
    wanted = managed.asked_of(issuer)
    replaced = current if current and current.issuer == issuer.name and not order.url else None
    asked = IssueRequest(
        identifiers=managed.identifiers,
        csr=order.csr,
        profile=wanted.profile,
        preferred_chain=managed.preferred_chain,
        replaces=certificates.load_certificates(replaced.chain_pem.encode())[0] if replaced else None,
        order_url=order.url,
    )
    plugin = issuer_plugin(engine, issuer.name, run.journal)
    refuse_forbidden(engine, wanted, issuer, run.journal)

    def obtained(asked: IssueRequest) -> tuple[x509.Certificate, ...]:
        replaces = bool(asked.replaces or asked.order_url)
        with ledger.counted(engine, managed, issuer, current, run, replaces=replaces):
            found = plugin.obtain(asked, solving(engine, wanted, run, surroundings), remember)
            return tuple(certificates.order_chain(found))

    with (
        places.taken(engine.store, f"authority:{issuer.counted_at}"),
        run.journal.step(f"Obtain the certificate from {issuer.name}"),
    ):
        try:
            return obtained(asked)
        except NotReplaced:
            return obtained(replace(asked, replaces=None))


def _keep(
    engine: Engine,
    managed: ManagedCertificate,
    run: ActiveRun,
    chain: Sequence[x509.Certificate],
    surroundings: Surroundings,
) -> CertificateVersion:
    """Store the version, close its order and record the event, all in one transaction."""
    with run.journal.step("Store the new version") as step:
        with engine.store.write(*run.leases) as unit:
            order = unit.orders.get(managed.id)
            if order is None:
                raise OrderDead("The order is gone from the store.")
            key = unit.orders.private_key(managed.id)
            _check(order.csr, managed, chain, engine.now())
            version = CertificateVersion(
                managed_id=managed.id,
                issuer=order.issuer,
                chain_pem=certificates.pem(chain).decode(),
                key_form=KeyForm.HERE if key else KeyForm.ELSEWHERE,
                fingerprint=order.fingerprint,
                order_url=order.url,
                issued_at=engine.now(),
            )
            facts = version_facts(version)
            unit.versions.add(version, key)
            unit.orders.close(managed.id)
            surroundings.keep(unit, managed)
            event = run.event(EventKind.CERTIFICATE_ISSUED, managed, version.issued_at, f"Issued {facts.sha256[:16]}.")
            unit.events.add(event.model_copy(update={"version_id": version.id}))
            note_success(engine, unit, managed)
            reschedule(engine, unit, managed)
        until = f"{facts.not_after:%Y-%m-%d %H:%M} UTC"
        step.note(f"Certificate {facts.sha256[:16]} by {facts.issuer_common_name}, valid until {until}.")
    return version


def _check(csr: bytes, managed: ManagedCertificate, chain: Sequence[x509.Certificate], now: datetime) -> None:
    """The authority's answer must be for our key and our names, and be valid."""
    problems: list[CertwrightError | str] = []
    leaf = chain[0]
    facts = certificates.CertificateFacts.of(leaf)
    if certificates.load_request(csr).public_key() != leaf.public_key():
        problems.append("it was made for another key")
    missing = [str(i) for i in managed.identifiers if i not in facts.names]
    if missing:
        problems.append(f"it does not name {', '.join(missing)}")
    if facts.not_after <= now:
        problems.append(f"it ended at {facts.not_after:%Y-%m-%d %H:%M} UTC: {_CLOCK}")
    if facts.not_before > now + _SKEW:
        problems.append(f"it is valid from {facts.not_before:%Y-%m-%d %H:%M} UTC only: {_CLOCK}")
    if problems:
        raise OrderDead("The authority's certificate cannot be used.", causes=problems, retryable=False)
