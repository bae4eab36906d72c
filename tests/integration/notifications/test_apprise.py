"""What apprise carries, at a local target of one of its services (json://)."""

import json
from collections.abc import Iterator

import pytest

from certwright.domain.errors import ConfigurationError, NotificationError
from peers.dns_peer import Fault
from peers.hook import Receiver
from peers.vendor import Reply, Request, served
from world.channels import channel, problem

# apprise imports it where Python still has it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
KEY = "geheimniskraemer"


class Target(Receiver):
    """Takes JSON as apprise's json:// sends it."""

    def answer(self, request: Request) -> Reply:
        return Reply(200, {})

    @property
    def address(self) -> str:
        """As apprise writes it."""
        return f"json://someone:{KEY}@{self.url.removeprefix('http://')}/{KEY}/path"


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    with served(target):
        yield target


def test_a_message_arrives(target: Target) -> None:
    message = problem()
    assert channel("apprise", url=target.address).send(message) == "JSON took the message."
    (request,) = target.requests
    body = json.loads(request.body)
    assert (body["title"], body["type"]) == (message.subject, "info")
    assert "The authority does not answer." in body["message"]


def test_what_is_urgent_is_a_failure(target: Target) -> None:
    channel("apprise", url=target.address).send(problem(urgent=True))
    assert json.loads(target.requests[0].body)["type"] == "failure"


def test_a_service_that_refuses_is_said_without_its_keys(target: Target) -> None:
    target.fail(Fault.FORBIDDEN)
    with pytest.raises(NotificationError, match="JSON did not take the message") as caught:
        channel("apprise", url=target.address).send(problem())
    told = "".join(caught.value.explain())
    assert "403" in told
    assert KEY not in told


def test_the_check_knows_the_service_and_asks_nobody(target: Target) -> None:
    assert channel("apprise", url=target.address).check() == "apprise knows this as an address of JSON."
    assert target.requests == []


@pytest.mark.parametrize("url", ["nonsense", f"unknown://{KEY}", f"json://a/{KEY},json://b/{KEY}", ""])
def test_an_address_that_apprise_does_not_know_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="apprise does not know such an address") as caught:
        channel("apprise", url=url).check()
    assert KEY not in "".join(caught.value.explain())
