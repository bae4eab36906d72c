"""What happened to a managed certificate; notifications will follow from these."""

from enum import StrEnum

from pydantic import AwareDatetime

from certwright.domain.managed import Value


class EventKind(StrEnum):
    """Kinds of event."""

    CERTIFICATE_ISSUED = "certificate-issued"
    ISSUANCE_FAILED = "issuance-failed"
    CERTIFICATE_REVOKED = "certificate-revoked"
    DEPLOYED = "deployed"
    DEPLOYMENT_FAILED = "deployment-failed"
    ROLLED_BACK = "rolled-back"
    NEEDS_PERSON = "needs-person"


class Event(Value):
    """Something that happened at `at` to a managed certificate, in one sentence."""

    kind: EventKind
    managed_id: str
    at: AwareDatetime
    message: str
    run_id: str | None = None
    version_id: str | None = None
