import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.keys import KeyType, generate, private_key_pem
from certwright.engine.scrub import GONE, Scrubber
from certwright.store.crypto import RecoveryKey, new_key
from world.leaks import forms

SECRETS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=8, max_size=60)


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_gone_in_every_form_in_which_it_travels(secret: str, before: str, after: str) -> None:
    scrubber = Scrubber([secret.encode()])
    for form in forms(secret.encode()):
        text = form.decode("latin-1")
        if "\0" not in text:
            assert text not in scrubber.text(f"{before} {text} {after}".replace(GONE, ""))


def test_the_parts_of_a_stored_secret_are_known() -> None:
    scrubber = Scrubber([json.dumps({"secret": "hunter-two", "lines": "first-line\nsecond-line"}).encode()])
    told = scrubber.text("hunter-two was refused; second-line; first-line")
    assert told == f"{GONE} was refused; {GONE}; {GONE}"


def test_what_is_known_is_found_in_the_basic_header_and_in_urls() -> None:
    scrubber = Scrubber([b"correct horse/battery"])
    header = base64.b64encode(b"svc@contoso.test:correct horse/battery").decode()
    assert base64.b64encode(b"horse/batt").decode()[4:-4] not in scrubber.text(f"X-Header {header}")
    assert "battery" not in scrubber.text("GET /?p=correct%20horse%2Fbattery and correct+horse%2Fbattery")


KEY = private_key_pem(generate(KeyType.ECDSA_P256)).decode()


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        KEY.splitlines()[1],
        str(RecoveryKey.generate()),
        base64.b64encode(new_key()).decode(),
        "https://anna:letmein@proxy.contoso.test/",
    ],
    ids=["key", "line of a key", "recovery key", "master key", "user and password"],
)
def test_what_looks_like_a_secret_is_gone(secret: str) -> None:
    told = Scrubber([]).text(f"it said {secret} and left")
    assert told.startswith("it said ")
    assert told.endswith(" and left")
    middle = secret.strip().splitlines()[len(secret.strip().splitlines()) // 2]
    assert (middle if "://" not in middle else "letmein") not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Basic YW5uYTpsZXRtZWlu", f"Authorization{GONE}"),
        ('{"password": "letmein", "user": "anna"}', f'{{"password": {GONE}", "user": "anna"}}'),
        ("[type=x, input_value=Key('letmein', 3), input_type=Key]", f"[type=x, input_value={GONE}, input_type=Key]"),
        ("api_key=letmein&zone=3", f"api_key={GONE}&zone=3"),
    ],
)
def test_what_is_named_a_secret_is_gone(text: str, told: str) -> None:
    assert Scrubber([]).text(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "/var/lib/certwright/data/challenges/of/contoso/test/www/html",
        "https://acme-v02.api.letsencrypt.org/acme/finalize/1234567890/987654321012",
        "The password was refused: look at the credential 'exchange'.",
        "2026-12-01T03:00:00+00:00",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Scrubber([b"other"]).text(text) == text


def test_a_value_is_gone_through_to_its_leaves_and_keys() -> None:
    value = {"hunter-two": ["hunter-two", {"a": "x hunter-two"}], "n": 3, "t": ("hunter-two",), "none": None}
    made = {GONE: [GONE, {"a": f"x {GONE}"}], "n": 3, "t": [GONE], "none": None}
    assert Scrubber([b"hunter-two"]).value(value) == made
