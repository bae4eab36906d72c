"""How requests to Amazon Web Services are signed: Signature Version 4 in the Authorization header.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class AwsSigner:
    """Signs for one service in one region; `certwright.rest.api.Sign`.

    `token` is that of a temporary key, empty for a lasting one. The path is expected as Route 53 and STS have it, with
    nothing in it that has to be percent-encoded.
    """

    key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    region: str
    service: str
    now: Callable[[], datetime]

    def __call__(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """The headers that authenticate this request, to be sent as they are."""
        moment = self.now().astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        parts = urlsplit(url)
        signed = {"host": parts.netloc, "x-amz-date": moment}
        if self.token:
            signed["x-amz-security-token"] = self.token
        names = ";".join(signed)
        query = sorted(
            (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED))
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        )
        request = "\n".join(
            (
                method,
                parts.path or "/",
                "&".join(f"{name}={value}" for name, value in query),
                *(f"{name}:{value}" for name, value in signed.items()),
                "",
                names,
                hashlib.sha256(body).hexdigest(),
            )
        )
        scope = f"{moment[:8]}/{self.region}/{self.service}/aws4_request"
        to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
        signature = hmac.new(self._key(scope), to_sign.encode(), hashlib.sha256).hexdigest()
        credential = f"{_ALGORITHM} Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**{name: value for name, value in signed.items() if name != "host"}, "Authorization": credential}

    def _key(self, scope: str) -> bytes:
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key
