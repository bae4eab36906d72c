"""The proofs: answers to made-up challenges, presented and seen as real ones would be."""

import secrets
from collections.abc import Iterator, Sequence

from certwright.domain.errors import CertwrightError, Forbidden
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import ManagedCertificate
from certwright.domain.readiness import Check, Readiness, failed
from certwright.domain.validation import Validation, choose
from certwright.engine import persist
from certwright.engine.commands import require_to_run
from certwright.engine.context import ActiveRun, Engine
from certwright.engine.solving import answered, solver
from certwright.engine.test.names import inside_alone
from certwright.engine.validations import ruled
from certwright.probe.dns.persist import judge_records
from certwright.probe.dns.resolver import Resolver
from certwright.sdk.solver import Challenge


def checks(engine: Engine, managed: ManagedCertificate, run: ActiveRun) -> Iterator[Check]:
    """Each validation with the names that its rules choose: first what signs in, then the whole way."""
    for validation in managed.validations:
        names = [i for i in managed.identifiers if choose(managed.validations, i) is validation]
        if names:
            yield from _validation(engine, managed, run, validation, names)


def _validation(
    engine: Engine, managed: ManagedCertificate, run: ActiveRun, validation: Validation, names: Sequence[Identifier]
) -> Iterator[Check]:
    subject = validation.title
    try:
        ready = solver(engine, validation, run, again=f"certwright certificate test {managed.id}")
        with run.journal.step(f"Sign in for {subject}"):
            seen = ready.preflight()
    except CertwrightError as error:
        yield failed("sign-in", subject, error)
        return
    if seen:
        yield Check(check="sign-in", subject=subject, verdict=Readiness.OK, evidence=seen)
    if ready.by_hand:
        yield Check(
            check="proof",
            subject=subject,
            verdict=Readiness.NOT_LOOKED_AT,
            evidence="A person makes these records anew for each request, so there is nothing to try out.",
        )
        return
    try:
        require_to_run(engine, ready)
    except Forbidden as error:
        verdict = Readiness.NOT_LOOKED_AT
        yield Check(check="proof", subject=subject, verdict=verdict, evidence=error.message, fix=error.hint)
        return
    shown = ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - enough to recognise them
    try:
        challenges = _made_up(engine, managed, validation, names)
        with answered([(ready, challenges)], run.journal):
            pass
    except CertwrightError as error:
        yield failed("proof", subject, error)
        return
    seen = f"seen {_where(engine, managed, names)}" if ready.looks else "looked at by nobody, as was chosen"
    yield Check(
        check="proof",
        subject=subject,
        verdict=Readiness.OK if ready.looks else Readiness.NOT_LOOKED_AT,
        evidence=f"Made-up challenges for {shown} were answered, {seen}, and taken away.",
    )
    if validation.challenge == "dns-persist-01":
        yield from _endings(engine, challenges)


def _where(engine: Engine, managed: ManagedCertificate, names: Sequence[Identifier]) -> str:
    if any(ruled(managed, name) for name in names):
        return "where rules have them written"
    if inside_alone(engine, managed, names):
        return "in the DNS inside, which need not be what the authority sees"
    return "as the authority would see them"


def _endings(engine: Engine, challenges: Sequence[Challenge]) -> Iterator[Check]:
    """Records that stay, but not for long."""
    now = engine.now()
    judged = judge_records(challenges, Resolver(engine.resolvers), now)
    for challenge, each in zip(challenges, judged, strict=True):
        if note := each.note(now):
            yield Check(
                check="dns-persist-ends",
                subject=str(challenge.identifier),
                verdict=Readiness.WARNING,
                evidence=note,
                fix="See the record that is wanted: certwright certificate persist CERT.",
            )


def _made_up(
    engine: Engine, managed: ManagedCertificate, validation: Validation, names: Sequence[Identifier]
) -> list[Challenge]:
    if validation.challenge == "dns-persist-01":
        with engine.store.read() as unit:
            return persist.challenges(names, unit.issuers.get(managed.issuer))
    tokens = [secrets.token_urlsafe(32) for _ in names]
    return [
        Challenge(name, validation.challenge, token, f"{token}.{secrets.token_urlsafe(32)}")
        for name, token in zip(names, tokens, strict=True)
    ]
