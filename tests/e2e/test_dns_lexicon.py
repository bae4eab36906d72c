"""A provider of dns-lexicon from the command line to the certificate: its `ddns`, and BIND."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.bind import World, bind_world
from world.proofs import Proofs, proofs
from world.site import ISSUER

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with bind_world() as started:
        started.zone("contoso.test")
        yield started


@pytest.fixture
def one(world: World, tmp_path: Path) -> Iterator[Proofs]:
    with proofs(tmp_path, world) as started:
        yield started


def test_stored_tried_used_and_nothing_is_left(one: Proofs, tmp_path: Path) -> None:
    key = one.world.key
    file = tmp_path / "token"
    file.write_text(f"{key.algorithm}:{key.name}:{key.secret}\n")
    options = ["--auth-token-file", str(file), "--ddns-server", one.world.primary, "--zone", "contoso.test"]
    stored = one.site.cli("credential", "add", "dns:lexicon:ddns", "library", *options, code=0)
    assert "signed in for the zone contoso.test" in stored.out
    tried = one.site.cli("credential", "test", "library", "contoso.test", code=0)
    listed = one.site.cli("credential", "list", "--json", code=0)
    assert "dns:lexicon:ddns" in listed.out
    names = ["contoso.test", "*.contoso.test"]
    one.site.cli("certificate", "new", *names, "--issuer", ISSUER, "--dns", "library", "--key", "ecdsa-p256", code=0)
    requested = one.site.cli("certificate", "request", "contoso.test", code=0)
    assert one.standing("_acme-challenge.contoso.test") == []
    assert not any(key.secret in ended.told for ended in (stored, tried, listed, requested))


def test_the_kinds_of_credential_are_listed_with_a_sentence_each(one: Proofs) -> None:
    rows = json.loads(one.site.cli("credential", "kinds", "--json", code=0).out)
    kinds = {row["kind"]: row for row in rows}
    assert {"exchange", "pfx", "dns:rfc2136", "dns:script", "dns:lexicon:gandi"} <= kinds.keys()
    assert all(row["for"].endswith((".", ":")) for row in rows)
    assert kinds["dns:lexicon:route53"]["unavailable"] == "Install boto3."
    assert kinds["dns:lexicon:gandi"]["unavailable"] == ""


def test_the_many_are_not_one(one: Proofs) -> None:
    ended = one.site.cli("credential", "add", "dns:lexicon", "x", code=2)
    assert "stands for many" in ended.told
    ended = one.site.cli("credential", "add", "dns:lexicon:gandy", "x", code=2)
    assert "Did you mean lexicon:gandi?" in ended.told
