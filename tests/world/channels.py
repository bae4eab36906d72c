"""Notification channels as the engine makes them, and a message to send."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.domain.messages import Message, Section, problem_message
from certwright.domain.rules import Matter
from certwright.engine import catalog
from certwright.sdk.notifier import Notifier, NotifierContext
from certwright.sdk.params import read_params

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def channel(kind: str, context: NotifierContext | None = None, **params: Any) -> Notifier[Any]:
    """The channel of this kind, as if `params` were stored under the name `alerts`."""
    plugin = catalog.plugin("notifications", kind)
    read = read_params(plugin.params, params, "the channel")
    made: Notifier[Any] = plugin.cls(read, context or NotifierContext("alerts"))
    return made


def refusal(kind: str, **params: Any) -> str:
    """What a person is told whose `params` do not fit."""
    with pytest.raises(ConfigurationError) as caught:
        channel(kind, **params)
    return "\n".join(caught.value.explain())


def problem(title: str = "mail.contoso.test", *, matter: Matter = Matter.ISSUANCE, **changes: Any) -> Message:
    """A message about one certificate."""
    values: Mapping[str, Any] = {
        "matter": matter,
        "message": "The authority does not answer.",
        "certificates": 1,
        "occurrences": 3,
        "names": (title,),
        "managed_id": "0123456789ab",
        "since": NOW - timedelta(days=1),
        "until": NOW + timedelta(days=10),
    }
    return problem_message([Section.model_validate({**values, **changes})], NOW)
