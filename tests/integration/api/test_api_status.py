"""How all is, over the API."""

from certwright.domain.errors import Unreachable
from certwright.engine import duties
from world.api import Service


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
