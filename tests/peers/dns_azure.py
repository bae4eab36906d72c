"""Azure DNS by Azure Resource Manager, and the sign-in of Microsoft Entra ID.

As https://learn.microsoft.com/rest/api/dns/ and
https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow document them.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from peers.dns_peer import ZONE, Fault
from peers.record_sets import RecordSet, SetVendor
from peers.vendor import Refusal, Reply, Request, served

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-aaaaaaaaaaaa"
SECRET = "abc8Q~dEfGhIjKlMnOpQrStUvWxYz0123456789._"
SUBSCRIPTION = "bbbbbbbb-cccc-dddd-eeee-ffffffffffff"
_SCOPE = "https://management.azure.com/.default"
_PER_PAGE = 2
_TWIN_GROUP = "earlier-group"


class AzureApi(SetVendor):
    """The application may change TXT records in the subscription's zones.

    `sign_in_error` is an AADSTS code and its words that signing in ends with; `elsewhere` a next page's host, if it is
    to be another one; `metadata` what sets of records carry.
    """

    def __init__(self) -> None:
        super().__init__()
        self.params = {
            "tenant_id": TENANT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "subscription_id": SUBSCRIPTION,
        }
        self.wrong_params = {**self.params, "client_secret": SECRET[:-1] + "x"}
        self.sign_in_error: tuple[str, str] | None = None
        self.elsewhere = ""
        self.metadata: dict[str, dict[str, str]] = {}
        self._tokens: set[str] = set()

    def answer(self, request: Request) -> Reply:
        if request.parts == (TENANT, "oauth2", "v2.0", "token"):
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            self.complain(f"{request.method} {request.target} without a token of ours")
            raise Refusal(_refused(401, "InvalidAuthenticationToken", "The access token is invalid."))
        if request.query.get("api-version") != "2018-05-01":
            self.complain(request.target)
            raise Refusal(_refused(400, "MissingApiVersionParameter", "The api-version query parameter is required"))
        match [part.lower() for part in request.parts]:
            case ["subscriptions", str(subscription), "providers", "microsoft.network", "dnszones"]:
                return self._zones(request, subscription)
            case [*_, "providers", "microsoft.network", "dnszones", str(zone), "txt", str(relative)]:
                return self._set(request, self._zone(request, zone), relative)
        self.complain(f"{request.method} {request.target}")
        return _refused(404, "InvalidResourceType", "The resource type could not be found")

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                return Reply(429, _error("TooManyRequests", "The request is being throttled."), {"Retry-After": "0"})
            case Fault.FORBIDDEN:
                told = f"The client '{CLIENT}' does not have authorization to perform action"
                return _refused(403, "AuthorizationFailed", told)
            case _:
                return _refused(503, "ServerBusy", "The server is busy")

    def invalid(self, told: str) -> Reply:
        return _refused(400, "BadRequest", told)

    # --- signing in -------------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Reply:
        if request.method != "POST" or request.headers.get("content-type") != "application/x-www-form-urlencoded":
            self.complain(f"{request.method} {request.target} as {request.headers.get('content-type')}")
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if self.sign_in_error:
            return _sign_in_refused("unauthorized_client", *self.sign_in_error)
        if form.get("grant_type") != "client_credentials" or form.get("scope") != _SCOPE:
            self.complain(f"grant_type={form.get('grant_type')} scope={form.get('scope')}")
            return _sign_in_refused("invalid_scope", "AADSTS70011", "The provided value for scope is not valid")
        if form.get("client_id") != CLIENT:
            return _sign_in_refused("unauthorized_client", "AADSTS700016", "Application was not found in the directory")
        if form.get("client_secret") != SECRET:
            return _sign_in_refused("invalid_client", "AADSTS7000215", "Invalid client secret provided.", 401)
        token = f"eyJ0eXAi.{secrets.token_urlsafe(24)}.c2ln"
        self._tokens.add(token)
        return Reply(200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})

    # --- zones ------------------------------------------------------------------------------------------------------

    def _zones(self, request: Request, subscription: str) -> Reply:
        if request.method != "GET" or subscription != SUBSCRIPTION:
            return _refused(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        rows = [{"id": _id_of(zone), "name": zone, "properties": {"zoneType": "Public"}} for zone in self.zones]
        rows.insert(0, {"id": _id_of(f"private-{ZONE}"), "name": ZONE, "properties": {"zoneType": "Private"}})
        if self.has_twin:
            rows.insert(0, {"id": _id_of(ZONE, _TWIN_GROUP), "name": ZONE, "properties": {"zoneType": "Public"}})
        start = int(request.query.get("$skiptoken", "0"))
        page: dict[str, Any] = {"value": rows[start : start + _PER_PAGE]}
        if start + _PER_PAGE < len(rows):
            path = request.target.partition("?")[0]
            page["nextLink"] = (
                f"{self.elsewhere or self.url}{path}?api-version=2018-05-01&%24skiptoken={start + _PER_PAGE}"
            )
        return Reply(200, page)

    def _zone(self, request: Request, zone: str) -> str:
        self.judge_right(is_twin=_TWIN_GROUP in request.parts)
        if zone not in self.zones or not request.target.startswith(_id_of(zone)):
            self.complain(request.target)
            raise Refusal(_refused(404, "ResourceNotFound", f"The resource '{zone}' was not found."))
        return zone

    # --- sets of records --------------------------------------------------------------------------------------------

    def _set(self, request: Request, zone: str, relative: str) -> Reply:
        name = zone if relative == "@" else f"{relative}.{zone}"
        if request.method != "GET":
            self.others_first()
        found = self.find(zone, name)
        etag = self._etag(zone, name)
        condition, absent = request.headers.get("if-match"), request.headers.get("if-none-match")
        if request.method == "GET":
            return self._shown(zone, name) if found else _refused(404, "NotFound", f"The resource '{name}' is missing.")
        if condition is None and absent is None:
            self.complain(f"{request.method} {request.target} on no condition: it could undo what others do")
        if (condition is not None and condition != etag) or (absent == "*" and found):
            return _refused(412, "PreconditionFailed", "The condition was not satisfied.")
        if request.method == "PUT":
            return self._put(request, zone, name)
        if request.method != "DELETE":
            self.complain(f"{request.method} {request.target}")
        self.erase(zone, name)
        return Reply(200 if found else 204)

    def _put(self, request: Request, zone: str, name: str) -> Reply:
        is_new = self.find(zone, name) is None
        properties = self.json_of(request)["properties"]
        pieces = [record["value"] for record in properties["TXTRecords"]]
        if not pieces or any(len(text) > 255 for piece in pieces for text in piece):
            self.complain(f"the TXTRecords {pieces}")
        self.write(zone, RecordSet(name, properties["TTL"], tuple("".join(piece) for piece in pieces)))
        self.metadata[name] = properties.get("metadata", {})
        return Reply(201 if is_new else 200, self._shown(zone, name).content)

    def _shown(self, zone: str, name: str) -> Reply:
        found = self.find(zone, name)
        assert found is not None
        relative = name.removesuffix(zone).removesuffix(".") or "@"
        properties: dict[str, Any] = {
            "fqdn": f"{name}.",
            "TTL": found.ttl,
            "TXTRecords": [{"value": [value]} for value in found.values],
            "provisioningState": "Succeeded",
        }
        if self.metadata.get(name):
            properties["metadata"] = self.metadata[name]
        identity = {"id": f"{_id_of(zone)}/TXT/{relative}", "name": relative, "etag": self._etag(zone, name)}
        return Reply(200, {**identity, "type": "Microsoft.Network/dnszones/TXT", "properties": properties})

    def _etag(self, zone: str, name: str) -> str:
        """Changes with each change: entries have ids of their own."""
        return "-".join(str(entry.id) for entry in self.zones[zone] if entry.name == name)


def _id_of(zone: str, group: str = "dns-group") -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Network/dnszones/{zone}"


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _refused(status: int, code: str, message: str) -> Reply:
    return Reply(status, _error(code, message))


def _sign_in_refused(error: str, code: str, told: str, status: int = 400) -> Reply:
    body = {"error": error, "error_description": f"{code}: {told} Trace ID: 0", "error_codes": [int(code[6:])]}
    return Reply(status, body)


@contextmanager
def serve() -> Iterator[AzureApi]:
    """Until the block ends."""
    vendor = AzureApi()
    with served(vendor):
        here = {"public": vendor.url}
        vendor.overrides = {"management": here, "login": here, "per_second": 1000}
        yield vendor
