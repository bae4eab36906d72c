r"""Google Cloud DNS: public zones, by the key of a service account.

Make a service account and a JSON key for it. It must list the project's zones, and change the records of one zone:

    gcloud iam service-accounts create certwright --project PROJECT
    gcloud projects add-iam-policy-binding PROJECT --role roles/dns.reader --condition None \
      --member serviceAccount:certwright@PROJECT.iam.gserviceaccount.com
    gcloud dns managed-zones add-iam-policy-binding ZONE --project PROJECT --role roles/dns.admin \
      --member serviceAccount:certwright@PROJECT.iam.gserviceaccount.com
    gcloud iam service-accounts keys create key.json --project PROJECT \
      --iam-account certwright@PROJECT.iam.gserviceaccount.com

The least that a custom role on the zone needs instead of `roles/dns.admin`: `dns.changes.create`,
`dns.resourceRecordSets.list`, `dns.resourceRecordSets.create`, `dns.resourceRecordSets.update`,
`dns.resourceRecordSets.delete`; and on the project: `dns.managedZones.list`.

Source: https://cloud.google.com/dns/docs/reference/rest/v1/changes/create
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from certwright.domain.errors import SolverError, Unreachable
from certwright.rest import (
    Answer,
    Api,
    Merge,
    change_each,
    jwt,
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

_SERVICE = "Google Cloud DNS"
_SCOPE = "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
_AUDIENCE = "https://oauth2.googleapis.com/token"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_SECONDS = 3600
_RECORD_SECONDS = 60
_NAMES_AT_ONCE = 100
_PAGES = 100
_OVERTAKEN = {404, 409, 412}  # a deletion that is gone, an addition that is there, a deletion that differs
_BUSY = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"}


class Params(PluginParams):
    """The service account's key."""

    key: SecretStr = Field(description="The service account's key: the JSON file as it was downloaded.")
    project: str = Field(
        default="",
        pattern="^[a-z0-9.:-]*$",
        description="Id of the project that holds the zones; the service account's own if it is left out.",
    )

    @field_validator("key")
    @classmethod
    def _can_sign(cls, value: SecretStr) -> SecretStr:
        match _parsed(value):
            case {"type": "service_account", "client_email": str(), "private_key": str(pem)}:
                jwt.rsa_key(pem)
                return value
        raise ValueError("this is no service account's key: give the JSON file that was downloaded when it was made")

    @model_validator(mode="after")
    def _has_project(self) -> "Params":
        if not self.project and not _parsed(self.key).get("project_id"):
            raise ValueError("the key names no project: give it")
        return self


class _Zone(BaseModel):
    name: str = Field(pattern="^[a-z0-9-]+$")
    dnsName: str  # noqa: N815 - Google's name
    visibility: str = "public"


class _Page(BaseModel):
    managedZones: list[_Zone] = []  # noqa: N815 - Google's name
    nextPageToken: str = ""  # noqa: N815 - as above


class _Set(BaseModel):
    """The records of one type at one name; the values as zone files write them."""

    name: str
    type: str = "TXT"
    ttl: int = _RECORD_SECONDS
    rrdatas: list[str] = []


class _Sets(BaseModel):
    rrsets: list[_Set] = []


class _Reason(BaseModel):
    reason: str = ""


class _Error(BaseModel):
    errors: list[_Reason] = []


class _Refusal(BaseModel):
    error: _Error


class Google(DnsProvider[Params]):
    """Changes sets of records by deleting the one that was read and adding another, so that no update is lost."""

    Params = Params
    base: ClassVar[str] = "https://dns.googleapis.com"
    token_base: ClassVar[str] = "https://oauth2.googleapis.com"  # noqa: S105 - an address
    per_second: ClassVar[float] = 8

    def check(self) -> str:
        """Sign in and list the public zones."""
        with self._api() as api:
            return zones_seen(_SERVICE, self._zone_names(api), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add what is missing, in one change for up to 100 names."""
        self._change(zone, records, with_added)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Remove what is there."""
        self._change(zone, records, without)

    def _change(self, zone: str, records: Sequence[TxtRecord], merged: Merge[str]) -> None:
        wanted = [(name, [f'"{value}"' for value in values]) for name, values in by_name(records).items()]
        with self._api() as api:

            def change(path: str) -> None:
                for start in range(0, len(wanted), _NAMES_AT_ONCE):
                    self._merge(api, path, wanted[start : start + _NAMES_AT_ONCE], merged)

            change_each(self._paths(api, zone), change, self.context.journal)

    def _merge(self, api: Api, path: str, wanted: Sequence[tuple[str, list[str]]], merged: Merge[str]) -> None:
        """Read the sets at these names and write them anew, all or none."""

        def change() -> Answer | None:
            deletions, additions = [], []
            for name, values in wanted:
                old = self._read(api, path, f"{name}.")
                new = old.model_copy(update={"rrdatas": merged(old.rrdatas, values)})
                if new != old:
                    deletions += [old.model_dump()] if old.rrdatas else []
                    additions += [new.model_dump()] if new.rrdatas else []
            if not deletions and not additions:
                return None
            return api.request("POST", f"{path}/changes", data={"deletions": deletions, "additions": additions})

        answer = unless_overtaken(change, lambda refusal: refusal.status in _OVERTAKEN)
        if answer is not None and not answer.is_success:
            raise self._refused(answer)

    def _read(self, api: Api, path: str, name: str) -> _Set:
        """The TXT records at `name`, which ends in a dot."""
        sets = api.ask("GET", f"{path}/rrsets", query={"name": name, "type": "TXT"}).read(_Sets).rrsets
        return next((found for found in sets if (found.name, found.type) == (name, "TXT")), _Set(name=name))

    def _paths(self, api: Api, zone: str) -> list[str]:
        """Where the public zones of this name are: a project may have several, of which one is delegated to."""
        found = [known.name for known in self._zones(api, {"dnsName": f"{zone}."}) if known.dnsName == f"{zone}."]
        if not found:
            raise unknown_zone(_SERVICE, zone, self._zone_names(api), self.context.credential)
        return [f"{self._path}/{name}" for name in found]

    def _zone_names(self, api: Api) -> list[str]:
        return [zone.dnsName.removesuffix(".") for zone in self._zones(api, {})]

    def _zones(self, api: Api, query: Mapping[str, str]) -> Iterator[_Zone]:
        """The public zones, from all pages."""
        following: dict[str, str] = {}
        for _ in range(_PAGES):
            page = api.ask("GET", self._path, query={**query, **following}).read(_Page)
            yield from (zone for zone in page.managedZones if zone.visibility == "public")
            if not page.nextPageToken:
                return
            following = {"pageToken": page.nextPageToken}

    @property
    def _path(self) -> str:
        project = self.params.project or _parsed(self.params.key)["project_id"]
        return f"/dns/v1/projects/{project}/managedZones"

    def _api(self) -> Api:
        return Api(
            self.base,
            sign=Bearer(self._sign_in),
            is_busy=_is_busy,
            refusal=self._refused,
            per_second=self.per_second,
            proxy=self.context.proxy,
        )

    def _sign_in(self) -> Answer:
        pace, proxy = self.per_second, self.context.proxy
        with Api(self.token_base, is_busy=_is_busy, refusal=self._unknown, per_second=pace, proxy=proxy) as api:
            return api.ask("POST", "/token", form={"grant_type": _GRANT, "assertion": self._assertion()})

    def _unknown(self, answer: Answer) -> SolverError:
        told = f"{answer.words('error')}: {answer.words('error_description')}"
        hint = (
            "Look whether the service account and this key of it still exist, and whether this machine's clock is "
            f"right (timedatectl); store a new key under the name {self.context.credential!r}."
        )
        credential = self.context.credential
        return refused("Google", answer, told, credential=credential, hint="" if answer.is_busy else hint)

    def _assertion(self) -> str:
        """A token that says who asks, signed by the account's key."""
        key = _parsed(self.params.key)
        begins = int(self.context.now().timestamp())
        claims = {
            "iss": key["client_email"],
            "scope": _SCOPE,
            "aud": _AUDIENCE,
            "iat": begins,
            "exp": begins + _TOKEN_SECONDS,
        }
        return jwt.signed(jwt.rsa_key(key["private_key"]), key.get("private_key_id", ""), claims)

    def _refused(self, answer: Answer) -> SolverError:
        credential = self.context.credential
        hint = ""
        if answer.status == 403 and not answer.is_busy:  # noqa: PLR2004 - RFC 9110 section 15.5.4
            hint = (
                f"Give the service account of {credential!r} its roles, as the provider's page shows, and look whether "
                "its project has the Cloud DNS API switched on: gcloud services enable dns.googleapis.com"
            )
        return refused(_SERVICE, answer, answer.words("error", "message"), credential=credential, hint=hint)


def _parsed(key: SecretStr) -> dict[str, Any]:
    try:
        found = json.loads(key.get_secret_value())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_busy(answer: Answer) -> bool:
    """Google says 403 for its rate limits too, with a reason."""
    try:
        reasons = answer.read(_Refusal).error.errors
    except Unreachable:
        return False
    return any(item.reason in _BUSY for item in reasons)
