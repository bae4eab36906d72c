"""How all is, over the API."""

from certwright.domain.errors import Unreachable
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.engine import duties
from certwright.engine.status import status
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


def test_the_worst_are_named_and_the_others_counted(service: Service) -> None:
    for number in range(52):
        mail = service.managed(f"host{number:02}.contoso.com")
        with service.engine.store.write() as unit:
            unit.healths.put(mail.id, Condition(health=Health.FAILING, rule="failing", message="It fails."))
    found = service.client("read").get("/status")
    titles = [each["title"] for each in found["needs_person"]]
    assert (titles, found["more"]) == ([f"host{number:02}.contoso.com" for number in range(50)], 2)
    few = status(service.engine, limit=2)
    assert (len(few.judged), few.more) == (2, 50)


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
