"""A PowerDNS Authoritative Server, by its HTTP API.

On the server, in pdns.conf: `api=yes`, `api-key=` a long random word, `webserver-address=` and
`webserver-allow-from=` the address of this machine; then restart it. The API speaks http only, and whoever has the
key may change every zone: this provider sends it over https alone, or over http on the same machine. Elsewhere put a
web server with a certificate before it (`ca_file` if that is of your own CA), which can limit it to one zone, too:
let through GET and PATCH on `/api/v1/servers/localhost/zones/contoso.com.`, and GET on
`/api/v1/servers/localhost/zones`.

Zones that the server transfers from another one (Slave, Secondary) have to be changed there. The API changes all values
of a name at once: runs with the same credential wait for each other, but what another program writes at the name in the
same moment can be lost.

Source: https://doc.powerdns.com/authoritative/http-api/zone.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, Field, field_validator

from certwright.domain.errors import SolverError
from certwright.domain.web_address import is_this_machine, web_parts
from certwright.rest import Answer, Api, refused, unknown_zone, zones_seen
from certwright.sdk.dns import DnsProvider, TxtRecord
from certwright.sdk.params import ExistingFile, Token
from certwright.sdk.params import Params as PluginParams

_SERVICE = "PowerDNS"
_TTL = 60
_ATTEMPTS = 4
_NOT_FOUND = 404


class Params(PluginParams):
    """The server and its key."""

    url: str = Field(description="Address of the API, for example https://ns1.contoso.com:8443 (without /api/v1).")
    api_key: Token = Field(description="The server's api-key.")
    server_id: str = Field(
        default="localhost", pattern=r"^[A-Za-z0-9._-]+$", description="Name of the server within the API."
    )
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM file of the CA that the address's certificate is from, if it is your own."
    )

    @field_validator("url")
    @classmethod
    def _is_usable(cls, value: str) -> str:
        parts = web_parts(value)
        if parts.query or parts.fragment:
            raise ValueError("write it as https://HOST:PORT")
        if parts.scheme != "https" and not is_this_machine(parts.hostname or ""):
            raise ValueError("the key would be readable on the way: use https, or http on this machine (127.0.0.1)")
        return value.rstrip("/").removesuffix("/api/v1")


class _Zone(BaseModel):
    name: str


class _Record(BaseModel):
    content: str
    disabled: bool = False


class _Rrset(BaseModel):
    name: str
    type: str
    ttl: int
    records: list[_Record]


class _ZoneFound(BaseModel):
    kind: str
    rrsets: list[_Rrset]


class PowerDns(DnsProvider[Params]):
    """Reads what stands at the names, and writes all of them anew in one request; then looks whether that lasted."""

    Params = Params
    per_second: ClassVar[float] = 50  # one's own server
    wait = 120

    def check(self) -> str:
        """Read which zones there are."""
        with self._api() as api:
            return zones_seen(_SERVICE, self._zones(api), self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Write each name's values with ours among them."""
        self._change(zone, records, wanted=True)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Write each name's values without ours."""
        self._change(zone, records, wanted=False)

    def _api(self) -> Api:
        params = self.params
        return Api(
            f"{params.url}/api/v1/servers/{params.server_id}",
            headers={"X-API-Key": params.api_key.get_secret_value()},
            per_second=self.per_second,
            refusal=self._refused,
            ca_file=params.ca_file,
            proxy=self.context.proxy,
        )

    def _change(self, zone: str, records: Sequence[TxtRecord], *, wanted: bool) -> None:
        """Write until nothing is left to do: somebody else may write the same names at the same time.

        Whoever writes between our reading and our writing is undone without a trace; so our runs do it one by one.
        """
        by_name: dict[str, list[str]] = {}
        for record in records:
            by_name.setdefault(record.name, []).append(f'"{record.value}"')
        with self.context.alone(zone), self._api() as api:
            for _ in range(_ATTEMPTS):
                changes = [
                    change
                    for name, values in by_name.items()
                    if (change := _rewritten(name, self._rrset(api, zone, name), values, wanted=wanted))
                ]
                if not changes:
                    return
                api.ask("PATCH", _path(zone), data={"rrsets": changes})
        raise SolverError(
            f"{_SERVICE} took the records of the zone {zone}, but does not keep them.",
            hint=f"Look for another program that writes the TXT records at {', '.join(by_name)}.",
            retryable=True,
        )

    def _rrset(self, api: Api, zone: str, name: str) -> _Rrset:
        query = {"rrset_name": f"{name}.", "rrset_type": "TXT"}  # servers older than 4.6 show the whole zone
        answer = api.ask("GET", _path(zone), query=query, fine=(_NOT_FOUND,))
        if not answer.is_success:
            raise unknown_zone(_SERVICE, zone, self._zones(api), self.context.credential)
        found = answer.read(_ZoneFound)
        if found.kind.lower() in {"slave", "secondary", "consumer"}:
            raise SolverError(
                f"{self.params.url} has the zone {zone} from another server ({found.kind}).",
                hint=f"Store the primary server of {zone} under the name {self.context.credential!r}.",
            )
        there = (rrset for rrset in found.rrsets if rrset.type == "TXT" and rrset.name.lower() == f"{name}.")
        return next(there, _Rrset(name=f"{name}.", type="TXT", ttl=_TTL, records=[]))

    def _zones(self, api: Api) -> list[str]:
        return [zone.name.rstrip(".") for zone in api.ask("GET", "/zones").read(list[_Zone])]

    def _refused(self, answer: Answer) -> SolverError:
        return refused(_SERVICE, answer, answer.words("error"), credential=self.context.credential)


def _rewritten(name: str, there: _Rrset, values: Sequence[str], *, wanted: bool) -> Mapping[str, Any] | None:
    """The change that makes `values` stand at `name`, or not; None if so it is."""
    missing = set(values) - {record.content for record in there.records if not record.disabled}
    others = [record for record in there.records if record.content not in values]
    if not missing if wanted else len(others) == len(there.records):
        return None
    ours = [_Record(content=value) for value in dict.fromkeys(values)] if wanted else []
    content = [record.model_dump() for record in (*others, *ours)]
    head = {"name": f"{name}.", "type": "TXT"}
    if not content:
        return {**head, "changetype": "DELETE"}
    return {**head, "changetype": "REPLACE", "ttl": there.ttl, "records": content}


def _path(zone: str) -> str:
    return f"/zones/{quote(zone)}."
