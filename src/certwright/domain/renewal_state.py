"""What is known of a managed certificate's renewals beside its versions, as it is stored."""

from pydantic import AwareDatetime

from certwright.domain import explained
from certwright.domain.managed import Value
from certwright.domain.retry import Cause


class Advice(Value):
    """When the authority wishes the renewal of a version (RFC 9773), and the `moment` drawn within its window, once.

    `explanation_url` says why, where that is out of the ordinary.
    """

    start: AwareDatetime
    end: AwareDatetime
    moment: AwareDatetime
    explanation_url: str | None = None
    version_id: str


class Failure(Value):
    """The failures since the last success: how many, since when, the last one, and when it is tried again.

    `revision` is the managed certificate's when it failed: what was changed since may be the remedy, and is tried at
    once. `by_peer` says that the authority itself named the moment. `message` is the error as `explained` keeps it; of
    one that an earlier version kept there is the first line alone.
    """

    cause: Cause
    count: int
    since: AwareDatetime
    at: AwareDatetime
    retry_at: AwareDatetime
    message: str
    revision: int
    by_peer: bool = False

    @property
    def headline(self) -> str:
        """What happened last, in one sentence."""
        return explained.headline(self.message)

    @property
    def advice(self) -> str:
        """Why, and what to do, in a few lines; empty if that is not known, or is more."""
        return explained.advice(self.message)

    @property
    def outlook(self) -> str:
        """Whether a person has something to do, as the begin of a sentence that goes on with when it is tried again."""
        if self.cause.waits_for_change:
            return "Something has to be changed first. It is tried again by itself"
        return f"{'There is nothing to change: it' if self.cause.passes else 'It'} is tried again by itself"


class Hold(Value):
    """A person wants no renewal: why, since when, and until when; for ever without `until`."""

    reason: str
    since: AwareDatetime
    until: AwareDatetime | None = None


class Wish(Value):
    """A person wants a new version in place of `version_id` (None: of nothing): who, and since when.

    Any attempt takes it away, also one that fails; so no clock is asked whether it was fulfilled.
    """

    by: str
    at: AwareDatetime
    version_id: str | None = None


class RenewalState(Value):
    """What is known of a managed certificate's renewals beside its versions.

    `ask_again` is when the authority's advice is asked for next, and `clean_up_at` when what earlier versions have left
    on targets is to be removed, where that waits for a maintenance window.
    """

    advice: Advice | None = None
    ask_again: AwareDatetime | None = None
    failure: Failure | None = None
    hold: Hold | None = None
    wish: Wish | None = None
    clean_up_at: AwareDatetime | None = None
