"""How all is, over the API."""

from certwright.domain.errors import Unreachable
from certwright.engine import duties
from world.api import Service


def test_what_is_missing_is_part_of_how_all_is(service: Service) -> None:
    client = service.client("read", "manage")
    channel, heartbeat, key = client.get("/status")["missing"]
    assert channel.startswith("Nobody is told of problems: there is no channel. Add one:")
    assert heartbeat.startswith("If this machine stops, nobody notices.")
    assert "recovery key" in key
    for kind in ("webhook", "heartbeat"):
        wanted = {"kind": kind, "params": {"url": "https://hooks.contoso.com/one"}, "check": False}
        assert client.ask("PUT", f"/notifications/channels/{kind}", wanted).status == 200
    assert client.get("/status")["missing"] == [key]


def test_a_duty_of_the_service_that_fails_is_part_of_how_all_is(service: Service) -> None:
    client = service.client("read")
    assert client.get("/status")["service"] == []
    duties.failed(service.engine, "backup", "The daily backup", Unreachable("The disk is away.", hint="Mount it."))
    found = client.get("/status")
    (duty,) = found["service"]
    assert (duty["title"], duty["message"], duty["hint"]) == ("The daily backup", "The disk is away.", "Mount it.")
    assert found["overall"] == duty["health"] == "attention"
    duties.worked(service.engine, "backup")
    assert client.get("/status")["overall"] == "ok"
