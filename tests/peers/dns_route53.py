"""Amazon Route 53's API of 2013-04-01, as https://docs.aws.amazon.com/Route53/latest/APIReference/ documents it.

Signatures are recomputed as https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
says.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from peers.dns_peer import ZONE, Fault
from peers.record_sets import RecordSet, SetVendor, unquoted
from peers.vendor import Refusal, Reply, Request, served

KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "FwoGZXIvYXdzEXAMPLETOKEN=="
_NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
_PER_PAGE = 2  # documented: at most 100 zones; few, so that paging happens
_PRIVATE_ID = "ZPRIVATE0000000000001"
_TWIN_ID = "ZTWIN0000000000000001"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[a-z0-9-]+/[a-z0-9]+/aws4_request), "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


class Route53Api(SetVendor):
    """The key may list the zones and change records. Each change is pending when it is looked at the first time.

    `token` is the session token that requests must carry, if any; `moves` are the ids of changes and how often each
    was looked at; `unfinished` is how many changes are refused because an earlier one is still being made; `instead`
    is what something else answers in Amazon's place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.params = {"access_key_id": KEY_ID, "secret_access_key": SECRET}
        self.wrong_params = {"access_key_id": KEY_ID, "secret_access_key": SECRET[:-1] + "x"}
        self.token = ""
        self.moves: dict[str, int] = {}
        self.unfinished = 0
        self.instead = b""

    def answer(self, request: Request) -> Reply:
        if self.instead:
            return Reply(200, self.instead, {"Content-Type": "text/xml"})
        self._authenticate(request)
        match request.method, request.parts:
            case "GET", ("2013-04-01", "hostedzonesbyname"):
                return self._zones(request)
            case "GET", ("2013-04-01", "hostedzone", zone_id, "rrset"):
                return self._sets(request, self._zone(zone_id))
            case "POST", ("2013-04-01", "hostedzone", zone_id, "rrset"):
                return self._change(request, self._zone(zone_id))
            case "GET", ("2013-04-01", "change", change):
                return self._look_at(change)
        self.complain(f"{request.method} {request.target}")
        return _refused(404, "UnknownOperationException", "")

    def refusal(self, fault: Fault) -> Reply:
        match fault:
            case Fault.RATE_LIMITED:
                return _refused(400, "Throttling", "Rate exceeded")
            case Fault.FORBIDDEN:
                return _refused(403, "AccessDenied", "User: arn:aws:iam::123:user/c is not authorized to perform this")
            case _:
                return _refused(503, "ServiceUnavailable", "The request has failed due to a temporary failure")

    # --- who asks ---------------------------------------------------------------------------------------------------

    def _authenticate(self, request: Request) -> None:
        found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if not found:
            self.complain(f"Authorization: {request.headers.get('authorization')}")
            raise Refusal(_refused(403, "IncompleteSignature", "Authorization header is incomplete"))
        key_id, scope, names, signature = found.groups()
        moment = request.headers.get("x-amz-date", "")
        self._judge_scope(request, scope, names, moment)
        if key_id != KEY_ID or request.headers.get("x-amz-security-token", "") != self.token:
            raise Refusal(
                _refused(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
            )
        if not hmac.compare_digest(signature, _signature(request, scope, names, moment)):
            told = "The request signature we calculated does not match the signature you provided."
            raise Refusal(_refused(403, "SignatureDoesNotMatch", told))

    def _judge_scope(self, request: Request, scope: str, names: str, moment: str) -> None:
        signed = names.split(";")
        needed = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
        if signed != sorted(signed) or not needed <= set(signed):
            self.complain(f"SignedHeaders={names}")
        if scope.split("/") != [moment[:8], "us-east-1", "route53", "aws4_request"]:
            self.complain(f"the credential scope {scope} at {moment}")
        sent = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs((datetime.now(UTC) - sent).total_seconds()) > 300:
            raise Refusal(_refused(403, "SignatureDoesNotMatch", f"Signature expired: {moment} is now earlier"))

    # --- zones ------------------------------------------------------------------------------------------------------

    def _zones(self, request: Request) -> Reply:
        """In the order of their labels from the right; others of the same name come first."""
        most = int(request.query.get("maxitems", "100"))
        if not 1 <= most <= 100 or set(request.query) - {"dnsname", "hostedzoneid", "maxitems"}:
            self.complain(request.target)
        rows = [(f"{zone}.", _id_of(zone), "false") for zone in self.zones]
        others = [(f"{ZONE}.", _PRIVATE_ID, "true"), *([(f"{ZONE}.", _TWIN_ID, "false")] if self.has_twin else [])]
        rows = sorted([*others, *rows], key=lambda row: _order(row[0]))
        first = _order(request.query.get("dnsname", ""))
        rows = [row for row in rows if _order(row[0]) >= first]
        if zone_id := request.query.get("hostedzoneid"):
            rows = rows[[row[1] for row in rows].index(zone_id) :]
        size = min(most, _PER_PAGE)
        shown, rest = rows[:size], rows[size:]
        more = (
            f"<NextDNSName>{rest[0][0]}</NextDNSName><NextHostedZoneId>{rest[0][1]}</NextHostedZoneId>" if rest else ""
        )
        zones = "".join(
            f"<HostedZone><Id>/hostedzone/{zone_id}</Id><Name>{name}</Name><CallerReference>x</CallerReference>"
            f"<Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>"
            for name, zone_id, private in shown
        )
        return _document(
            "ListHostedZonesByNameResponse",
            f"<HostedZones>{zones}</HostedZones><IsTruncated>{str(bool(rest)).lower()}</IsTruncated>{more}"
            f"<MaxItems>{most}</MaxItems>",
        )

    def _zone(self, zone_id: str) -> str:
        self.judge_right(is_twin=zone_id == _TWIN_ID)
        for zone in self.zones:
            if _id_of(zone) == zone_id:
                return zone
        self.complain(f"the hosted zone {zone_id}")
        raise Refusal(_refused(404, "NoSuchHostedZone", f"No hosted zone found with ID: {zone_id}"))

    # --- records ----------------------------------------------------------------------------------------------------

    def _sets(self, request: Request, zone: str) -> Reply:
        """From a name and type on: another set is shown if there is none of that name."""
        query = request.query
        if "type" in query and "name" not in query:
            raise Refusal(_refused(400, "InvalidInput", "The input is not valid"))
        first = (_order(query.get("name", "")), query.get("type", ""))
        soa: tuple[str, ...] = ("ns-1.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400",)
        found = [(_order(f"{zone}."), "SOA", f"{zone}.", 900, soa)]
        for each in self.sets(zone):
            values = tuple(f'"{value}"' for value in each.values)
            found.append((_order(f"{each.name}."), "TXT", f"{each.name}.", each.ttl, values))
        shown = [row for row in sorted(found) if row[:2] >= first][: int(query.get("maxitems", "300"))]
        return _document(
            "ListResourceRecordSetsResponse",
            f"<ResourceRecordSets>{''.join(_shown(*row[1:]) for row in shown)}</ResourceRecordSets>"
            "<IsTruncated>false</IsTruncated><MaxItems>300</MaxItems>",
        )

    def _change(self, request: Request, zone: str) -> Reply:
        if self.unfinished:
            self.unfinished -= 1
            told = "The request was rejected because Route 53 was still processing a prior request."
            return _refused(400, "PriorRequestNotComplete", told)
        self.others_first()
        root = ET.fromstring(request.body)
        if root.tag != f"{{{_NAMESPACE}}}ChangeResourceRecordSetsRequest":
            self.complain(f"the document {root.tag}")
        changes = root.findall("r:ChangeBatch/r:Changes/r:Change", {"r": _NAMESPACE})
        if not changes:
            self.complain("a batch without a change")
        before = list(self.zones[zone])
        wrong = [told for told in (self._apply(zone, change) for change in changes) if told]
        if wrong:
            self.zones[zone] = before
            return _refused(400, "InvalidChangeBatch", f"[{', '.join(wrong)}]")
        change = f"C{len(self.moves):020}"
        self.moves[change] = 0
        return _change_info("ChangeResourceRecordSetsResponse", change, "PENDING")

    def _apply(self, zone: str, change: ET.Element) -> str:
        """Carry out one change; what is wrong with it."""
        action, (kind, wanted) = _text(change, "Action"), self._wanted(change)
        named = f"resource record set [name='{wanted.name}.', type='{kind}']"
        if kind != "TXT" or f".{wanted.name}".removesuffix(f".{zone}") == f".{wanted.name}":
            self.complain(f"{action} {named}")
        found = self.find(zone, wanted.name)
        match action:
            case "CREATE" if found:
                return f"Tried to create {named} but it already exists"
            case "DELETE" if not found:
                return f"Tried to delete {named} but it was not found"
            case "DELETE" if found != wanted:
                return f"Tried to delete {named} but the values provided do not match the current values"
            case "CREATE" | "UPSERT":
                self.write(zone, wanted)
            case "DELETE":
                self.erase(zone, wanted.name)
            case _:
                self.complain(f"the action {action}")
        return ""

    def _wanted(self, change: ET.Element) -> tuple[str, RecordSet]:
        found = change.find(f"{{{_NAMESPACE}}}ResourceRecordSet")
        if found is None or [child.tag.partition("}")[2] for child in found] != [
            "Name",
            "Type",
            "TTL",
            "ResourceRecords",
        ]:
            self.complain("a ResourceRecordSet that is not as its schema says")
            raise Refusal(_refused(400, "MalformedInput", "Unexpected element"))
        written = [each.text or "" for each in found.iter(f"{{{_NAMESPACE}}}Value")]
        values = [unquoted(text) for text in written]
        if not values or None in values or len(set(values)) < len(values):
            self.complain(f"the values {written}")
        name = _text(found, "Name").removesuffix(".")
        return _text(found, "Type"), RecordSet(
            name, int(_text(found, "TTL")), tuple(v for v in values if v is not None)
        )

    def _look_at(self, change: str) -> Reply:
        if change not in self.moves:
            self.complain(f"the change {change}")
            return _refused(404, "NoSuchChange", f"Could not find resource with ID: {change}")
        self.moves[change] += 1
        return _change_info("GetChangeResponse", change, "PENDING" if self.moves[change] < 2 else "INSYNC")


def _signature(request: Request, scope: str, names: str, moment: str) -> str:
    """What the right key makes of this request."""
    parts = urlsplit(request.target)
    pairs = sorted((quote(n, safe="~"), quote(v, safe="~")) for n, v in parse_qsl(parts.query, keep_blank_values=True))
    lines = [
        request.method,
        quote(parts.path, safe="/~"),
        "&".join("=".join(pair) for pair in pairs),
        *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names.split(";")),
        "",
        names,
        hashlib.sha256(request.body).hexdigest(),
    ]
    hashed = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in [*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}"]:
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def _order(name: str) -> list[str]:
    return name.rstrip(".").split(".")[::-1] if name else []


def _id_of(zone: str) -> str:
    return "Z" + hashlib.sha256(zone.encode()).hexdigest()[:20].upper()


def _text(element: ET.Element, tag: str) -> str:
    return element.findtext(f"{{{_NAMESPACE}}}{tag}", "")


def _shown(kind: str, name: str, ttl: int, values: tuple[str, ...]) -> str:
    records = "".join(f"<ResourceRecord><Value>{escape(value)}</Value></ResourceRecord>" for value in values)
    return (
        f"<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{ttl}</TTL>"
        f"<ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>"
    )


def _change_info(tag: str, change: str, status: str) -> Reply:
    info = f"<Id>/change/{change}</Id><Status>{status}</Status><SubmittedAt>2026-01-01T00:00:00.000Z</SubmittedAt>"
    return _document(tag, f"<ChangeInfo>{info}</ChangeInfo>")


def _document(tag: str, content: str, status: int = 200) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{tag} xmlns="{_NAMESPACE}">{content}</{tag}>'
    return Reply(status, text.encode(), {"Content-Type": "text/xml"})


def _refused(status: int, code: str, message: str) -> Reply:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return _document("ErrorResponse", f"{error}<RequestId>b25f48e8-84fd-11e6-80d9-574e0c4664cb</RequestId>", status)


@contextmanager
def serve() -> Iterator[Route53Api]:
    """Until the block ends."""
    vendor = Route53Api()
    with served(vendor):
        vendor.overrides = {"base": vendor.url, "per_second": 1000, "poll_seconds": 0}
        yield vendor
