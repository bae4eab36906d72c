"""Zones at OVHcloud.

Make three keys at once on the page *createToken* of your region, signed in as the one who has the zone:
https://eu.api.ovh.com/createToken/, https://ca.api.ovh.com/createToken/ or https://api.us.ovhcloud.com/createToken/.
Choose the validity *Unlimited*, and under *Rights* exactly these four, which limit the keys to the zone contoso.com:

    GET     /domain/zone
    GET     /domain/zone/contoso.com/*
    POST    /domain/zone/contoso.com/*
    DELETE  /domain/zone/contoso.com/*

Source: https://help.ovhcloud.com/csm/en-api-getting-started-ovhcloud-api and https://eu.api.ovh.com/console/
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from certwright.domain.errors import SolverError
from certwright.rest import Answer, Api, refused, unknown_zone, zones_seen
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import Token

_SERVICE = "OVHcloud"
_LOWEST_TTL = 60
_FORBIDDEN, _NOT_FOUND = 403, 404
_IDENTITY = {"INVALID_SIGNATURE", "QUERY_TIME_OUT"}


class Params(PluginParams):
    """The region and the three keys."""

    endpoint: Literal["ovh-eu", "ovh-ca", "ovh-us"] = Field(
        default="ovh-eu", description="Region in which your OVHcloud account is."
    )
    application_key: Token = Field(description="Application key.")
    application_secret: Token = Field(description="Application secret.")
    consumer_key: Token = Field(description="Consumer key: it carries the rights.")


class _Record(BaseModel):
    id: int
    subDomain: str = ""  # noqa: N815 - OVHcloud's name
    target: str


class Ovh(DnsProvider[Params]):
    """Single records, then a call that publishes the zone; each request is signed."""

    Params = Params
    apis: ClassVar[Mapping[str, str]] = {
        "ovh-eu": "https://eu.api.ovh.com/1.0",
        "ovh-ca": "https://ca.api.ovh.com/1.0",
        "ovh-us": "https://api.us.ovhcloud.com/1.0",
    }
    per_second: ClassVar[float] = 5  # no limit is documented
    wait = 300

    def check(self) -> str:
        """Read which zones there are."""
        with self._api() as api:
            return zones_seen(_SERVICE, api.ask("GET", "/domain/zone").read(list[str]), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Create those that are not there, and publish the zone."""
        with self._api() as api:
            path = f"/domain/zone/{quote(zone)}"
            for record in records:
                if not list(self._found(api, zone, record)):
                    data = {
                        "fieldType": "TXT",
                        "subDomain": _sub_domain(record, zone),
                        "target": f'"{record.value}"',
                        "ttl": _LOWEST_TTL,
                    }
                    api.ask("POST", f"{path}/record", data=data)
            api.ask("POST", f"{path}/refresh")

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Delete those that are there, and publish the zone."""
        with self._api() as api:
            path = f"/domain/zone/{quote(zone)}"
            for record in records:
                for number in list(self._found(api, zone, record)):
                    api.ask("DELETE", f"{path}/record/{number}", fine=(_NOT_FOUND,))
            api.ask("POST", f"{path}/refresh")

    def _api(self) -> Api:
        params, base = self.params, self.apis[self.params.endpoint]
        secret, consumer = params.application_secret.get_secret_value(), params.consumer_key.get_secret_value()
        ahead: list[float] = []  # how far OVHcloud's clock is before ours; its own answer to that is not signed

        def sign(method: str, url: str, body: bytes) -> Mapping[str, str]:
            if not ahead:
                return {}
            moment = round(time.time() + ahead[0])
            text = f"{secret}+{consumer}+{method}+{url}+{body.decode()}+{moment}"
            digest = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - OVHcloud's own scheme
            return {"X-Ovh-Consumer": consumer, "X-Ovh-Timestamp": str(moment), "X-Ovh-Signature": f"$1${digest}"}

        headers = {"X-Ovh-Application": params.application_key.get_secret_value()}
        api = Api(
            base,
            headers=headers,
            sign=sign,
            per_second=self.per_second,
            refusal=self._refused,
            proxy=self.context.proxy,
        )
        ahead.append(api.ask("GET", "/auth/time").read(int) - time.time())
        return api

    def _found(self, api: Api, zone: str, record: TxtRecord) -> Iterator[int]:
        """The ids of the records that are like `record`; what OVHcloud finds may only resemble it."""
        path, sub_domain = f"/domain/zone/{quote(zone)}/record", _sub_domain(record, zone)
        answer = api.ask("GET", path, query={"fieldType": "TXT", "subDomain": sub_domain}, fine=(_NOT_FOUND,))
        if not answer.is_success:
            raise self._unknown(api, zone)
        for number in answer.read(list[int]):
            one = api.ask("GET", f"{path}/{number}", fine=(_NOT_FOUND,))
            if one.is_success:
                found = one.read(_Record)
                if found.subDomain == sub_domain and found.target.strip('"') == record.value:
                    yield found.id

    def _unknown(self, api: Api, zone: str) -> SolverError:
        answer = api.ask("GET", "/domain/zone", fine=(_FORBIDDEN,))
        known = answer.read(list[str]) if answer.is_success else []
        return unknown_zone(_SERVICE, zone, known, self.context.credential)

    def _refused(self, answer: Answer) -> SolverError:
        code, name = answer.words("errorCode"), self.context.credential
        hints = {
            "NOT_GRANTED_CALL": "Make keys with the four rights that this provider's page lists, and store them under "
            f"the name {name!r}.",
            "INVALID_CREDENTIAL": "The consumer key is wrong or its time is over: make new keys with the validity "
            f"Unlimited, and store them under the name {name!r}.",
            "INVALID_KEY": "The application key is wrong, or of another region: check the endpoint, and store the keys "
            f"again under the name {name!r}.",
        }
        return refused(
            _SERVICE,
            answer,
            " ".join(part for part in (answer.words("message"), code and f"({code})") if part),
            credential=name,
            hint=hints.get(code, ""),
            is_identity=True if code in _IDENTITY else None,
        )


def _sub_domain(record: TxtRecord, zone: str) -> str:
    return record.relative_to(zone).removeprefix("@")
