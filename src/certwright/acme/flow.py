"""From identifiers and a CSR to a certificate (RFC 8555 sections 7.1 and 7.4), in one resumable go."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TypeAlias

from cryptography import x509

from certwright.acme import authorization, certificate, challenge, order, parallel, problem
from certwright.acme.authorization import Authorization
from certwright.acme.certificate import Chain
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.clock import Deadline, backoff
from certwright.acme.errors import (
    AcmeError,
    CertificateMismatch,
    ChallengeNotAnswered,
    DeadlineExceeded,
    OrderInvalid,
    ServerProblem,
    UnexpectedAnswer,
)
from certwright.acme.identifier import Identifier
from certwright.acme.order import Order

_SOONEST, _LATEST = 0.01, 5.0  # seconds between two looks at an order that the CA says nothing about

_REPLACES_REFUSED = frozenset(
    {problem.ALREADY_REPLACED, problem.MALFORMED, problem.UNAUTHORIZED, "urn:ietf:params:acme:error:conflict"}
)

Solve: TypeAlias = Callable[[Sequence[Answer]], AbstractContextManager[Sequence[Answer]]]
"""The caller's part. It gets every answer that the CA would take for the identifiers that are still to be
proved: for each of them one per challenge type. It returns a context: entering makes the answers of its
choice, one per identifier, visible to the CA and gives them back; leaving takes them away."""


class Step(StrEnum):
    """What has just been done."""

    ORDERED = "ordered"
    RESUMED = "resumed"
    REPLACES_REFUSED = "replaces refused"
    AUTHORIZATIONS_READ = "authorizations read"
    ANSWERED = "challenges answered"
    VALIDATED = "validated"
    FINALIZED = "finalized"
    DOWNLOADED = "downloaded"


@dataclass(frozen=True, slots=True)
class Obtained:
    """The certificate, and the order that gave it."""

    order: Order
    chain: Chain


@dataclass(frozen=True, slots=True)
class _Run:
    client: AcmeClient
    deadline: Deadline
    on_step: Callable[[Step, str], None]


def _ignore(*_: object) -> None:
    pass


def obtain(
    client: AcmeClient,
    identifiers: Sequence[Identifier],
    csr: bytes,
    solve: Solve,
    *,
    order_url: str | None = None,
    not_after: datetime | None = None,
    profile: str | None = None,
    replaces: str | None = None,
    preferred_chain: str | None = None,
    seconds: float = 600.0,
    on_order: Callable[[str], None] = _ignore,
    on_step: Callable[[Step, str], None] = _ignore,
) -> Obtained:
    """Obtain a certificate, or go on with an order wherever an earlier call left it.

    To survive a crash, store the CSR with its key before, and the order's URL in ``on_order``; then call
    again with both. An order that was finalized with another CSR cannot be resumed: drop its URL.

    Args:
        client: Its account orders.
        identifiers: What the certificate covers; the same as in ``csr``.
        csr: PKCS#10 in DER.
        solve: Answers the challenges.
        order_url: The order to go on with; None makes a new one.
        not_after: For a new order, as in `order.create`.
        profile: As above.
        replaces: As above. Left out if the CA does not speak ARI; if the CA refuses it, ordered again without.
        preferred_chain: As in `certificate.download`.
        seconds: The time for all of it.
        on_order: Called with the new order's URL before anything else is done with it.
        on_step: Called after each step with a detail for people.

    Raises:
        OrderInvalid: the CA's words, for each identifier that failed.
        ServerProblem: the CA refused a request; if it no longer knows ``order_url``, with status 404.
        DeadlineExceeded: the order can be resumed later.
        CertificateMismatch: the order was finalized with another CSR.
        AcmeError: see `certwright.acme.errors`; also whatever ``solve`` raises.
    """
    run = _Run(client, client.deadline(seconds), on_step)
    if order_url is None:
        current = _create(run, identifiers, not_after, profile, replaces)
        on_order(current.url)
        on_step(Step.ORDERED, current.url)
    else:
        current = order.fetch(client, order_url, run.deadline)
        on_step(Step.RESUMED, f"{current.url} is {current.status}")
    if current.status == "pending":
        current = _authorize(run, current, solve)
    if current.status == "ready":
        current = _finalize(run, current, csr)
    current = _poll(run, current, "processing")
    if current.status == "invalid":
        raise _invalid(run, current)
    if current.certificate is None:
        raise UnexpectedAnswer(f"{current.url} is {current.status} but has no certificate")
    chain = certificate.download(client, current.certificate, preferred_chain, run.deadline)
    if chain.leaf.public_key() != x509.load_der_x509_csr(csr).public_key():
        raise CertificateMismatch(f"the certificate of {current.url} is not for the key of this request")
    issuer, end = chain.leaf.issuer.rfc4514_string(), chain.leaf.not_valid_after_utc
    on_step(Step.DOWNLOADED, f"issued by {issuer}, valid until {end:%Y-%m-%d %H:%M} UTC")
    return Obtained(current, chain)


def _create(
    run: _Run,
    identifiers: Sequence[Identifier],
    not_after: datetime | None,
    profile: str | None,
    replaces: str | None,
) -> Order:
    create = partial(order.create, run.client, identifiers, not_after=not_after, profile=profile, deadline=run.deadline)
    if replaces is None or run.client.directory(run.deadline).renewal_info is None:
        return create()
    try:
        return create(replaces=replaces)
    except ServerProblem as refused:
        if refused.problem.type not in _REPLACES_REFUSED:
            raise
        run.on_step(Step.REPLACES_REFUSED, str(refused))
        return create()


def _authorize(run: _Run, current: Order, solve: Solve) -> Order:
    fetch = partial(authorization.fetch, run.client, deadline=run.deadline)
    found = parallel.each(fetch, current.authorizations)
    pending = [each for each in found if each.status == "pending"]
    run.on_step(Step.AUTHORIZATIONS_READ, f"{len(pending)} of {len(found)} still to be proved")
    if not pending:
        return _poll(run, current, "pending")
    account = run.client.account_key.thumbprint, run.client.require_account()
    with solve([answer for each in pending for answer in each.answers(*account)]) as chosen:
        parallel.each(partial(_respond, run), _chosen_for(pending, chosen))
        told = ", ".join(f"{answer.identifier} by {answer.type}" for answer in chosen)
        run.on_step(Step.ANSWERED, told)
        current = _poll(run, current, "pending")
        if current.status == "invalid":
            raise _invalid(run, current)  # while the answers still stand, so that the caller can look at them
    run.on_step(Step.VALIDATED, told)
    return current


def _chosen_for(pending: Sequence[Authorization], chosen: Sequence[Answer]) -> list[tuple[Authorization, Answer]]:
    by_url = {answer.challenge.url: answer for answer in chosen}
    pairs = []
    for each in pending:
        answers = [by_url[offered.url] for offered in each.challenges if offered.url in by_url]
        if not answers:
            raise ChallengeNotAnswered(each.identifier, [offered.type for offered in each.challenges])
        pairs.append((each, answers[0]))
    return pairs


def _respond(run: _Run, pair: tuple[Authorization, Answer]) -> None:
    pending, answer = pair
    if answer.challenge.status != "pending":
        return  # resumed: the CA was told before
    try:
        challenge.respond(run.client, answer.challenge, run.deadline)
    except ServerProblem:
        # Perhaps only the answer to a first attempt was lost, and the CA is past this by now.
        seen = authorization.fetch(run.client, pending.url, run.deadline)
        waiting = {each.url for each in seen.challenges if each.status == "pending"}
        if seen.status == "pending" and answer.challenge.url in waiting:
            raise


def _finalize(run: _Run, current: Order, csr: bytes) -> Order:
    try:
        finalized = order.finalize(run.client, current, csr, run.deadline)
    except ServerProblem:
        # As above: then the order has left "ready".
        finalized = order.fetch(run.client, current.url, run.deadline)
        if finalized.status not in {"processing", "valid"}:
            raise
    run.on_step(Step.FINALIZED, f"{finalized.url} is {finalized.status}")
    return finalized


def _poll(run: _Run, current: Order, status: str) -> Order:
    """Look at the order until it is no longer in ``status``: it alone sums up all its authorizations."""
    pauses = backoff(_SOONEST, 2, _LATEST)
    while current.status == status:
        asked = current.retry_after
        pause = asked or next(pauses)
        if not run.deadline.allows(pause):
            wished = "" if asked is None else f" and asks to be asked again in {asked:.0f} s"
            raise DeadlineExceeded(f"the CA still has {current.url} {status!r}{wished}; it can be resumed")
        run.client.clock.sleep(pause)
        current = order.fetch(run.client, current.url, run.deadline)
    return current


def _invalid(run: _Run, current: Order) -> OrderInvalid:
    try:
        fetch = partial(authorization.fetch, run.client, deadline=run.deadline)
        found = parallel.each(fetch, current.authorizations)
    except AcmeError:
        found = []  # the order's own error, if any, has to do
    failures = [failure for failure in (each.failure() for each in found) if failure]
    return OrderInvalid(current.url, current.error, failures)
