"""Zones at Cloudflare.

Make an API token in the Cloudflare dashboard: My Profile > API Tokens > Create Token, template *Edit zone DNS*. Under
*Zone Resources* choose *Include*, *Specific zone* and your zone. It needs the right *Zone > DNS > Edit* and no other;
only if Certwright then sees no zone, add *Zone > Zone > Read*. A token of the account (Manage Account > Account API
Tokens) does as well, and does not end with the person who made it. If the token is bound to addresses, those of this
machine must be among them.

The *Global API Key* works with `email`, but whoever holds it may do everything in your account: prefer a token.

Source: https://developers.cloudflare.com/api/resources/dns/subresources/records/
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, Field, model_validator

from certwright.domain.errors import SolverError, Unreachable
from certwright.rest import Answer, Api, refused, unknown_zone, zones_seen
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import OnlyWith, Token
from certwright.sdk.params import Params as PluginParams

_SERVICE = "Cloudflare"
_LOWEST_TTL = 60
_ACTIVE = "active"  # of initializing, pending, active, moved (developers.cloudflare.com/dns/zone-setups/reference)
_MOST_PAGES = 1000
_BAD_REQUEST, _NOT_FOUND = 400, 404
_THERE_ALREADY = {81057, 81058}
_IDENTITY = {1000, 6003, 6103, 6111, 9103, 9106, 9109, 10000}


class Params(PluginParams):
    """A token; or the global key and whose it is."""

    api_token: Token | None = Field(default=None, description="API token with the right Zone > DNS > Edit.")
    email: Annotated[str | None, OnlyWith("global_key")] = Field(
        default=None, pattern=r"^[!-~]+@[!-~]+$", description="The address you sign in with."
    )
    global_key: Token | None = Field(
        default=None, description="Global API Key, instead of a token; it may do everything in your account."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.api_token is None) == (self.global_key is None):
            raise ValueError("give either an API token, or the global key with the e-mail address")
        if (self.global_key is None) != (self.email is None):
            raise ValueError("the global key and the e-mail address belong together")
        return self


class _Row(BaseModel):
    """A zone, or a record; a zone has no content, and a record no status."""

    id: str
    name: str
    status: str = ""
    content: str = ""


class _PageInfo(BaseModel):
    total_pages: int


class _Page(BaseModel):
    result: list[_Row]
    result_info: _PageInfo


class _Problem(BaseModel):
    code: int
    message: str


class _Refusal(BaseModel):
    errors: list[_Problem]


class Cloudflare(DnsProvider[Params]):
    """One request a record; Cloudflare itself refuses a record that is there already."""

    Params = Params
    api: ClassVar[str] = "https://api.cloudflare.com/client/v4"
    per_second: ClassVar[float] = 4  # 1200 in 5 minutes (developers.cloudflare.com/fundamentals/api/reference/limits)
    wait = 120

    def check(self) -> str:
        """Read which zones there are; Cloudflare tells a token's state only of those that belong to a person."""
        with self._api() as api:
            return zones_seen(_SERVICE, self._zone_names(api), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Create each; that it is there already is fine."""
        with self._api() as api:
            path = f"/zones/{self._zone_id(api, zone)}/dns_records"
            for record in records:
                data = {"type": "TXT", "name": record.name, "content": f'"{record.value}"', "ttl": _LOWEST_TTL}
                answer = api.ask("POST", path, data=data, fine=(_BAD_REQUEST,))
                if not answer.is_success and not _codes(answer) & _THERE_ALREADY:
                    raise self._refused(answer)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Find and delete each."""
        with self._api() as api:
            path = f"/zones/{self._zone_id(api, zone)}/dns_records"
            there = list(self._rows(api, path, {"type": "TXT", "per_page": "500"}))
            for row in there:
                if TxtRecord(row.name.lower(), row.content.strip('"')) in records:
                    api.ask("DELETE", f"{path}/{row.id}", fine=(_NOT_FOUND,))

    def _api(self) -> Api:
        params = self.params
        if params.api_token is not None:
            headers = {"Authorization": f"Bearer {params.api_token.get_secret_value()}"}
        else:
            assert params.global_key is not None and params.email is not None  # noqa: S101, PT018 - Params sees to it
            headers = {"X-Auth-Email": params.email, "X-Auth-Key": params.global_key.get_secret_value()}
        return Api(
            self.api, headers=headers, per_second=self.per_second, refusal=self._refused, proxy=self.context.proxy
        )

    def _zone_id(self, api: Api, zone: str) -> str:
        """The id of the zone of this name: of several (in two accounts), one that is delegated to Cloudflare."""
        found = list(self._rows(api, "/zones", {"name": zone}))
        if not found:
            raise unknown_zone(_SERVICE, zone, self._zone_names(api), self.context.credential)
        return min(found, key=lambda row: row.status != _ACTIVE).id

    def _zone_names(self, api: Api) -> list[str]:
        return [row.name for row in self._rows(api, "/zones", {"per_page": "50"})]

    def _rows(self, api: Api, path: str, query: Mapping[str, str]) -> Iterator[_Row]:
        """All rows of all pages."""
        for number in range(1, _MOST_PAGES):
            page = api.ask("GET", path, query={**query, "page": str(number)}).read(_Page)
            yield from page.result
            if number >= page.result_info.total_pages:
                break

    def _refused(self, answer: Answer) -> SolverError:
        return refused(
            _SERVICE,
            answer,
            "; ".join(f"{problem.message} ({problem.code})" for problem in _problems(answer)),
            credential=self.context.credential,
            is_identity=True if _codes(answer) & _IDENTITY else None,
        )


def _problems(answer: Answer) -> list[_Problem]:
    try:
        return answer.read(_Refusal).errors
    except Unreachable:  # not Cloudflare's API that answered, or not in its words
        return []


def _codes(answer: Answer) -> set[int]:
    return {problem.code for problem in _problems(answer)}
