r"""Azure DNS: public zones, by an app registration of Microsoft Entra ID and its client secret.

In the Azure portal, under Microsoft Entra ID, register an application and give it a client secret. On the DNS zone
(Access control, Add role assignment) assign it the role DNS Zone Contributor, on that zone alone. To let it change TXT
records and nothing else, make this custom role instead and assign it there:

    az role definition create --role-definition '{
      "Name": "Certwright DNS",
      "AssignableScopes": ["/subscriptions/SUBSCRIPTION"],
      "Actions": [
        "Microsoft.Network/dnsZones/read",
        "Microsoft.Network/dnsZones/TXT/read",
        "Microsoft.Network/dnsZones/TXT/write",
        "Microsoft.Network/dnsZones/TXT/delete"
      ]
    }'
    az role assignment create --assignee CLIENT_ID --role "Certwright DNS" --scope "$(az network dns zone show \
      --resource-group GROUP --name contoso.com --query id --output tsv)"

A client secret ends after two years at most: replace it in time, in one place, by storing the credential again.

Source: https://learn.microsoft.com/rest/api/dns/record-sets/create-or-update
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator

from certwright.domain.errors import SolverError, Unreachable
from certwright.rest import (
    Answer,
    Api,
    Merge,
    change_each,
    refused,
    unknown_zone,
    unless_overtaken,
    with_added,
    without,
    zones_seen,
)
from certwright.rest.bearer import Bearer
from certwright.sdk.dns import DnsProvider, TxtRecord, by_name
from certwright.sdk.params import Params as PluginParams

_SERVICE = "Azure"
_VERSION = {"api-version": "2018-05-01"}
_RECORD_SECONDS = 60
_PAGES = 100
_MISSING = 404
_OVERTAKEN = 412
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CODE = re.compile(r"AADSTS\d+")
_SIGN_IN_HINTS = {
    "AADSTS7000215": "Give the client secret's value, which is shown only once, not its id; make a new one if need be",
    "AADSTS7000222": "The client secret has expired: make a new one",
    "AADSTS700016": "Check the client id, and that the application is registered in this tenant",
    "AADSTS90002": "Check the tenant id, and the cloud",
    "AADSTS900023": "Check the tenant id, and the cloud",
}

_HINTS = {
    "AuthorizationFailed": "Assign the role DNS Zone Contributor on the zone, which takes effect within minutes, to "
    "the application of the credential",
    "SubscriptionNotFound": "Check the subscription id, and store it under the name",
}


_ADDRESSES = {
    "public": "https://management.azure.com",
    "us_government": "https://management.usgovcloudapi.net",
    "china": "https://management.chinacloudapi.cn",
}
"""Of each cloud's management, which is also what a token is asked for."""


class Params(PluginParams):
    """The application, and the subscription with the zones."""

    tenant_id: str = Field(pattern="^[A-Za-z0-9.-]+$", description="Directory (tenant) id.")
    client_id: str = Field(pattern=f"^{_UUID}$", description="Application (client) id.")
    client_secret: SecretStr = Field(min_length=1, description="The client secret's value, not its id.")
    subscription_id: str = Field(pattern=f"^{_UUID}$", description="Id of the subscription that holds the zones.")
    cloud: Literal["public", "us_government", "china"] = Field(default="public", description="Which Azure.")

    @field_validator("client_secret")
    @classmethod
    def _is_no_id(cls, value: SecretStr) -> SecretStr:
        if re.fullmatch(_UUID, value.get_secret_value()):
            raise ValueError("this is the client secret's id: give its value, which the portal shows only once")
        return value


class _ZoneProperties(BaseModel):
    zoneType: str = "Public"  # noqa: N815 - Azure's name


class _Zone(BaseModel):
    id: str = Field(pattern="^/subscriptions/")
    name: str
    properties: _ZoneProperties = _ZoneProperties()


class _Page(BaseModel):
    value: list[_Zone]
    nextLink: str | None = None  # noqa: N815 - Azure's name


class _Text(BaseModel):
    value: list[str]


class _SetProperties(BaseModel):
    TTL: int = _RECORD_SECONDS
    metadata: dict[str, str] | None = None
    TXTRecords: list[_Text] = []


class _Set(BaseModel):
    etag: str = ""
    properties: _SetProperties = _SetProperties()


class Azure(DnsProvider[Params]):
    """Writes whole sets of records under their etag, so that no update is lost."""

    Params = Params
    wait = 120
    per_second: ClassVar[float] = 3  # Azure DNS lets 500 reads pass in 5 minutes; every second request is one
    management: ClassVar[Mapping[str, str]] = _ADDRESSES
    login: ClassVar[Mapping[str, str]] = {
        "public": "https://login.microsoftonline.com",
        "us_government": "https://login.microsoftonline.us",
        "china": "https://login.partner.microsoftonline.cn",
    }

    def check(self) -> str:
        """Sign in and list the public zones."""
        with self._api() as api:
            return zones_seen(_SERVICE, [zone.name for zone in self._zones(api)], self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add what is missing, name by name."""
        self._change(zone, records, with_added)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Remove what is there, name by name."""
        self._change(zone, records, without)

    def _change(self, zone: str, records: Sequence[TxtRecord], merged: Merge[_Text]) -> None:
        with self._api() as api:

            def change(zone_id: str) -> None:
                for name, values in by_name(records).items():
                    path = f"{quote(zone_id)}/TXT/{quote(TxtRecord(name, '').relative_to(zone), safe='@*')}"
                    self._merge(api, path, [_Text(value=[value]) for value in values], merged)

            change_each(self._ids(api, zone), change, self.context.journal)

    def _merge(self, api: Api, path: str, values: list[_Text], merged: Merge[_Text]) -> None:
        """Read the set of records and write it anew, on the condition that it is still the same."""

        def change() -> Answer | None:
            found = self._read(api, path)
            old = found.properties.TXTRecords
            new = merged(old, values)
            if new == old:
                return None
            guard = {"If-Match": found.etag} if found.etag else {"If-None-Match": "*"}
            if not new:
                return api.request("DELETE", path, query=_VERSION, headers=guard)
            properties = found.properties.model_copy(update={"TXTRecords": new})
            data = {"properties": properties.model_dump(exclude_none=True)}
            return api.request("PUT", path, query=_VERSION, data=data, headers=guard)

        answer = unless_overtaken(change, lambda refusal: refusal.status == _OVERTAKEN)
        if answer is not None and not answer.is_success:
            raise self._refused(answer)

    def _read(self, api: Api, path: str) -> _Set:
        """The set of records; empty and without etag if there is none."""
        answer = api.ask("GET", path, query=_VERSION, fine={_MISSING})
        return _Set() if answer.status == _MISSING else answer.read(_Set)

    def _ids(self, api: Api, zone: str) -> list[str]:
        """The ids of the zones of this name: each resource group may have one, of which one is delegated to."""
        zones = list(self._zones(api))
        found = [known.id for known in zones if known.name.lower() == zone]
        if not found:
            raise unknown_zone(_SERVICE, zone, [known.name for known in zones], self.context.credential)
        return found

    def _zones(self, api: Api) -> Iterator[_Zone]:
        """The public zones, from all pages."""
        path = f"/subscriptions/{self.params.subscription_id}/providers/Microsoft.Network/dnszones"
        answer = api.ask("GET", path, query=_VERSION)
        for _ in range(_PAGES):
            page = answer.read(_Page)
            yield from (zone for zone in page.value if zone.properties.zoneType == "Public")
            if not page.nextLink:
                return
            parts = urlsplit(page.nextLink)
            if f"{parts.scheme}://{parts.netloc}" != self.management[self.params.cloud]:
                raise Unreachable(
                    f"{answer.asked} answered with a next page elsewhere, at {parts.netloc}; it is not followed.",
                    hint="The token is for Azure alone: a proxy may have answered in its place.",
                )
            answer = api.ask("GET", f"{parts.path}?{parts.query}")

    def _api(self) -> Api:
        return Api(
            self.management[self.params.cloud],
            sign=Bearer(self._sign_in),
            refusal=self._refused,
            per_second=self.per_second,
            proxy=self.context.proxy,
        )

    def _sign_in(self) -> Answer:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.params.client_id,
            "client_secret": self.params.client_secret.get_secret_value(),
            "scope": f"{_ADDRESSES[self.params.cloud]}/.default",
        }
        pace, proxy = self.per_second, self.context.proxy
        with Api(self.login[self.params.cloud], refusal=self._unknown, per_second=pace, proxy=proxy) as api:
            return api.ask("POST", f"/{self.params.tenant_id}/oauth2/v2.0/token", form=form)

    def _unknown(self, answer: Answer) -> SolverError:
        told = answer.words("error_description")
        code = _CODE.search(told)
        mend = _SIGN_IN_HINTS.get(code[0] if code else "", "Compare tenant id, client id and secret with the portal")
        hint = "" if answer.is_busy else f"{mend}; then store it under the name {self.context.credential!r}."
        return refused("Microsoft Entra ID", answer, told, credential=self.context.credential, hint=hint)

    def _refused(self, answer: Answer) -> SolverError:
        code, told = answer.words("error", "code"), answer.words("error", "message")
        mend = _HINTS.get(code, "")
        hint = f"{mend} {self.context.credential!r}." if mend else ""
        return refused(_SERVICE, answer, f"{code}: {told}", credential=self.context.credential, hint=hint)
