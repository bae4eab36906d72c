"""Which ports are looked at, how they are called, and what is asked there."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.exchange.model import Service
from certwright.exchange.verification.ports import (
    WAYS,
    Duty,
    Port,
    asked,
    chosen,
    chosen_public,
    edge,
    look,
    of,
    parse,
    public,
    resolved,
    standard,
)
from certwright.probe import Endpoint

SERVERS = ("ex01.contoso.test", "ex02.contoso.test")
NAME = "mail.contoso.test"


def test_every_port_of_the_table_is_looked_at_by_default() -> None:
    found = [(p.way, p.endpoint.port) for p in chosen(None, SERVERS[:1])]
    assert len(found) == len(set(found))
    assert set(found) == {
        ("IIS", 443), ("IIS-NO-SNI", 443), ("WEB", 443), ("SIGN-IN", 443), ("BACKEND", 444), ("SMTP", 25),
        ("SMTP", 587), ("IMAP", 143), ("IMAPS", 993), ("POP", 110), ("POPS", 995), ("TRANSPORT", 717),
        ("TRANSPORT", 2525), ("TRANSPORT", 465), ("TRANSPORT", 475),
    }  # fmt: skip
    assert {p.way for p in (*standard(SERVERS), *edge(["edge01"]))} == set(WAYS)


def test_keys_are_different_for_everything_on_a_port() -> None:
    everything = (*standard(SERVERS), *public([NAME]), *edge(["edge01.contoso.test"]))
    assert len({p.key for p in everything}) == len(everything)


def test_words_name_these_ports_and_no_others() -> None:
    words = ["EX02.contoso.test/iis-no-sni:10.0.0.2:443", "BACKEND:ex01.contoso.test:444"]
    assert chosen(words, SERVERS) == (
        Port(SERVERS[1], "IIS-NO-SNI", Endpoint("10.0.0.2", 443)),
        Port(SERVERS[0], "BACKEND", Endpoint("ex01.contoso.test", 444)),
    )
    assert chosen(["off"], SERVERS) == ()


@pytest.mark.parametrize(("host", "name"), [(NAME, NAME), ("10.0.0.100", "")])
def test_a_balancer_is_called_as_it_is_written(host: str, name: str) -> None:
    assert parse(f"balancer/IIS:{host}:443", SERVERS) == Port(host, "IIS", Endpoint(host, 443), name, shared=True)


def test_an_edge_server_is_no_server_of_ours() -> None:
    port = parse("EDGE/LDAPS:edge01.contoso.test:50636", SERVERS)
    assert (port.server, port.duty, port.shared) == ("edge01.contoso.test", Duty.NONE, False)


def test_a_server_may_be_called_balancer() -> None:
    assert not parse("Balancer/IIS:10.0.0.1:443", ["balancer"]).shared


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("HTTP:ex01:443", "write SERVICE:HOST:PORT"),
        ("IIS:443", "names no port"),
        ("ex03/IIS:ex03:443", "none of the servers, nor BALANCER or EDGE"),
        ("BALANCER/BACKEND:mail:444", "BALANCER goes with IIS, IIS-NO-SNI, WEB, SMTP"),
        ("EDGE/IIS:edge01:443", "EDGE goes with LDAPS, TRANSPORT"),
        ("IIS:10.0.0.1:443", "say which server's port it is"),
    ],
)
def test_what_is_wrong_with_a_word_is_said(word: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        chosen([word], SERVERS)


def test_the_client_says_which_host_it_wants_or_does_not() -> None:
    here = Endpoint("10.0.0.1", 443)
    with_name = Port(SERVERS[0], "IIS", here).target(NAME)
    without = Port(SERVERS[0], "IIS-NO-SNI", here).target(NAME)
    assert (with_name.server_name, with_name.name) == (NAME, NAME)
    assert (without.server_name, without.name) == (None, NAME)
    assert public(["owa.contoso.test"])[0].target(NAME).server_name == "owa.contoso.test"
    assert public(["10.0.0.100"])[0].target(NAME).server_name == NAME


@pytest.mark.parametrize("way", ["BACKEND", "TRANSPORT", "LDAPS"])
def test_what_is_the_servers_own_is_judged_by_the_servers_name(way: str) -> None:
    assert Port(SERVERS[0], way, Endpoint("10.0.0.1", 444)).target(NAME).name == SERVERS[0]


def test_a_wave_is_the_ports_of_its_servers() -> None:
    everything = (*standard(SERVERS), *public([SERVERS[0]]))
    assert of(everything, SERVERS[:1]) == standard(SERVERS[:1])


def test_services_that_do_not_get_the_certificate_are_not_asked() -> None:
    everything = (*standard(SERVERS), *public([NAME]))
    found = asked(everything, {SERVERS[0]: Service.IIS, SERVERS[1]: Service.SMTP})
    ways = {(p.server, p.way) for p in found}
    assert (SERVERS[0], "WEB") in ways
    assert (SERVERS[0], "SMTP") not in ways
    assert (SERVERS[1], "SMTP") in ways
    assert (SERVERS[1], "IIS") not in ways
    assert {(NAME, "IIS"), (NAME, "SMTP")} <= ways
    assert (NAME, "POPS") not in ways
    assert {(server, "BACKEND") for server in SERVERS} <= ways


def test_where_nothing_was_asked_for_all_services_are_looked_at() -> None:
    assert asked(standard(SERVERS), {SERVERS[0]: None}) == standard(SERVERS)
    assert asked(public([NAME]), {}) == public([NAME])


def test_a_name_without_several_addresses_stays_a_name() -> None:
    ports = (*chosen(["IIS:127.0.0.1:443"], ["ex01"]), *public(["no-such-host.invalid"]))
    assert resolved(ports, timeout=2) == ports
    assert resolved(()) == ()


def test_a_name_with_several_addresses_is_looked_at_on_each(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (address, port)) for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1")]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    found = resolved(chosen(["BALANCER/IIS:mail.contoso.test:8443"], SERVERS))
    assert [str(port.endpoint) for port in found] == ["192.0.2.1:8443", "192.0.2.2:8443", "[2001:db8::1]:8443"]
    assert {(port.server, port.name, port.shared) for port in found} == {(NAME, NAME, True)}
    assert len({port.key for port in found}) == len(found)


@settings(deadline=None)
@given(st.text(), st.sampled_from(["", "IIS:", "BALANCER/IIS:", "EDGE/LDAPS:", "ex01.contoso.test/SMTP:"]))
def test_whatever_is_written_is_read_or_refused_in_words(text: str, start: str) -> None:
    assert refusal(start + text).startswith("verify: ")


def refusal(word: str) -> str:
    """What is said against a word; only the parameter's name if nothing is."""
    try:
        chosen([word], SERVERS)
    except ValueError as error:
        return str(error)
    return "verify: "


def test_nothing_to_look_at_shows_nothing() -> None:
    assert look((), NAME) == []


def test_public_names_are_checked_like_ports() -> None:
    assert chosen_public([NAME, "10.0.0.100"]) == public([NAME, "10.0.0.100"])
    assert chosen_public(["OFF"]) == ()
    with pytest.raises(ValueError, match="public_names: 'https://mail' is neither a host name nor an address"):
        chosen_public(["https://mail"])
