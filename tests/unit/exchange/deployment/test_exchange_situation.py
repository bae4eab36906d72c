"""What a version replaces: earlier ones of ours, and what was the web site's, unless it is Exchange's own."""

from dataclasses import replace

import pytest

from certwright.exchange.deployment.situation import Served, Situation, replaced, with_replaced
from certwright.exchange.deployment.wish import requested_services
from certwright.exchange.judgement.drift import Deployed, DeployedServer
from certwright.exchange.model import Certificate, Service
from unit.exchange.organisations import AUTH, OLD, auth, facts, old, organisation, own, server, wish

NONE, WEB, SMTP = Service.NONE, Service.IIS, Service.SMTP
ALL = WEB | SMTP | Service.POP | Service.IMAP
AUTH_NAME = "CN=Microsoft Exchange Server Auth Certificate"


def found(bound: Certificate, protected: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """What is replaced on a server whose web site is bound to `bound`; nothing of ours was ever there."""
    state = server("EX01", bound, own(), auth())
    return replaced(Situation(organisation(state, protected=frozenset({AUTH}) | protected)), wish(predecessors=()))


@pytest.mark.parametrize(
    ("shown", "expected"), [(OLD, (OLD,)), (None, ()), ("AB" * 20, ())], ids=["stored there", "unseen", "a stranger"]
)
def test_where_exchange_does_not_tell_it_is_what_the_port_shows(shown: str | None, expected: tuple[str, ...]) -> None:
    state = server("EX01", old(None, iis_sites=None), own(), auth())
    situation = Situation(organisation(state), served={state.server: Served(web_site=shown)})
    assert replaced(situation, wish(predecessors=())) == expected


def test_what_exchange_tells_counts_more_than_what_the_port_shows() -> None:
    state = server("EX01", old(), replace(old(), thumbprint="CD" * 20, iis_sites=None), auth())
    situation = Situation(organisation(state), served={state.server: Served(web_site="CD" * 20)})
    assert replaced(situation, wish(predecessors=())) == (OLD,)


def test_what_the_web_site_is_bound_to_is_replaced() -> None:
    assert found(old()) == (OLD,)


@pytest.mark.parametrize(
    ("bound", "protected"),
    [
        (old(), frozenset({OLD})),
        (old(subject=AUTH_NAME), frozenset()),
        (old(Service.IIS | Service.FEDERATION), frozenset()),
        (old(is_self_signed=True), frozenset()),
        (old(facts=replace(facts(thumbprint=OLD), is_self_signed=True)), frozenset()),
        (old(facts=facts("other.contoso.com", thumbprint=OLD)), frozenset()),
        (old(facts=None), frozenset()),
    ],
    ids=[
        "signs tokens",
        "by its name",
        "federates",
        "self-signed",
        "self-signed by itself",
        "for other names",
        "unknown",
    ],
)
def test_what_is_exchanges_own_or_another_is_not(bound: Certificate, protected: frozenset[str]) -> None:
    assert found(bound, protected) == ()


EARLIER = "E" * 40


def earlier(services: Service | None, *, bound: bool = False) -> Certificate:
    """An earlier version of ours."""
    sites = frozenset({1}) if bound else frozenset[int]()
    return replace(old(services, iis_sites=sites, facts=facts(thumbprint=EARLIER)), thumbprint=EARLIER)


def unbound(services: Service | None = Service.IIS | Service.SMTP) -> Certificate:
    """The certificate by hand, when the web site is bound to another one."""
    return old(services, iis_sites=frozenset())


LAST = Deployed(
    thumbprint=EARLIER, sha256=EARLIER.lower(), servers={"ex01.contoso.com": DeployedServer(services=ALL.value)}
)


@pytest.mark.parametrize(
    ("held", "before", "last", "expected", "services"),
    [
        ([old()], (), None, (OLD,), WEB | SMTP),
        ([earlier(NONE), old(ALL)], (), None, (EARLIER, OLD), ALL),
        ([earlier(NONE), old(None)], (), None, (EARLIER, OLD), None),
        ([earlier(NONE), own(iis_sites=frozenset({1, 2}))], (), None, (EARLIER,), WEB | SMTP),
        ([earlier(WEB, bound=True), unbound(ALL)], (OLD,), None, (EARLIER, OLD), ALL),
        ([earlier(WEB, bound=True), unbound(ALL)], (OLD, EARLIER), None, (EARLIER, OLD), ALL),
        ([earlier(WEB, bound=True), unbound(ALL)], (), None, (EARLIER,), WEB),
        ([earlier(SMTP), old(WEB)], (OLD,), None, (EARLIER, OLD), WEB | SMTP),
        ([earlier(ALL, bound=True), unbound()], (), LAST, (EARLIER,), ALL),
        ([earlier(ALL), old()], (), LAST, (EARLIER,), ALL),
        ([earlier(ALL), old()], (OLD,), LAST, (EARLIER, OLD), ALL),
        ([earlier(ALL, bound=True)], (OLD,), None, (EARLIER,), ALL),
    ],
    ids=[
        "nothing of ours is there",
        "ours was only imported",
        "ours was only imported, and services are not told",
        "ours was only imported, and the web site has the server's own",
        "ours was bound, and no more",
        "ours was bound, and then another one of ours",
        "ours was bound, and nobody knows what was before",
        "ours was taken back from the web site",
        "ours is in use everywhere",
        "somebody bound another one since",
        "a connector was left",
        "what was before is gone",
    ],
)
def test_ours_hides_nothing_that_was_in_use_before_it(
    held: list[Certificate],
    before: tuple[str, ...],
    last: Deployed | None,
    expected: tuple[str, ...],
    services: Service | None,
) -> None:
    state = server("EX01", *held, auth())
    situation = Situation(organisation(state), web_sites={state.server: before})
    wished = with_replaced(wish(predecessors=(EARLIER,), last=last), state, situation)
    assert tuple(filter(state.certificate, wished.predecessors)) == expected
    assert requested_services(state, wished) == services
