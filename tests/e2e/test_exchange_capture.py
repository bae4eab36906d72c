"""A redacted transcript of the simulated organisation: it holds no name of it, and can be read again."""

import base64
import json
import re
from pathlib import Path

import pytest

from certwright.exchange.discovery.capture import capture
from certwright.exchange_simulator import Fail, Recording, SendConnector
from certwright.remoting import clixml
from certwright.remoting.clixml import Obj
from peers.exchange_reading import USERNAME, Notes, Stock, spec, stocked

pytestmark = pytest.mark.e2e
LISTING = "Get-ExchangeServer"


def captured(stock: Stock) -> str:
    with stock.reached() as organisation:
        return capture(organisation, [stock.first.spec.fqdn], Notes())


def test_no_name_of_the_organisation_is_in_it(tmp_path: Path) -> None:
    specs = [spec("FINCH01", dag="WARBLERS"), spec("FINCH02", dag="WARBLERS", public_host="nest.contoso.test")]
    with stocked(tmp_path, *specs) as stock:
        stock.organisation.state.name = "Aviary Holdings"
        stock.organisation.state.send_connectors.append(SendConnector("To Ostrich", smart_hosts=("emu.kiwi.test",)))
        issued = stock.authority.issue("nest.contoso.test", "autodiscover.contoso.test", rsa_key=True)
        stock.first.add_certificate(issued.pfx("pfx", legacy=True), "pfx")
        thumbprints = [t for s in stock.organisation.servers.values() for t in s.state.certificates]
        text = captured(stock)
    octets = [base64.b64decode(found) for found in re.findall(r"<BA[^>]*>([^<]+)</BA>", text)]
    everything = " ".join([text, *(data.decode("latin-1") for data in octets)]).lower()
    assert len(octets) > 6
    names = ("finch", "warbler", "contoso", "aviary", "ostrich", "emu.", "kiwi", "dc01", "nest.", "test intermediate")
    for name in (*names, USERNAME, *thumbprints):
        assert name.lower() not in everything


def test_what_was_in_the_streams_that_are_left_out_is_told(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        calls = [json.loads(line) for line in captured(stock).splitlines()]
    (stream, *_) = [stream for call in calls for stream in call.get("serialization", ())]
    assert stream["class"].endswith("ExchangeCertificate")
    assert stream["signed"]
    assert stream["members"].keys() >= {"CertData", "Services", "Status", "IISServices"}


def test_raw_certificates_and_queues_are_in_it_whatever_fails(tmp_path: Path) -> None:
    with stocked(tmp_path) as stock:
        stock.first.faults.inject(Fail("The queue viewer is away."), "Get-Queue", times=None)
        calls = [json.loads(line) for line in captured(stock).splitlines()]
    asked = [" | ".join(c["name"] for c in call["command"]) for call in calls]
    assert asked.count("Get-ExchangeCertificate") == 2
    (failed,) = [call for call in calls if call["command"][0]["name"] == "Get-Queue"]
    assert failed["errors"]


def test_what_was_captured_can_be_discovered_again(tmp_path: Path) -> None:
    hidden = ("Get-FederationTrust",)
    with stocked(tmp_path, spec("MAIL01"), spec("MAIL02"), hidden_cmdlets=hidden) as stock:
        original = stock.discovered()
        text = captured(stock)
    listing = next(call for line in text.splitlines() if (call := json.loads(line))["command"][0]["name"] == LISTING)
    server = clixml.read(listing["output"][0])
    assert isinstance(server, Obj)
    name = str(server.properties["Fqdn"])
    with stocked(tmp_path, recording=Recording(text.splitlines())) as replayed:
        found = replayed.discovered([name], endpoint={name: replayed.first.powershell_url})
    assert [s.info.version for s in found.servers] == [s.info.version for s in original.servers]
    assert found.rights == original.rights
    assert {u.what for u in found.unknown} == {u.what for u in original.unknown} == {"the federation trust"}
    for made, real in zip(found.servers, original.servers, strict=True):
        assert [c.services for c in made.certificates] == [c.services for c in real.certificates]
        assert [c.facts and c.facts.key for c in made.certificates] == [
            c.facts and c.facts.key for c in real.certificates
        ]
        assert made.certificate(made.internal_transport) is not None
        assert made.connectors is not None
        assert real.connectors is not None
        assert [c.ports for c in made.connectors] == [c.ports for c in real.connectors]
        assert made.info.name != real.info.name
        assert not made.unknown
