"""The catalogue of authorities on the command line: an authority is named, not typed as an address."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from world.site import Site, authority

pytestmark = pytest.mark.e2e
WHO = ("--email", "postmaster@contoso.test", "--agree-tos")


def test_authorities_are_listed_without_a_store_and_without_a_network(tmp_path: Path) -> None:
    listed = Site(tmp_path).cli("issuer", "authorities", "--json", code=0)
    known = {entry["name"]: entry for entry in json.loads(listed.out)}
    assert known["letsencrypt"]["directory"] == "https://acme-v02.api.letsencrypt.org/directory"
    assert "gcloud publicca" in known["google"]["external_account"]
    assert "buypass" not in known
    assert "profile shortlived" in Site(tmp_path).cli("issuer", "authorities", code=0).out


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--authority", "buypass"), "Buypass has issued no certificates since 31 October 2025."),
        (("--directory", "https://api.buypass.com/acme/directory"), "Buypass has issued no certificates"),
        (("--authority", "letsencript"), "Did you mean letsencrypt?"),
        (("--authority", "step-ca"), "The directory is https://HOST/acme/PROVISIONER/directory"),
        ((), "Give --directory https://..., or --authority"),
    ],
)
def test_an_authority_that_cannot_be_asked_is_told_at_once(tmp_path: Path, typed: tuple[str, ...], told: str) -> None:
    refused = Site(tmp_path).initialise().cli("issuer", "add", "acme", "ca", *typed, *WHO, code=2)
    assert told in refused.told


def test_a_house_authority_may_issue_for_internal_names(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        site.cli("issuer", "add", "acme", "house", "--authority", "step-ca", *ca.issuer_options, code=0)
        (issuer,) = json.loads(site.cli("issuer", "list", "--json", code=0).out)
        assert issuer["params"]["authority"] == "step-ca"
        assert issuer["params"]["directory"] == ca.server.directory_url
        assert issuer["capabilities"]["internal_names"]


def test_limits_are_shown_with_when_a_bulk_would_be_done(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        options = (*ca.issuer_options, "--internal-names")
        site.cli("issuer", "add", "acme", "le", "--authority", "letsencrypt", *options, code=0)
        site.cli("issuer", "add", "acme", "own", *options, code=0)
        shown = site.cli("issuer", "limits", "le", "--requests", "400", code=0)
        assert "300 orders of one account within 3 hours" in shown.out
        assert "400 requests done by" in shown.out
        listed = json.loads(site.cli("issuer", "limits", "le", "--requests", "400", "--json", code=0).out)
        orders = next(level for level in listed if level["limit"] == "orders")
        wait = datetime.fromisoformat(orders["done_at"]) - datetime.fromisoformat(orders["full_at"])
        assert (orders["left"], wait) == (300, 100 * timedelta(seconds=36))
        assert "Nothing is known that limits 'own'." in site.cli("issuer", "limits", "own", code=0).out
        assert "There is no issuer 'x'" in site.cli("issuer", "limits", "x", code=2).told


def test_several_issuers_are_chosen_in_order(tmp_path: Path) -> None:
    with authority() as ca:
        site = Site(tmp_path).initialise()
        for name in ("first", "second"):
            site.cli("issuer", "add", "acme", name, *ca.issuer_options, code=0)
        issuers = ("--issuer", "first", "--issuer", "second")
        site.cli("certificate", "new", "mail.contoso.test", *issuers, *ca.http_options, code=0)
        assert "first, else second" in site.cli("certificate", "show", "mail.contoso.test", code=0).out
        changed = site.cli("certificate", "issuers", "mail.contoso.test", "second", "first", "--json", code=0)
        assert json.loads(changed.out)["fallback_issuers"] == ["first"]
        assert "second, else first" in site.cli("certificate", "list", code=0).out
        assert "third" in site.cli("certificate", "issuers", "mail.contoso.test", "third", code=2).told
