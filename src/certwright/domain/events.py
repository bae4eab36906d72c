"""What happened to a managed certificate; notifications follow from these."""

from enum import StrEnum

from pydantic import AwareDatetime

from certwright.domain.managed import Value


class EventKind(StrEnum):
    """Kinds of event.

    `issuance-waits`: a request goes on when a person has done something. `renewal-moved`: the authority changed its
    mind about when to renew (RFC 9773). `expiring`: the current version ends soon, and nothing has replaced it.
    `in-use-ending`: an earlier version ends soon that a task still has in use. `given-up`: a task failed as often as it
    may, and is not tried again. `tasks-done`: a task ran that had failed or had an earlier version in use, and no other
    stands failed. `drift`: what is served is no longer what was
    deployed. `proof-...`: about a record in DNS that proves names and stays there. `watched-...`: about something that
    is watched and not renewed. `duty-...`: about a duty of the service.
    """

    CERTIFICATE_ISSUED = "certificate-issued"
    ISSUANCE_FAILED = "issuance-failed"
    ISSUANCE_WAITS = "issuance-waits"
    CERTIFICATE_REVOKED = "certificate-revoked"
    DEPLOYED = "deployed"
    DEPLOYMENT_FAILED = "deployment-failed"
    ROLLED_BACK = "rolled-back"
    NEEDS_PERSON = "needs-person"
    GIVEN_UP = "given-up"
    TASKS_DONE = "tasks-done"
    RENEWAL_MOVED = "renewal-moved"
    WATCHED_ENDING = "watched-ending"
    WATCHED_CHANGED = "watched-changed"
    WATCHED_UNSEEN = "watched-unseen"
    WATCHED_REPLACED = "watched-replaced"
    EXPIRING = "expiring"
    IN_USE_ENDING = "in-use-ending"
    DRIFT = "drift"
    DRIFT_OVER = "drift-over"
    PROOF_ENDING = "proof-ending"
    PROOF_RENEWED = "proof-renewed"
    DUTY_FAILED = "duty-failed"
    DUTY_WORKED = "duty-worked"


class Event(Value):
    """Something that happened at `at` to a managed certificate, to what is watched, or to a duty, in one sentence.

    `hint` is the next step, if one is known.
    """

    kind: EventKind
    managed_id: str
    at: AwareDatetime
    message: str
    hint: str = ""
    run_id: str | None = None
    version_id: str | None = None
