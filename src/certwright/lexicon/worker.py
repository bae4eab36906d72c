"""The process in which a provider of dns-lexicon works.

The library waits without end, prints, and changes modules for the length of a request; so each job has a process to
itself, which can be ended. ``python -m certwright.lexicon.worker`` reads a `Job` as JSON and answers with a `Report`.
"""

import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel

from certwright.lexicon.providers import provider_class
from certwright.sdk.apart import Late, NoReport, answer, done_apart
from certwright.sdk.pace import await_turn
from certwright.sdk.proxy import LibraryProxy

_BUSY = (429, 500, 502, 503, 504)
_IDENTITY = (401, 403)
_SHOWN = 300
_PAUSES = (1.0, 3.0, 0.0)
MOST_CALLS = 2 + len(_PAUSES)
"""How often a provider is called for one record, if nothing stands at its name that has to be put back."""


class Failure(StrEnum):
    """What kind of thing went wrong."""

    IDENTITY = "identity"
    UNREACHABLE = "unreachable"
    LATE = "late"
    OTHER = "other"


class Job(BaseModel):
    """What a provider is to do with TXT records, each a name and a value; `options` are its arguments.

    It is called `per_second` times in a second at most. `proxy` is the way to the service.
    """

    provider: str
    action: Literal["check", "add", "remove"]
    zone: str
    options: dict[str, Any]
    records: list[tuple[str, str]]
    per_second: float
    proxy: LibraryProxy = LibraryProxy()


class Report(BaseModel):
    """What came of it: `failure` is None if it is done; `words` may hold secrets, as the library wrote them."""

    failure: Failure | None = None
    words: str = ""
    notes: list[str] = []


def run(job: Job, seconds: float) -> Report:
    """Have it done by a process, which is ended after so many `seconds`."""
    try:
        return done_apart(__name__, job, Report, seconds)
    except Late as late:
        return Report(failure=Failure.LATE, words=str(late))
    except NoReport as ended:
        return Report(failure=Failure.OTHER, words=str(ended))


def work(job: Job) -> Report:
    """Do it, in this process."""
    report = Report()
    try:
        _work(job, report.notes.append)
    except Exception as error:  # noqa: BLE001 - a provider may raise anything
        report.failure, report.words = _kind(error), _words(error)
    return report


def _work(job: Job, note: Callable[[str], None]) -> None:
    from lexicon.config import ConfigResolver  # noqa: PLC0415 - an extra that only this process loads

    given: Mapping[str, Any] = {**job.options, "provider_name": job.provider, "domain": job.zone}
    # powerdns asks for an argument by a name with hyphens
    spelled = {**given, **{key.replace("_", "-"): value for key, value in given.items()}}
    config = ConfigResolver().with_args(Namespace(**spelled))  # type: ignore[no-untyped-call] # as in the library
    provider = provider_class(job.provider)(config)
    provider.authenticate()
    account = _Account(provider, job, note)
    try:
        for name, value in job.records:
            match job.action:
                case "check":
                    account.values(name)
                case "add":
                    account.add(name, value)
                case "remove":
                    account.remove(name, value)
    finally:
        provider.cleanup()


@dataclass(frozen=True)
class _Account:
    """A provider that has signed in for `zone`; what it says it has done is looked at."""

    provider: Any
    job: Job
    note: Callable[[str], None]

    def values(self, name: str) -> set[str]:
        """The TXT records at `name`; some providers leave them in quotes, and some list those of other names too."""
        listed = self._call("list_records", "TXT", name)
        return {str(record["content"]).strip('"') for record in listed if self._is_at(record, name)}

    def add(self, name: str, value: str) -> None:
        """Create it if it is not there."""
        before = self._seen(name)
        if before and value in before:
            return
        if not self._call("create_record", "TXT", name, value):
            raise RuntimeError(f"the record at {name} was not created")
        for pause in _PAUSES:
            after = self._seen(name)
            if after is None or before is None:
                return
            if before - after:
                raise RuntimeError(f"the new record at {name} has replaced another: too few are kept at a name")
            if value in after:
                return
            time.sleep(pause)
        raise RuntimeError(f"the record at {name} was created, but the service does not list it")

    def remove(self, name: str, value: str) -> None:
        """Delete it by its content if it is there."""
        before = self._seen(name)
        if before is not None and value not in before:
            return
        self._call("delete_record", None, "TXT", name, value)
        after = self._seen(name)
        if after is None or before is None:
            return
        for other in sorted(before - after - {value}):
            self.note(f"Another record at {name} was removed along, and is put back.")
            self._call("create_record", "TXT", name, other)
        if value in after:
            raise RuntimeError(f"the record at {name} is still listed after it was deleted")

    def _seen(self, name: str) -> set[str] | None:
        """`values`; None from a provider that cannot list, such as `ddns` of 3.25.2."""
        try:
            return self.values(name)
        except Exception as error:
            if _kind(error) is not Failure.OTHER:
                raise
            self.note(f"What stands at {name} cannot be listed, so it is not looked at: {_words(error)}")
            return None

    def _call(self, verb: str, *arguments: str | None) -> Any:
        await_turn(f"lexicon:{self.job.provider}", self.job.per_second)
        return getattr(self.provider, verb)(*arguments)

    def _is_at(self, record: Mapping[str, Any], name: str) -> bool:
        """Whether a listed record is at `name`, which may be written without the zone."""
        at = str(record.get("name", name)).rstrip(".").lower()
        return name in (at, f"{at}.{self.job.zone}") or (at in ("", "@") and name == self.job.zone)


def _kind(error: Exception) -> Failure:
    import dns.exception  # noqa: PLC0415 - as above
    import dns.tsig  # noqa: PLC0415 - as above
    import requests  # noqa: PLC0415 - as above
    from lexicon.exceptions import AuthenticationError  # noqa: PLC0415 - as above

    status = error.response.status_code if isinstance(error, requests.HTTPError) and error.response is not None else 0
    if isinstance(error, AuthenticationError | dns.tsig.PeerError) or status in _IDENTITY:
        return Failure.IDENTITY
    broken = (requests.ConnectionError, requests.Timeout, ConnectionError, TimeoutError, dns.exception.Timeout)
    return Failure.UNREACHABLE if isinstance(error, broken) or status in _BUSY else Failure.OTHER


def _words(error: Exception) -> str:
    answer = getattr(getattr(error, "response", None), "text", "")
    return f"{type(error).__name__}: {error} {answer[:_SHOWN]}".strip()


def _apart(job: Job) -> Report:
    """Do it, in a process that goes no other way than the job says."""
    with job.proxy.used():
        return work(job)


if __name__ == "__main__":
    answer(Job, _apart)
