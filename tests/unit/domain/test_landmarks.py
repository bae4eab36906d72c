"""What has changed around a name since a certificate was issued is named, and nothing else."""

from datetime import UTC, datetime

import pytest

from certwright.domain.landmarks import Landmarks, Place, changes

THEN = datetime(2026, 9, 1, tzinfo=UTC)
WEB = Place(addresses=("192.0.2.1",), answered=True, server="Microsoft-IIS/10.0")
ZONE = Place(name_servers=("ns1.contoso.com", "ns2.contoso.com"))
NAME = "mail.contoso.com"


def told(was: Place, now: Place) -> list[str]:
    return [finding.text for finding in changes(Landmarks(seen_at=THEN, names={NAME: was}), {NAME: now})]


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (WEB, {"addresses": ("198.51.100.7",)}, "leads to 198.51.100.7 now; on 2026-09-01"),
        (WEB, {"answered": False, "server": ""}, "Nothing answers at mail.contoso.com"),
        (WEB, {"server": "nginx"}, "is answered by nginx now"),
        (WEB, {"leads_to": "portal.contoso.com"}, "redirects the challenge to portal.contoso.com now"),
        (ZONE, {"name_servers": ("ns.other.example",)}, "is served by ns.other.example now"),
        (ZONE, {"alias": "x.acme.example"}, "stands at x.acme.example now"),
    ],
)
def test_a_change_is_named_with_what_was_there_then_and_what_to_do(
    was: Place, now: dict[str, object], words: str
) -> None:
    (found,) = told(was, was.model_copy(update=now))
    assert words in found
    assert "2026-09-01" in found
    assert len(found.split(". ")) > 1, "and what to do about it"


@pytest.mark.parametrize("now", [Place(), Place(addresses=("192.0.2.1", "192.0.2.2")), WEB])
def test_what_is_not_known_or_only_more_is_no_change(now: Place) -> None:
    assert told(WEB, now) == []
    assert told(Place(), WEB) == []
