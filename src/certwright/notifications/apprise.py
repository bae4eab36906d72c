"""Every service that the library apprise knows: Teams, Slack, Telegram, Signal, ntfy, Matrix, SMS, and a hundred more.

It comes with the extra `apprise` (`pip install 'certwright[apprise]'`). The address of a service holds its keys, so it
is kept secret; how it is written for each service is at https://appriseit.com/services/. Give each service a channel of
its own: so one that fails is tried again alone. Each message is sent by a process of its own, which is ended when it
takes too long.
"""

import logging
import re
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr

from certwright.domain.errors import ConfigurationError, NotificationError
from certwright.domain.messages import Message
from certwright.sdk.apart import NoReport, answer, done_apart
from certwright.sdk.notifier import Notifier
from certwright.sdk.proxy import LibraryProxy, ProxiedParams

_SHOWN = 300
_SHORTEST_SECRET = 5


class Params(ProxiedParams):
    """The service."""

    url: SecretStr = Field(description="Its address as apprise writes it, such as ntfys://topic.")


class Job(BaseModel):
    """What the process is to send, and the way there."""

    url: str
    subject: str
    text: str
    urgent: bool
    proxy: LibraryProxy


class Report(BaseModel):
    """What came of it; `words` may hold secrets, as the library wrote them."""

    done: bool = False
    words: str = ""


class Apprise(Notifier[Params]):
    """One address of one service."""

    Params = Params
    seconds: ClassVar[float] = 120

    def check(self) -> str:
        """See that apprise knows such an address."""
        return f"apprise knows this as an address of {self._service()}."

    def send(self, message: Message) -> str:
        """Have apprise send it as plain text; services that speak HTML get that of their own making."""
        service = self._service()
        report = self._sent(message)
        if not report.done:
            words = self._without_secrets(report.words)
            raise NotificationError(
                f"{service} did not take the message.",
                causes=[words] if words else [],
                hint="Check the address with the service; a new one is stored by adding the channel again.",
                retryable=True,
            )
        return f"{service} took the message."

    def _sent(self, message: Message) -> Report:
        job = Job(
            url=self.params.url.get_secret_value(),
            subject=message.subject,
            text=message.text,
            urgent=message.urgent,
            proxy=LibraryProxy.of(self.context.proxy),
        )
        try:
            return done_apart(__name__, job, Report, self.seconds)
        except NoReport as ended:
            return Report(words=str(ended))

    def _service(self) -> str:
        """The name of the service.

        Raises:
            ConfigurationError: if apprise is missing, or does not know the address.
        """
        try:
            made = _made(self.params.url.get_secret_value())
        except ImportError:
            raise ConfigurationError(
                f"The channel {self.context.channel!r} needs the library apprise, which is not installed.",
                hint="Install it: pip install 'certwright[apprise]'",
            ) from None
        if len(made) != 1:
            raise ConfigurationError(
                "apprise does not know such an address.",
                hint="Write one address, alone, as https://appriseit.com/services/ says for your service.",
            )
        return str(made[0].service_name)

    def _without_secrets(self, text: str) -> str:
        """What apprise said, without any part of the address: nobody knows which of them is a key."""
        parts = re.split(r"[/:@?&=,\s]+", self.params.url.get_secret_value())
        for part in sorted((p for p in parts if len(p) >= _SHORTEST_SECRET), key=len, reverse=True):
            text = text.replace(part, "***")
        return " ".join(text.split())[:_SHOWN]


def _made(url: str) -> Any:
    """What sends to this address; it has no service if that is not known."""
    import apprise  # noqa: PLC0415 - an extra, and heavy

    made = apprise.Apprise()
    made.add(url)
    return made


def _notify(job: Job) -> Report:
    """Send it, in this process."""
    import apprise  # noqa: PLC0415 - as above

    kind = apprise.NotifyType.FAILURE if job.urgent else apprise.NotifyType.INFO
    with job.proxy.used(), apprise.LogCapture(level=logging.WARNING) as log:  # type: ignore[no-untyped-call] # apprise has no types here
        form = apprise.NotifyFormat.TEXT
        done = _made(job.url).notify(title=job.subject, body=job.text, notify_type=kind, body_format=form)
        return Report(done=bool(done), words=log.getvalue())


if __name__ == "__main__":
    answer(Job, _notify)
