"""Do Exchange's web services answer, and does signing in work? Looked at through HTTP, beside the certificate."""

from collections.abc import Sequence
from dataclasses import dataclass

from certwright.domain.deployment import Verdict
from certwright.probe import WEB_PATHS, Health, SignIn, Target, WebAnswer, attempt_sign_in, look_at_web

GOOD = "good"
_SIGN_IN = "sign-in"
_SILENT = "silent"
_KEY = (
    "If that began with a new certificate, its key may be in a key-storage provider (CNG), which Outlook on the web "
    "cannot use; on the server: certutil -store My THUMBPRINT"
)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a web port answered, as a table shows it.

    `shown` is "good", or what is not, such as "503 /ecp/, 404 /mapi/emsmdb/"; None if nothing answered.
    """

    shown: str | None
    protocol: str
    detail: str


def services(target: Target, timeout: float = 10) -> Answered:
    """What each of Exchange's web services at `target` answers to somebody who has not signed in."""
    return summary(look_at_web(target, WEB_PATHS, timeout))


def sign_in(target: Target, timeout: float = 20) -> Answered:
    """What becomes of an attempt to sign in as a user who does not exist."""
    return attempt(attempt_sign_in(target, timeout))


def summary(answers: Sequence[WebAnswer]) -> Answered:
    """`answers` in one row. Where no service answers at all, the web site is closed rather than faulty."""
    reached = [answer for answer in answers if answer.status is not None]
    if not reached:
        return Answered(None, "", next((a.failure.message for a in answers if a.failure), ""))
    wrong = [answer for answer in answers if answer.health is not Health.GOOD]
    statuses = sorted({answer.status for answer in reached if answer.status})
    front_ends = sorted({answer.front_end for answer in reached if answer.front_end})
    detail = ", ".join(f"{answer.path.strip('/')} {answer.status or 'no answer'}" for answer in answers)
    return Answered(
        ", ".join(f"{answer.status or _SILENT} {answer.path}" for answer in wrong) or GOOD,
        f"HTTP {'/'.join(map(str, statuses))}",
        f"{detail}; answered by {', '.join(front_ends)}" if front_ends else detail,
    )


def attempt(seen: SignIn) -> Answered:
    """An attempt to sign in as a row. Where it ended at the page for a wrong password before, it has to end there."""
    if seen.health is Health.GOOD:
        return Answered(GOOD, "HTTP", seen.evidence)
    return Answered(f"{seen.health} {_SIGN_IN}", "HTTP", f"{seen.evidence} {_KEY}")


def judge(now: Answered, before: str | None) -> tuple[Verdict, str]:
    """The verdict on what a web port answers now, and why; what was not good before can get worse, too."""
    if now.shown is None:
        return (Verdict.NOT_VERIFIED if before is None else Verdict.REGRESSION), now.detail
    if now.shown == GOOD:
        return Verdict.OK, now.detail
    if before is None:
        return Verdict.NOT_VERIFIED, f"{now.detail}; it is not known what it answered before"
    earlier = _faults(before)
    if worse := sorted(what for what, grade in _faults(now.shown).items() if grade > earlier.get(what, 0)):
        return Verdict.REGRESSION, f"{', '.join(worse)} answered better before: {now.detail}"
    return Verdict.NOT_VERIFIED, f"no worse than before: {now.detail}"


def _faults(shown: str) -> dict[str, int]:
    """What `shown` says is not good: 2 if it is broken, 1 if it only does not answer as it is known to."""
    if shown == GOOD:
        return {}
    told = (part.partition(" ") for part in shown.split(", "))
    return {what: 2 if word in (_SILENT, Health.FAULT) or word.startswith("5") else 1 for word, _, what in told}
