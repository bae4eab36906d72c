"""A heartbeat: an address that is called once a day as long as all is well, so that silence is noticed.

Whatever watches there (a service such as Healthchecks, or a monitor of yours) tells you when a day's call is missing:
because this machine is off, the schedule does not run, or nobody looked for a day at a certificate that is due. It is
the one thing that no message from here can say. It carries no messages.

The address must be https, or http on this machine's own loopback address. It is kept secret.
"""

from typing import Literal

from pydantic import Field

from certwright.domain.errors import NotificationError
from certwright.domain.messages import Message
from certwright.rest import Api, SecretAddress
from certwright.sdk.notifier import Notifier
from certwright.sdk.params import ExistingFile, Token
from certwright.sdk.proxy import ProxiedParams


class Params(ProxiedParams):
    """What to call."""

    url: Token = Field(description="The address.")
    method: Literal["GET", "POST"] = Field(default="GET", description="How it is called.")
    ca_file: ExistingFile | None = Field(default=None, description="PEM certificates to trust instead of the system's.")


class Heartbeat(Notifier[Params]):
    """Nothing is sent but the call itself."""

    Params = Params
    is_heartbeat = True

    def send(self, message: Message) -> str:  # noqa: ARG002 - the call is the message
        """Call it."""
        address = SecretAddress.of(self.params.url)
        files, way = self.params.ca_file, self.context.proxy
        with Api(address.origin, ca_file=files, named=address.named, proxy=way) as api:
            answer = api.request(self.params.method, address.path)
        if not answer.is_success:
            raise NotificationError(
                f"{answer.asked} answered {answer.status}.",
                hint="Look whether the check still exists there; add the channel again with its new address.",
                retryable=answer.is_busy,
            )
        return f"{answer.asked} answered {answer.status}."
