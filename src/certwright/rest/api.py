"""One vendor's HTTP API."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import urlencode, urlsplit

from pydantic import TypeAdapter, ValidationError

from certwright import __version__
from certwright.domain.errors import CertwrightError, SolverError, Unreachable
from certwright.domain.proxy import Proxy
from certwright.sdk.pace import await_turn

_LONGEST_PAUSE = 60.0
_BUSY = (429, 500, 502, 503, 504)
_AUTHENTICATION = (401, 403)
_SHOWN = 300

T = TypeVar("T")
Sign = Callable[[str, str, bytes], Mapping[str, str]]
"""Given method, URL and body, the headers that authenticate the request; called anew for each attempt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `asked` names the request without anything secret: method, host and path.

    `is_busy` tells that the same may be answered otherwise a little later.
    """

    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    is_busy: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the status is one of the 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110 section 15.3

    def json(self) -> Any:
        """The body as JSON; None if there is none.

        Raises:
            Unreachable: if the body is something else.
        """
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Unreachable(
                f"{self.asked} answered {self.status} with something that is no JSON.",
                causes=[ascii(self.body[:_SHOWN].decode("latin-1"))],
                hint="Something between may have answered in its place: a proxy or a sign-in page.",
            ) from error

    def read(self, shape: type[T]) -> T:
        """The body as `shape`: a pydantic model, or a type made of such.

        Raises:
            Unreachable: if the body is something else.
        """
        try:
            return TypeAdapter(shape).validate_python(self.json())
        except ValidationError as error:
            parts = error.errors(include_url=False, include_input=False, include_context=False)
        wrong = parts[0]
        raise Unreachable(
            f"{self.asked} answered {self.status} with something that is not as documented.",
            causes=[f"{'.'.join(str(part) for part in wrong['loc']) or 'all of it'}: {wrong['msg']}"],
            hint="A proxy may have answered in its place, or the service has changed: look for a newer release.",
        )

    def words(self, *path: str | int) -> str:
        """The text that stands at `path` in a JSON body, for an error; empty if there is none."""
        try:
            found = json.loads(self.body)
            for part in path:
                found = found[part]
        except (ValueError, RecursionError, LookupError, TypeError):
            return ""
        return found if isinstance(found, str) else ""


class Api:
    """Asks one vendor; safe to use from several threads.

    Args:
        base: the address that paths are appended to.
        headers: sent with each request.
        sign: makes further headers for each request.
        is_busy: whether a refusal, by this vendor's words, asks to try again later, beside the usual statuses.
        per_second: at most so many requests a second, together with every other `Api` of this process for that host.
        refusal: makes the error for an answer that says no; for `ask`.
        ca_file: PEM certificates to trust instead of the system's.
        named: what errors call it, where the path of its address is a secret.
        proxy: the way there, if it takes the host.
    """

    pauses: ClassVar[tuple[float, ...]] = (1.0, 3.0, 10.0)
    """Seconds between the attempts, where the service does not say how long to wait."""

    timeout: ClassVar[float] = 30.0
    """Seconds until an answer has to be complete."""

    patience: ClassVar[float] = 45.0
    """Seconds after which no other attempt is made at a service that does not answer."""

    def __init__(
        self,
        base: str,
        *,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        is_busy: Callable[[Answer], bool] = lambda _answer: False,
        per_second: float = 4,
        refusal: Callable[[Answer], CertwrightError] | None = None,
        ca_file: Path | None = None,
        named: str = "",
        proxy: Proxy | None = None,
    ) -> None:
        from certwright.acme.https_transport import HttpsTransport  # noqa: PLC0415 - only who connects pays for it

        self._base = base.rstrip("/")
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._sign = sign
        self._refusal = refusal or _unexpected
        self._is_busy = is_busy
        self._named = named
        self._host = urlsplit(base).netloc
        self._per_second = per_second
        self._transport = HttpsTransport(f"certwright/{__version__}", ca_file, proxy)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def ask(self, method: str, path: str, *, fine: Collection[int] = (), **how: Any) -> Answer:
        """Ask; an answer that says no is an error, unless its status is among `fine`.

        Args:
            method: as for `request`.
            path: as for `request`.
            fine: statuses that the caller looks at.
            how: what else `request` takes.

        Raises:
            CertwrightError: as `refusal` makes it.
            Unreachable: if no complete answer came.
        """
        answer = self.request(method, path, **how)
        if answer.is_success or answer.status in fine:
            return answer
        raise self._refusal(answer)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        data: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask, whatever the status of the answer; what is busy or breaks off is asked again a few times.

        A request may so arrive twice: what it does must be the same done twice, or be looked at by the caller.

        Args:
            method: of HTTP.
            path: appended to the base, with its slash; already percent-encoded.
            query: name and value of each parameter.
            data: sent as JSON.
            form: sent as a web form, instead of `data`.
            body: sent as it is, instead of `data`.
            headers: further ones for this request.

        Raises:
            Unreachable: if no complete answer came.
        """
        url = self._base + path + (f"?{urlencode(query)}" if query else "")
        asked = f"{method} {self._named or _shown(url)}"
        sent = dict(headers or {})
        if data is not None:
            body = json.dumps(data).encode()
            sent["Content-Type"] = "application/json"
        elif form is not None:
            body = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        end = time.monotonic() + self.patience
        for pause in self.pauses:
            try:
                answer = self._once(method, url, asked, body, sent)
            except Unreachable as failure:
                if not failure.retryable or time.monotonic() >= end:
                    raise
                time.sleep(pause)
                continue
            if not answer.is_busy:
                return answer
            time.sleep(_wait(answer, pause))
        return self._once(method, url, asked, body, sent)

    def _once(self, method: str, url: str, asked: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        from certwright.acme.errors import NotTrusted, TransportError, URLRefused  # noqa: PLC0415 - as in the constructor
        from certwright.rest.proxied import in_the_way  # noqa: PLC0415 - as above

        await_turn(self._host, self._per_second)
        signed = self._sign(method, url, body or b"") if self._sign else {}
        sent = {**self._headers, **headers, **signed}
        try:
            got = self._transport.request(method, url, headers=sent, body=body, timeout=self.timeout)
        except TransportError as error:
            raise in_the_way(f"{asked} got no answer", error) or Unreachable(
                f"{asked} got no answer: {error.reason}.",
                hint="Check that this machine may connect there, and whether the service has an outage.",
                retryable=not isinstance(error, URLRefused | NotTrusted),
            ) from None  # the cause would hold the whole URL
        answer = Answer(asked, got.status, got.headers, got.body)
        is_busy = not answer.is_success and (got.status in _BUSY or self._is_busy(answer))
        return replace(answer, is_busy=is_busy)


class Denied(SolverError):
    """A service does not take the credential, or it lacks a right there."""


def refused(
    service: str, answer: Answer, told: str = "", *, credential: str, hint: str = "", is_identity: bool | None = None
) -> SolverError:
    """The error for an answer that says no: `Denied` if it is about who asks.

    Args:
        service: the vendor, as people call it.
        answer: what came back.
        told: the vendor's own words in it, if they could be read.
        credential: the name of the stored credential.
        hint: what to do, if more is known than the status says.
        is_identity: whether it is about who asks; None if the status tells.
    """
    words = (told or answer.body[:_SHOWN].decode("utf-8", "replace")).strip()[:_SHOWN]
    if is_identity is None:
        is_identity = answer.status in _AUTHENTICATION and not answer.is_busy
    error = Denied if is_identity else SolverError
    if is_identity:
        what = "does not accept the credential, or it lacks a right"
        mend = f"Check the rights of the key at {service}, or store a new one under the name {credential!r}."
    elif answer.is_busy:
        what = "is out of order, or is asked too often"
        mend = f"Try again in a few minutes; {service}'s status page tells of outages."
    else:
        what, mend = "refused", f"Look at what {service} says above; nothing else was changed."
    pause = answer.headers.get("retry-after", "")
    return error(
        f"{service} {what}: {answer.asked} answered {answer.status}.",
        causes=[ascii(words)[1:-1]] if words else [],
        hint=hint or mend,
        retryable=answer.is_busy,
        retry_after=timedelta(seconds=int(pause)) if answer.is_busy and _is_number(pause) else None,
    )


def _unexpected(answer: Answer) -> CertwrightError:
    return Unreachable(f"{answer.asked} answered {answer.status}.")


def _wait(answer: Answer, pause: float) -> float:
    """Seconds until the next attempt: what the vendor asks for, within reason."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_PAUSE) if _is_number(asked) else pause


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7  # noqa: PLR2004 - a week and a half in seconds


def _shown(url: str) -> str:
    """Host and path: what else an address holds may be secret."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"
