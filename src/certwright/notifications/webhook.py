"""A web hook: each message as JSON, by POST to an address of yours, signed.

Without `fields`, the body has `id`, `at`, `subject`, `text`, `urgent` and `sections`: for each cause its `matter`,
`is_over`, `urgent`, `message`, `hint`, how many `certificates`, the first few `names`, `since` and `until`. With
`fields`, the body is an object of these names; each value may hold {subject}, {text}, {html}, {id}, {at} and {urgent}.
A chat that wants {"text": ...} gets it by `--field 'text={subject}'`.

`X-Certwright-Timestamp` has the second of sending, `X-Certwright-Signature` is `v1=` and the HMAC-SHA256, in hex, of
the timestamp, a full stop and the body, with your `secret` as the key. Compute it again, compare it in constant time,
and refuse what is older than some minutes. `Idempotency-Key` is the message's id: what is in doubt is sent again with
it.

The address must be https, or http on this machine's own loopback address; redirects are not followed. The address is
kept secret, since many services let in whoever knows it.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from certwright.domain.errors import NotificationError
from certwright.domain.messages import Message
from certwright.rest import Answer, Api, SecretAddress
from certwright.sdk.notifier import Notifier
from certwright.sdk.params import ExistingFile, Token
from certwright.sdk.proxy import ProxiedParams

_PLACE = re.compile(r"\{(\w*)\}")
_PLACES = ("subject", "text", "html", "id", "at", "urgent")
_SHOWN = 200


def _template(text: str) -> str:
    if unknown := [name for name in _PLACE.findall(text) if name not in _PLACES]:
        raise ValueError(f"there is no {{{unknown[0]}}}: choose from {', '.join(_PLACES)}")
    return text


class Params(ProxiedParams):
    """Where to, and how."""

    url: Token = Field(description="The address.")
    secret: Token | None = Field(default=None, description="The key that messages are signed with.")
    fields: dict[str, Annotated[str, AfterValidator(_template)]] = Field(
        default_factory=dict, description="name=value for each field of the body, in place of all."
    )
    ca_file: ExistingFile | None = Field(default=None, description="PEM certificates to trust instead of the system's.")


class Webhook(Notifier[Params]):
    """What is busy, or breaks off, is asked again a few times at once; then later."""

    Params = Params

    def send(self, message: Message) -> str:
        """POST it."""
        address = SecretAddress.of(self.params.url)
        with Api(
            address.origin,
            headers={"Idempotency-Key": message.id},
            sign=self._signature,
            ca_file=self.params.ca_file,
            named=address.named,
            proxy=self.context.proxy,
        ) as api:
            answer = api.request("POST", address.path, data=self._body(message))
        if not answer.is_success:
            raise _refused(answer)
        return f"{answer.asked} answered {answer.status}."

    def _body(self, message: Message) -> Mapping[str, Any]:
        if not self.params.fields:
            return message.model_dump(mode="json", exclude={"html"})
        known = message.model_dump(mode="json", include=set(_PLACES))
        values = {**known, "urgent": "urgent" if message.urgent else ""}
        return {
            name: _PLACE.sub(lambda found: str(values[found[1]]), text) for name, text in self.params.fields.items()
        }

    def _signature(self, _method: str, _url: str, body: bytes) -> Mapping[str, str]:
        if self.params.secret is None:
            return {}
        stamp = str(int(time.time()))
        key = self.params.secret.get_secret_value().encode()
        digest = hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {"X-Certwright-Timestamp": stamp, "X-Certwright-Signature": f"v1={digest}"}


def _refused(answer: Answer) -> NotificationError:
    words = answer.body[:_SHOWN].decode("utf-8", "replace").strip()
    return NotificationError(
        f"{answer.asked} answered {answer.status}.",
        causes=[ascii(words)[1:-1]] if words else [],
        hint="Look at what receives there; if its address or key changed, add the channel again under the same name.",
        retryable=answer.is_busy,
    )
