"""Domains at GoDaddy, by its Domains API v3.

Make a token at https://developer.godaddy.com/personal-access-token: *Generate Token*, with the scopes
`domains.domain:read` and `domains.dns:update`; nothing else is needed. It is shown once, and it ends: choose a late
*Expiration* and note the day. A token cannot be limited to one domain: it may change the DNS of every domain of the
account. The account must have at least one active domain; GoDaddy counts the calls of a month (20 000 are free).

The former pairs of key and secret are not taken: GoDaddy retires them, and v3 does not know them.

Source: https://developer.godaddy.com/en/docs/api-users/domains/manage/dns
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import BaseModel, Field

from certwright.domain.errors import SolverError
from certwright.rest import Answer, Api, refused, unknown_zone, zones_seen
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import Token

_SERVICE = "GoDaddy"
_LOWEST_TTL = 600
_MOST_PAGES = 1000
_FORBIDDEN, _NOT_FOUND = 403, 404


class Params(PluginParams):
    """The account."""

    api_token: Token = Field(
        description="Personal access token with the scopes domains.domain:read and domains.dns:update."
    )


class _Domain(BaseModel):
    domain: str


class _Link(BaseModel):
    rel: str
    href: str


class _Domains(BaseModel):
    items: list[_Domain]
    links: list[_Link] = []


class _Record(BaseModel):
    record_id: str = Field(alias="recordId")
    name: str
    data: str


class _Records(BaseModel):
    items: list[_Record]
    total_pages: int = Field(default=1, alias="totalPages")


class GoDaddy(DnsProvider[Params]):
    """Single records; all TXT records of the zone are read at once, since calls are few and counted."""

    Params = Params
    api: ClassVar[str] = "https://api.godaddy.com/v3/domains"
    per_second: ClassVar[float] = 1  # 60 a minute (developer.godaddy.com/en/docs/api-users/rate-limits)
    wait = 600

    def check(self) -> str:
        """Read which domains there are."""
        with self._api() as api:
            return zones_seen(_SERVICE, self._zones(api), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Create those that are not there."""
        with self._api() as api:
            there = {(record.name, record.data) for record in self._records(api, zone)}
            for record in dict.fromkeys(records):
                name = record.relative_to(zone)
                if (name, record.value) not in there:
                    data = {"type": "TXT", "name": name, "data": record.value, "ttl": _LOWEST_TTL}
                    api.ask("POST", _path(zone), data=data)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Delete those that are there."""
        unwanted = {(record.relative_to(zone), record.value) for record in records}
        with self._api() as api:
            for record in list(self._records(api, zone)):
                if (record.name, record.data) in unwanted:
                    api.ask("DELETE", f"{_path(zone)}/{quote(record.record_id, safe='')}", fine=(_NOT_FOUND,))

    def _api(self) -> Api:
        headers = {"Authorization": f"Bearer {self.params.api_token.get_secret_value()}"}
        return Api(
            self.api, headers=headers, per_second=self.per_second, refusal=self._refused, proxy=self.context.proxy
        )

    def _records(self, api: Api, zone: str) -> Iterator[_Record]:
        """The TXT records of the zone."""
        query = {"type": "TXT", "pageSize": "100", "totalRequired": "true"}
        for number in range(1, _MOST_PAGES):
            answer = api.ask("GET", _path(zone), query={**query, "page": str(number)}, fine=(_NOT_FOUND,))
            if not answer.is_success:
                raise unknown_zone(_SERVICE, zone, self._zones(api), self.context.credential)
            page = answer.read(_Records)
            yield from page.items
            if number >= page.total_pages:
                break

    def _zones(self, api: Api) -> list[str]:
        names: list[str] = []
        query = {"pageSize": "200"}
        for _ in range(_MOST_PAGES):
            page = api.ask("GET", "/domain-names", query=query).read(_Domains)
            names += [row.domain for row in page.items]
            token = next((_page_token(link.href) for link in page.links if link.rel == "next"), "")
            if not token:
                break
            query["pageToken"] = token
        return names

    def _refused(self, answer: Answer) -> SolverError:
        told = " ".join(part for part in (answer.words("message"), answer.words("code")) if part)
        name = self.context.credential
        hint = (
            "Make a token with the scopes domains.domain:read and domains.dns:update, in the account with the zone, "
            f"and store it as {name!r}."
        )
        return refused(_SERVICE, answer, told, credential=name, hint=hint if answer.status == _FORBIDDEN else "")


def _path(zone: str) -> str:
    return f"/zones/{quote(zone)}/dns-records"


def _page_token(href: str) -> str:
    return "".join(parse_qs(urlsplit(href).query).get("pageToken", [])[:1])
