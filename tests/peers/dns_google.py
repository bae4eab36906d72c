"""Google Cloud DNS v1, and the token endpoint for service accounts.

As https://cloud.google.com/dns/docs/reference/rest/v1 and
https://developers.google.com/identity/protocols/oauth2/service-account document them.
"""

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from peers.dns_peer import ZONE, Fault
from peers.record_sets import RecordSet, SetVendor, unquoted
from peers.vendor import Refusal, Reply, Request, served

PROJECT = "contoso-dns"
ACCOUNT = f"certwright@{PROJECT}.iam.gserviceaccount.com"
KEY_ID = "0123456789abcdef0123456789abcdef01234567"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPES = {
    "https://www.googleapis.com/auth/ndev.clouddns.readwrite",
    "https://www.googleapis.com/auth/cloud-platform",
}
_PER_PAGE = 2
_TWIN = "made-earlier"


class GoogleApi(SetVendor):
    """The service account may list the project's zones and change their records."""

    def __init__(self) -> None:
        super().__init__()
        self.params = {"key": key_file(_key(0))}
        self.wrong_params = {"key": key_file(_key(1))}
        self._tokens: set[str] = set()

    def answer(self, request: Request) -> Reply:
        if request.parts == ("token",):
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            self.complain(f"{request.method} {request.target} without a token of ours")
            raise Refusal(_refused(401, "authError", "Request had invalid authentication credentials."))
        match request.method, request.parts:
            case "GET", ("dns", "v1", "projects", str(project), "managedZones"):
                return self._zones(request, project)
            case "GET", ("dns", "v1", "projects", "contoso-dns", "managedZones", str(managed), "rrsets"):
                return self._sets(request, self._zone(managed))
            case "POST", ("dns", "v1", "projects", "contoso-dns", "managedZones", str(managed), "changes"):
                return self._change(request, self._zone(managed))
        self.complain(f"{request.method} {request.target}")
        return _refused(404, "notFound", "Not Found")

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                return _refused(403, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries'")
            case Fault.FORBIDDEN:
                return _refused(403, "forbidden", "Forbidden")
            case _:
                return _refused(503, "backendError", "Backend Error")

    def invalid(self, told: str) -> Reply:
        return _refused(400, "invalid", told)

    # --- signing in -------------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Reply:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("grant_type") != _GRANT:
            self.complain(f"grant_type={form.get('grant_type')}")
            return Reply(400, {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"})
        told, _, signature = form["assertion"].rpartition(".")
        header, claims = (json.loads(_decoded(part)) for part in told.split("."))
        self._judge(header, claims)
        try:
            _key(0).public_key().verify(_decoded(signature), told.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return Reply(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        if abs(time.time() - claims["iat"]) > 300:
            told = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            return Reply(400, {"error": "invalid_grant", "error_description": told})
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._tokens.add(token)
        return Reply(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def _judge(self, header: dict[str, Any], claims: dict[str, Any]) -> None:
        if header != {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}:
            self.complain(f"the JWT header {header}")
        if claims["iss"] != ACCOUNT or claims["aud"] != "https://oauth2.googleapis.com/token":
            self.complain(f"the JWT claims {claims}")
        if not set(claims["scope"].split()) <= _SCOPES or not 0 < claims["exp"] - claims["iat"] <= 3600:
            self.complain(f"the JWT claims {claims}")

    # --- zones ------------------------------------------------------------------------------------------------------

    def _zones(self, request: Request, project: str) -> Reply:
        if project != PROJECT:
            return _refused(403, "forbidden", f"Permission denied on resource project {project}.")
        rows = [{"name": _managed(zone), "dnsName": f"{zone}.", "visibility": "public"} for zone in self.zones]
        rows.insert(0, {"name": "inside", "dnsName": f"{ZONE}.", "visibility": "private"})
        if self.has_twin:
            rows.insert(0, {"name": _TWIN, "dnsName": f"{ZONE}.", "visibility": "public"})
        wanted = request.query.get("dnsName")
        rows = [row for row in rows if wanted in {None, row["dnsName"]}]
        start = int(request.query.get("pageToken", "0"))
        page: dict[str, Any] = {"kind": "dns#managedZonesListResponse", "managedZones": rows[start : start + _PER_PAGE]}
        if start + _PER_PAGE < len(rows):
            page["nextPageToken"] = str(start + _PER_PAGE)
        return Reply(200, page)

    def _zone(self, managed: str) -> str:
        self.judge_right(is_twin=managed == _TWIN)
        for zone in self.zones:
            if _managed(zone) == managed:
                return zone
        self.complain(f"the managed zone {managed}")
        raise Refusal(_refused(404, "notFound", f"The 'parameters.managedZone' resource named '{managed}' is missing."))

    # --- records ----------------------------------------------------------------------------------------------------

    def _sets(self, request: Request, zone: str) -> Reply:
        if "type" in request.query and "name" not in request.query:
            self.complain(request.target)
        name = request.query.get("name")
        shown = [_shown(found) for found in self.sets(zone) if name in {None, f"{found.name}."}]
        return Reply(200, {"kind": "dns#resourceRecordSetsListResponse", "rrsets": shown})

    def _change(self, request: Request, zone: str) -> Reply:
        """Deletions must be exactly what there is; additions must not be there then."""
        self.others_first()
        change = self.json_of(request)
        deletions, additions = ([self._wanted(each) for each in change[part]] for part in ("deletions", "additions"))
        if not deletions and not additions:
            return _refused(400, "required", "The 'entity.change' parameter is required but was missing.")
        before = list(self.zones[zone])
        try:
            for number, wanted in enumerate(deletions):
                self._delete(zone, wanted, f"'entity.change.deletions[{number}]'")
            for number, wanted in enumerate(additions):
                self._add(zone, wanted, f"'entity.change.additions[{number}]'")
        except Refusal:
            self.zones[zone] = before
            raise
        return Reply(200, {"kind": "dns#change", "id": "7", "status": "pending", **change})

    def _delete(self, zone: str, wanted: RecordSet, what: str) -> None:
        found = self.find(zone, wanted.name)
        if found is None:
            told = f"The {what} resource named '{wanted.name}. (TXT)' does not exist."
            raise Refusal(_refused(404, "notFound", told))
        if found != wanted:
            raise Refusal(_refused(412, "conditionNotMet", f"Precondition not met for {what}"))
        self.erase(zone, wanted.name)

    def _add(self, zone: str, wanted: RecordSet, what: str) -> None:
        if self.find(zone, wanted.name):
            told = f"The resource {what} named '{wanted.name}. (TXT)' already exists"
            raise Refusal(_refused(409, "alreadyExists", told))
        self.write(zone, wanted)

    def _wanted(self, given: dict[str, Any]) -> RecordSet:
        self.judge(given, "name", "type", "ttl", "rrdatas")
        values = [unquoted(text) for text in given["rrdatas"]]
        if given["type"] != "TXT" or not given["name"].endswith(".") or not values or None in values:
            self.complain(f"the set of records {given}")
        return RecordSet(given["name"].removesuffix("."), given["ttl"], tuple(v for v in values if v is not None))


@cache
def _key(number: int) -> rsa.RSAPrivateKey:
    """One of several keys, made once; Google knows the first."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(key: rsa.RSAPrivateKey, **changed: Any) -> str:
    """A service account's key as it is downloaded."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    content = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": KEY_ID,
        "private_key": pem,
        "client_email": ACCOUNT,
        "client_id": "123456789012345678901",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps({**content, **changed}, indent=2)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _managed(zone: str) -> str:
    return zone.replace(".", "-")


def _shown(found: RecordSet) -> dict[str, Any]:
    values = [f'"{value}"' for value in found.values]
    return {
        "kind": "dns#resourceRecordSet",
        "name": f"{found.name}.",
        "type": "TXT",
        "ttl": found.ttl,
        "rrdatas": values,
    }


def _refused(status: int, reason: str, message: str) -> Reply:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return Reply(status, {"error": {"code": status, "message": message, "errors": errors}})


@contextmanager
def serve() -> Iterator[GoogleApi]:
    """Until the block ends."""
    vendor = GoogleApi()
    with served(vendor):
        vendor.overrides = {"base": vendor.url, "token_base": vendor.url, "per_second": 1000}
        yield vendor
