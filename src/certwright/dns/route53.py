"""Amazon Route 53: public hosted zones, by the access key of an IAM user.

In the AWS console make an IAM user without console access, give it an access key, and attach this policy, with the id
of your hosted zone in place of `Z0123456789ABCDEFGHIJ` (several zones: several lines). It lets the key change the TXT
records at `_acme-challenge` in that zone and nothing else. For a zone that CNAMEs of other zones lead to, write the
names that they lead to in place of `_acme-challenge.*`.

    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Effect": "Allow",
          "Action": ["route53:ListHostedZonesByName", "route53:GetChange"],
          "Resource": "*"
        },
        {
          "Effect": "Allow",
          "Action": "route53:ListResourceRecordSets",
          "Resource": "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ"
        },
        {
          "Effect": "Allow",
          "Action": "route53:ChangeResourceRecordSets",
          "Resource": "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ",
          "Condition": {
            "ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": ["TXT"]},
            "ForAllValues:StringLike": {
              "route53:ChangeResourceRecordSetsNormalizedRecordNames": ["_acme-challenge.*"]
            }
          }
        }
      ]
    }

Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
"""

import time
from collections.abc import Iterator, Sequence
from typing import ClassVar
from xml.etree import ElementTree as ET

from pydantic import Field, SecretStr

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
from certwright.rest.aws import AwsSigner
from certwright.rest.xml import read_xml
from certwright.sdk.dns import DnsProvider, TxtRecord, by_name
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import Token

_SERVICE = "Route 53"
_VERSION = "/2013-04-01"
_NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
_RECORD_SECONDS = 60
_NAMES_AT_ONCE = 100
_PAGES = 100
_BUSY = {"Throttling", "ThrottlingException", "PriorRequestNotComplete"}
_HINTS = {
    "InvalidClientTokenId": "There is no access key of this id, or it is switched off: make one, and store it",
    "SignatureDoesNotMatch": "The secret access key does not belong to the key's id, or this machine's clock is wrong "
    "(timedatectl): put it right, and store the key",
    "ExpiredToken": "The session token has expired: lasting access needs an IAM user's key without one; store it",
    "AccessDenied": "Attach the policy that this provider's page shows to the key's user (certwright's documentation, "
    "route53); a new key has to be stored",
}

_Set = tuple[int, list[str]]
"""TTL and values of the TXT records at one name; the values quoted, as Route 53 has them."""


class Params(PluginParams):
    """The access key."""

    access_key_id: str = Field(
        pattern="^[A-Z0-9]{16,128}$", description="Id of the access key; begins with AKIA, or ASIA if temporary."
    )
    secret_access_key: SecretStr = Field(min_length=1, description="The secret access key.")
    session_token: Token | None = Field(default=None, description="Session token, only for a temporary key.")


class Route53(DnsProvider[Params]):
    """Changes sets of records by deleting the one that was read and creating another, so that no update is lost."""

    Params = Params
    wait = 120
    base: ClassVar[str] = "https://route53.amazonaws.com"
    per_second: ClassVar[float] = 5  # half of what an account may ask in all
    poll_seconds: ClassVar[float] = 2

    def check(self) -> str:
        """List the public zones."""
        with self._api() as api:
            return zones_seen(_SERVICE, [name for name, _ in self._zones(api)], self.context.credential)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add what is missing, in one change for up to 100 names."""
        self._change(zone, records, with_added)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Remove what is there."""
        self._change(zone, records, without)

    def _change(self, zone: str, records: Sequence[TxtRecord], merged: Merge[str]) -> None:
        wanted = [(name, [f'"{value}"' for value in values]) for name, values in by_name(records).items()]
        parts = [wanted[start : start + _NAMES_AT_ONCE] for start in range(0, len(wanted), _NAMES_AT_ONCE)]
        with self._api() as api:

            def change(zone_id: str) -> None:
                answers = [self._merge(api, zone_id, part, merged) for part in parts]
                self._await(api, [answer for answer in answers if answer])

            change_each(self._ids(api, zone), change, self.context.journal)

    def _merge(
        self, api: Api, zone_id: str, wanted: Sequence[tuple[str, list[str]]], merged: Merge[str]
    ) -> Answer | None:
        """Read the sets at these names and write them anew, all or none; None if nothing had to be changed."""

        def change() -> Answer | None:
            batch = ET.Element("Changes")
            for name, values in wanted:
                ttl, old = self._read(api, zone_id, name)
                new = merged(old, values)
                if new != old:
                    _put(batch, "DELETE", name, (ttl, old))
                    _put(batch, "CREATE", name, (ttl, new))
            if not len(batch):
                return None
            path = f"{_VERSION}{zone_id}/rrset"
            return api.request("POST", path, body=_document(batch), headers={"Content-Type": "text/xml"})

        answer = unless_overtaken(change, lambda refusal: _error(refusal)[0] == "InvalidChangeBatch")
        if answer is not None and not answer.is_success:
            raise self._refused(answer)
        return answer

    def _await(self, api: Api, changes: Sequence[Answer]) -> None:
        """Wait until Route 53 says that all its servers have the changes; the caller looks for itself anyway."""
        end = time.monotonic() + self.wait
        for change in changes:
            info = read_xml(change, "ChangeResourceRecordSetsResponse")
            path = _VERSION + info.findtext("ChangeInfo/Id", "")
            while info.findtext("ChangeInfo/Status") != "INSYNC" and time.monotonic() < end:
                time.sleep(self.poll_seconds)
                info = read_xml(api.ask("GET", path), "GetChangeResponse")

    def _read(self, api: Api, zone_id: str, name: str) -> _Set:
        query = {"name": f"{name}.", "type": "TXT", "maxitems": "1"}
        answer = api.ask("GET", f"{_VERSION}{zone_id}/rrset", query=query)
        for found in read_xml(answer, "ListResourceRecordSetsResponse").iterfind(
            "ResourceRecordSets/ResourceRecordSet"
        ):
            if found.findtext("Name") == f"{name}." and found.findtext("Type") == "TXT":
                values = [value.text or "" for value in found.iterfind("ResourceRecords/ResourceRecord/Value")]
                ttl = found.findtext("TTL", "")
                return int(ttl) if ttl.isdecimal() else _RECORD_SECONDS, values
        return _RECORD_SECONDS, []

    def _ids(self, api: Api, zone: str) -> list[str]:
        """The ids of the public zones of this name: an account may have several, of which one is delegated to."""
        found = [zone_id for name, zone_id in self._zones(api, zone) if name == zone]
        if not found:
            raise unknown_zone(_SERVICE, zone, [name for name, _ in self._zones(api)], self.context.credential)
        return found

    def _zones(self, api: Api, only: str = "") -> list[tuple[str, str]]:
        """Name and id of the public zones; with `only`, those that come before another name does."""
        query = {"maxitems": "100", **({"dnsname": f"{only}."} if only else {})}
        found: list[tuple[str, str]] = []
        for page in self._pages(api, query):
            here = [
                (z.findtext("Name", "").removesuffix("."), z.findtext("Id", ""))
                for z in page.iterfind("HostedZones/HostedZone")
                if z.findtext("Config/PrivateZone") != "true"
            ]
            found += here
            if only and any(name != only for name, _ in here):
                break
        return found

    def _pages(self, api: Api, query: dict[str, str]) -> Iterator[ET.Element]:
        for _ in range(_PAGES):
            answer = api.ask("GET", f"{_VERSION}/hostedzonesbyname", query=query)
            page = read_xml(answer, "ListHostedZonesByNameResponse")
            yield page
            if page.findtext("IsTruncated") != "true":
                return
            query = {
                "maxitems": "100",
                "dnsname": page.findtext("NextDNSName", ""),
                "hostedzoneid": page.findtext("NextHostedZoneId", ""),
            }

    def _api(self) -> Api:
        token = self.params.session_token
        secret = self.params.secret_access_key.get_secret_value()
        signer = AwsSigner(
            self.params.access_key_id,
            secret,
            token.get_secret_value() if token else "",
            "us-east-1",  # Route 53 is one service for the whole world, and signed for there
            "route53",
            self.context.now,
        )
        return Api(
            self.base,
            headers={"Accept": "text/xml"},
            sign=signer,
            is_busy=_is_busy,
            refusal=self._refused,
            per_second=self.per_second,
            proxy=self.context.proxy,
        )

    def _refused(self, answer: Answer) -> SolverError:
        code, told = _error(answer)
        hint = f"{_HINTS[code]} under the name {self.context.credential!r}." if code in _HINTS else ""
        return refused(_SERVICE, answer, f"{code}: {told}", credential=self.context.credential, hint=hint)


def _put(batch: ET.Element, action: str, name: str, records: _Set) -> None:
    ttl, values = records
    if not values:
        return
    change = ET.SubElement(batch, "Change")
    ET.SubElement(change, "Action").text = action
    records_set = ET.SubElement(change, "ResourceRecordSet")
    for tag, text in (("Name", f"{name}."), ("Type", "TXT"), ("TTL", str(ttl))):
        ET.SubElement(records_set, tag).text = text
    holder = ET.SubElement(records_set, "ResourceRecords")
    for value in values:
        ET.SubElement(ET.SubElement(holder, "ResourceRecord"), "Value").text = value


def _document(batch: ET.Element) -> bytes:
    request = ET.Element("ChangeResourceRecordSetsRequest", xmlns=_NAMESPACE)
    ET.SubElement(request, "ChangeBatch").append(batch)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(request)


def _is_busy(answer: Answer) -> bool:
    return _error(answer)[0] in _BUSY


def _error(answer: Answer) -> tuple[str, str]:
    """Code and message of a refusal; the code of a refused batch is the name of its document."""
    try:
        root = read_xml(answer)
    except Unreachable:
        return "", ""
    messages = "; ".join(message.text or "" for message in root.iter("Message"))
    return root.findtext("Error/Code", root.tag), messages
