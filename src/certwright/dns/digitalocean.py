"""Domains at DigitalOcean (Networking > Domains).

Make a token in the control panel: API > Tokens > Generate New Token. Choose *Custom Scopes* and tick of *domain* all
four: `domain:read`, `domain:create`, `domain:update`, `domain:delete`; nothing else is needed. A token cannot be
limited to one domain: where others are in the account that it must not change, keep the zone for `_acme-challenge`
elsewhere (a CNAME to `acme_dns`), or the domain in a team of its own. Note when the token ends; *No expiry* saves you
a failed renewal.

Source: https://docs.digitalocean.com/reference/api/reference/domain-records/
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar
from urllib.parse import quote

from pydantic import BaseModel, Field

from certwright.domain.errors import SolverError
from certwright.rest import Answer, Api, refused, unknown_zone, zones_seen
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import Token

_SERVICE = "DigitalOcean"
_LOWEST_TTL = 30
_MOST_PAGES = 1000
_NOT_FOUND = 404


class Params(PluginParams):
    """The account."""

    api_token: Token = Field(description="Personal access token with the scopes of domain.")


class _Domain(BaseModel):
    name: str


class _Record(BaseModel):
    id: int
    data: str


class _Pages(BaseModel):
    next: str = ""


class _Links(BaseModel):
    pages: _Pages = _Pages()


class _Page(BaseModel):
    domains: list[_Domain] = []
    domain_records: list[_Record] = []
    links: _Links = _Links()


class DigitalOcean(DnsProvider[Params]):
    """Single records: what stands at a name is looked at before it is changed."""

    Params = Params
    api: ClassVar[str] = "https://api.digitalocean.com/v2"
    per_second: ClassVar[float] = 4  # 250 a minute (docs.digitalocean.com/reference/api/intro)
    wait = 120

    def check(self) -> str:
        """Read which domains there are."""
        with self._api() as api:
            return zones_seen(_SERVICE, self._zones(api), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Create those that are not there."""
        with self._api() as api:
            for record in records:
                if not self._found(api, zone, record):
                    name = record.relative_to(zone)
                    data = {"type": "TXT", "name": name, "data": record.value, "ttl": _LOWEST_TTL}
                    api.ask("POST", f"/domains/{quote(zone)}/records", data=data)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Delete those that are there."""
        with self._api() as api:
            for record in records:
                for number in self._found(api, zone, record):
                    api.ask("DELETE", f"/domains/{quote(zone)}/records/{number}", fine=(_NOT_FOUND,))

    def _api(self) -> Api:
        headers = {"Authorization": f"Bearer {self.params.api_token.get_secret_value()}"}
        return Api(
            self.api, headers=headers, per_second=self.per_second, refusal=self._refused, proxy=self.context.proxy
        )

    def _found(self, api: Api, zone: str, record: TxtRecord) -> list[int]:
        """The ids of the records that are like `record`."""
        query = {"type": "TXT", "name": record.name, "per_page": "200"}
        pages = self._pages(api, f"/domains/{quote(zone)}/records", query, zone)
        return [found.id for page in pages for found in page.domain_records if found.data == record.value]

    def _zones(self, api: Api) -> list[str]:
        # Each domain comes with its whole zone file: few of them a page.
        return [domain.name for page in self._pages(api, "/domains", {"per_page": "20"}) for domain in page.domains]

    def _pages(self, api: Api, path: str, query: dict[str, str], zone: str = "") -> Iterator[_Page]:
        """All pages; `zone` is the one that is told if there is nothing at `path`."""
        for number in range(1, _MOST_PAGES):
            answer = api.ask("GET", path, query={**query, "page": str(number)}, fine=(_NOT_FOUND,) if zone else ())
            if not answer.is_success:
                raise unknown_zone(_SERVICE, zone, self._zones(api), self.context.credential)
            page = answer.read(_Page)
            yield page
            if not page.links.pages.next:
                break

    def _refused(self, answer: Answer) -> SolverError:
        return refused(_SERVICE, answer, answer.words("message"), credential=self.context.credential)
