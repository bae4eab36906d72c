import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.identifiers import Identifier
from certwright.domain.persist import PersistRecord, validation_name, zone_line

ACCOUNT = "https://ca.contoso.test/account/1"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
EPOCH = 1_798_761_600
_TAG = st.from_regex(r"x[a-z0-9]{0,8}(-[a-z0-9]{1,8})?", fullmatch=True)
_VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=";"))
RECORDS = st.builds(
    PersistRecord,
    issuer=st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,3}", fullmatch=True),
    account_uri=_VALUE.filter(bool),
    wildcard=st.booleans(),
    until=st.none() | st.integers(min_value=0, max_value=10**19),
)


@given(RECORDS)
def test_a_record_is_read_as_it_is_written(record: PersistRecord) -> None:
    assert PersistRecord.parse(str(record)) == record


@given(RECORDS, st.dictionaries(_TAG, _VALUE))
def test_unknown_parameters_are_left_out(record: PersistRecord, parameters: dict[str, str]) -> None:
    unknown = "".join(f"\t; {tag} = {value}" for tag, value in parameters.items())
    assert PersistRecord.parse(f" {record}{unknown} ") == record


@given(st.text() | st.text("ca.test;=accounturi persistUntil 09"))
def test_any_text_is_a_record_or_is_refused(text: str) -> None:
    try:
        record = PersistRecord.parse(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - most texts are none, and a few are
    else:
        assert PersistRecord.parse(str(record)) == record


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "domain name of an authority"),
        (f"; accounturi={ACCOUNT}", "domain name of an authority"),
        (f"ca.test.; accounturi={ACCOUNT}", "domain name of an authority"),
        ("ca.test", "no accounturi"),
        ("ca.test; accounturi=", "no accounturi"),
        (f"ca.test; accounturi={ACCOUNT};", "NAME=VALUE"),
        (f"ca.test; accounturi={ACCOUNT}; policy", "NAME=VALUE"),
        (f"ca.test; accounturi={ACCOUNT} x", "NAME=VALUE"),
        (f"ca.test; accounturi={ACCOUNT}; AccountURI={ACCOUNT}", "a parameter twice"),
        (f"ca.test; accounturi={ACCOUNT}; persistUntil=2027-01-01", "persistUntil"),
        (f"ca.test; accounturi={ACCOUNT}; persistUntil=-1", "persistUntil"),
    ],
)
def test_malformed_records(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        PersistRecord.parse(text)


@pytest.mark.parametrize(
    ("record", "wildcard", "reason"),
    [
        (PersistRecord("ca.test", ACCOUNT), False, None),
        (PersistRecord("ca.test", ACCOUNT), True, "lacks policy=wildcard"),
        (PersistRecord("ca.test", ACCOUNT, wildcard=True), True, None),
        (PersistRecord("ca.test", ACCOUNT, wildcard=True), False, None),
        (PersistRecord("other.test", ACCOUNT), False, "for the authority other.test"),
        (PersistRecord("ca.test", ACCOUNT.upper()), False, "for another account"),
        (PersistRecord("ca.test", ACCOUNT, until=EPOCH), False, None),
        (PersistRecord("ca.test", ACCOUNT, until=EPOCH - 1), False, "ended on 2026-12-31 23:59 UTC"),
        (PersistRecord("ca.test", ACCOUNT, until=10**19), False, None),
    ],
)
def test_what_keeps_a_record_from_authorizing(record: PersistRecord, wildcard: bool, reason: str | None) -> None:
    told = record.obstacle(("authority.test", "ca.test"), (ACCOUNT, "urn:other"), wildcard=wildcard, now=NOW)
    assert (told is None) if reason is None else (told is not None and reason in told)


def test_a_record_that_ends_beyond_all_calendars_has_no_end() -> None:
    assert PersistRecord("ca.test", ACCOUNT, until=10**19).expires is None
    assert PersistRecord("ca.test", ACCOUNT, until=EPOCH).expires == NOW


@pytest.mark.parametrize("name", ["contoso.test", "*.contoso.test"])
def test_a_name_and_its_wildcard_share_one_place(name: str) -> None:
    assert validation_name(Identifier.parse(name)) == "_validation-persist.contoso.test"


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=1000))
def test_a_zone_files_line_has_the_whole_value_in_short_strings(value: str) -> None:
    owner, kind, record_type, *strings = shlex.split(zone_line("_validation-persist.contoso.test", value))
    assert (owner, kind, record_type) == ("_validation-persist.contoso.test.", "IN", "TXT")
    assert "".join(strings) == value
    assert all(len(string) <= 255 for string in strings)


def test_a_line() -> None:
    record: Any = PersistRecord("ca.test", ACCOUNT, wildcard=True, until=EPOCH)
    assert zone_line("_validation-persist.contoso.test", str(record)) == (
        '_validation-persist.contoso.test. IN TXT "ca.test; accounturi=https://ca.contoso.test/account/1; '
        'policy=wildcard; persistUntil=1798761600"'
    )
