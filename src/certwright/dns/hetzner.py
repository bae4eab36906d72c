"""Zones in the Hetzner Console (console.hetzner.com), by its Cloud API.

The former DNS Console (dns.hetzner.com) was shut down in 2026, and its tokens do not work here. Where a zone went is
told on https://docs.hetzner.com/networking/dns/migration-to-hetzner-console/process

Make a token in the project that has the zone: Security > API tokens > Generate API token, *Read & Write*. A token
reaches everything in its project, servers too, and nothing beyond it: keep the zone in a project of its own, and the
token can change nothing else.

Source: https://docs.hetzner.cloud/reference/cloud#tag/zone-rrset-actions
"""

import time
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from certwright.domain.errors import SolverError
from certwright.rest import Answer, Api, refused, unknown_zone, zones_seen
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import Token

_SERVICE = "Hetzner"
_LOWEST_TTL = 60
_MOST_PAGES = 1000
_ATTEMPTS = 5
_LOOKS = 60
_NOT_FOUND, _CONFLICT, _UNPROCESSABLE, _LOCKED = 404, 409, 422, 423
_PASSING = (_CONFLICT, _LOCKED)


class Params(PluginParams):
    """The project."""

    api_token: Token = Field(description="API token of the project that has the zone, with Read & Write.")


class _Zone(BaseModel):
    name: str


class _Pagination(BaseModel):
    next_page: int | None = None


class _Meta(BaseModel):
    pagination: _Pagination


class _Zones(BaseModel):
    zones: list[_Zone]
    meta: _Meta


class _Record(BaseModel):
    value: str


class _Rrset(BaseModel):
    ttl: int | None = None
    records: list[_Record]


class _RrsetFound(BaseModel):
    rrset: _Rrset


class _Problem(BaseModel):
    message: str = ""


class _Action(BaseModel):
    id: int
    status: Literal["running", "success", "error"]
    error: _Problem | None = None


class _ActionStarted(BaseModel):
    action: _Action


class Hetzner(DnsProvider[Params]):
    """Values are added to and removed from what stands at a name, so that two who change it lose nothing."""

    Params = Params
    api: ClassVar[str] = "https://api.hetzner.cloud/v1"
    per_second: ClassVar[float] = 5  # 3600 an hour, which may be spent at once (docs.hetzner.cloud, Rate Limiting)
    pause: ClassVar[float] = 1
    wait = 180

    def check(self) -> str:
        """Read which zones the project has."""
        with self._api() as api:
            return zones_seen(_SERVICE, self._zones(api), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add the values that are not there, by name."""
        with self._api() as api:
            for name, values in _by_name(zone, records):
                self._change(api, zone, name, values, "add_records")

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Remove the values that are there, by name."""
        with self._api() as api:
            for name, values in _by_name(zone, records):
                self._change(api, zone, name, values, "remove_records")

    def _api(self) -> Api:
        headers = {"Authorization": f"Bearer {self.params.api_token.get_secret_value()}"}
        return Api(
            self.api, headers=headers, per_second=self.per_second, refusal=self._refused, proxy=self.context.proxy
        )

    def _change(
        self, api: Api, zone: str, name: str, values: Collection[str], what: Literal["add_records", "remove_records"]
    ) -> None:
        """Look, change, and look again if another change came between or the answer to ours was lost."""
        path = f"/zones/{quote(zone)}/rrsets/{quote(name, safe='')}/TXT"
        answer: Answer | None = None
        for _ in range(_ATTEMPTS):
            there = self._there(api, zone, path)
            present = {record.value for record in there.records}
            wanted = [value for value in values if (value in present) == (what == "remove_records")]
            if not wanted:
                return
            if answer is not None and answer.status not in _PASSING:
                break
            data: dict[str, Any] = {"records": [{"value": value} for value in wanted]}
            if what == "add_records" and (ttl := there.ttl if present else _LOWEST_TTL):
                data["ttl"] = ttl  # that of the others there is a must, says the documentation
            fine = (*_PASSING, _NOT_FOUND, _UNPROCESSABLE)
            answer = api.ask("POST", f"{path}/actions/{what}", data=data, fine=fine)
            if answer.is_success:
                self._finish(api, answer.read(_ActionStarted).action)
                return
            time.sleep(self.pause)
        assert answer is not None  # noqa: S101 - nothing leaves the loop before
        raise self._refused(answer)

    def _there(self, api: Api, zone: str, path: str) -> _Rrset:
        answer = api.ask("GET", path, fine=(_NOT_FOUND,))
        if answer.is_success:
            return answer.read(_RrsetFound).rrset
        if not api.ask("GET", f"/zones/{quote(zone)}", fine=(_NOT_FOUND,)).is_success:
            raise unknown_zone(_SERVICE, zone, self._zones(api), self.context.credential)
        return _Rrset(records=[])

    def _finish(self, api: Api, action: _Action) -> None:
        """Wait until it is done: changes happen after the answer."""
        for _ in range(_LOOKS):
            if action.status == "success":
                return
            if action.status == "error":
                break
            time.sleep(self.pause)
            action = api.ask("GET", f"/actions/{action.id}").read(_ActionStarted).action
        told = action.error.message if action.error else "it is still under way"
        raise SolverError(
            f"{_SERVICE} did not carry out the change.",
            causes=[ascii(told)[1:-1]],
            hint="Try again in a few minutes; look at the zone in the Hetzner Console if it stays so.",
            retryable=True,
        )

    def _zones(self, api: Api) -> list[str]:
        names: list[str] = []
        page: int | None = 1
        for _ in range(_MOST_PAGES):
            if page is None:
                break
            found = api.ask("GET", "/zones", query={"page": str(page), "per_page": "50"}).read(_Zones)
            names += [zone.name for zone in found.zones]
            page = found.meta.pagination.next_page
        return names

    def _refused(self, answer: Answer) -> SolverError:
        return refused(_SERVICE, answer, answer.words("error", "message"), credential=self.context.credential)


def _by_name(zone: str, records: Iterable[TxtRecord]) -> list[tuple[str, list[str]]]:
    """The quoted values at each name, the name relative to the zone."""
    ordered = sorted(set(records), key=attrgetter("name", "value"))
    return [
        (found[0].relative_to(zone), [f'"{record.value}"' for record in found])
        for found in (list(group) for _, group in groupby(ordered, key=attrgetter("name")))
    ]
