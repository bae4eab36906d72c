"""Notifiers carry messages to people, or to what people look at."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic

from certwright.domain.messages import Message
from certwright.domain.proxy import Proxy
from certwright.sdk.params import P


@dataclass(frozen=True, slots=True)
class NotifierContext:
    """What a notifier works with.

    `channel` is the name under which its parameters are stored, `recipients` are the addresses of the issuers'
    accounts, for who names none. `resolvers` are asked for names; none means those of the system. `proxy` is the way to
    web services.
    """

    channel: str
    recipients: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    proxy: Proxy | None = None


class Notifier(ABC, Generic[P]):
    """One channel. `params` are what is stored for it.

    `is_heartbeat` tells that it carries no messages, but is called once a day as long as all is well, so that whoever
    listens there notices silence.
    """

    Params: ClassVar[type]
    is_heartbeat: ClassVar[bool] = False

    def __init__(self, params: P, context: NotifierContext) -> None:
        self.params = params
        self.context = context

    def check(self) -> str:
        """Look whether it can work, and send nothing; what was seen in one sentence, empty if nothing can be seen.

        Raises:
            ConfigurationError: if a parameter does not fit, or it cannot be used on this machine.
            NotificationError: if the peer refuses us.
            Unreachable: if it does not answer.
        """
        return ""

    @abstractmethod
    def send(self, message: Message) -> str:
        """Send it; what the peer answered, in one sentence.

        The same message, by its id, may be sent twice: when nobody knows whether it arrived.

        Raises:
            ConfigurationError, NotificationError, Unreachable: as `check`; `retryable` tells whether to try again.
        """
