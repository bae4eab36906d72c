"""The program that is handed out, and the report that comes back from wherever it was."""

import ast
import difflib
import json
import sys
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import ConfigurationError, InvalidMaterial
from certwright.probe import Target
from certwright.probe.outside import outside_script, public_targets, read_outside_report

NAME = "mail.contoso.test"
EXPECTED = "ab" * 32
ROW: dict[str, Any] = {
    "host": NAME,
    "port": 443,
    "starttls": None,
    "server_name": NAME,
    "required": True,
    "address": "192.0.2.1",
    "verdict": "ok",
    "protocol": "TLSv1.3",
    "sha256": EXPECTED,
    "trusted": True,
    "detail": "serves the expected certificate",
}
CLOSED = {**ROW, "verdict": "closed", "address": None, "protocol": None, "sha256": None, "trusted": None}


def report(*rows: dict[str, Any], **more: Any) -> str:
    whole = {
        "format": "certwright-outside/1",
        "taken_at": "2026-11-22T12:00:00Z",
        "expected_sha256": EXPECTED,
        "rows": rows or (ROW,),
    }
    return json.dumps(whole | more)


def code() -> str:
    return resources.files("certwright.probe").joinpath("outside_prober.py").read_text("utf-8")


def test_the_program_is_python_3_9_and_needs_nothing_but_python() -> None:
    tree = ast.parse(code(), feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "ssl" in imported
    assert imported <= sys.stdlib_module_names
    assert code().isascii()


def test_nothing_but_one_line_of_data_is_written_into_the_program() -> None:
    script = outside_script(public_targets("192.0.2.1", NAME), EXPECTED.upper(), [NAME, "autodiscover.contoso.test"])
    changed = [line for line in difflib.ndiff(code().splitlines(), script.splitlines()) if line[0] in "+-"]
    removed, added = changed
    assert removed == '- JOB = "null"'
    (statement,) = ast.parse(added[2:]).body
    assert isinstance(statement, ast.Assign)
    job = json.loads(ast.literal_eval(statement.value))
    assert job["expected_sha256"] == EXPECTED
    assert [(t["host"], t["port"], t["starttls"], t["server_name"]) for t in job["targets"] if not t["required"]] == [
        ("192.0.2.1", 443, None, NAME),
        ("192.0.2.1", 443, None, None),
        ("192.0.2.1", 25, "smtp", NAME),
        ("192.0.2.1", 587, "smtp", NAME),
        ("192.0.2.1", 143, "imap", NAME),
        ("192.0.2.1", 993, None, NAME),
        ("192.0.2.1", 110, "pop3", NAME),
        ("192.0.2.1", 995, None, NAME),
    ]
    assert [(t["host"], t["port"], t["server_name"]) for t in job["targets"] if t["required"]] == [
        (NAME, 443, NAME),
        ("autodiscover.contoso.test", 443, "autodiscover.contoso.test"),
    ]


def test_no_target_is_looked_at_twice() -> None:
    target = Target(NAME, 443, server_name=NAME)
    script = outside_script([target, target], EXPECTED, [NAME, NAME])
    assert script.count(f'"host": "{NAME}"') == 1
    assert '"required": true' in script


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a\nimport os", "a\\", "", "a b"])
def test_what_is_no_name_does_not_come_into_the_program(name: str) -> None:
    with pytest.raises(ConfigurationError):
        outside_script([], EXPECTED, [name])


@pytest.mark.parametrize("expected", ["", "ab", "zz" * 32, f"{EXPECTED}\n", f"'{EXPECTED}"])
def test_what_is_no_sha256_does_not_either(expected: str) -> None:
    with pytest.raises(ConfigurationError, match="SHA-256"):
        outside_script([], expected, [NAME])


def test_ldap_is_not_looked_at_from_outside() -> None:
    with pytest.raises(ConfigurationError, match="LDAP"):
        outside_script([Target(NAME, 389, "ldap")], EXPECTED, [])


def test_a_report_is_read() -> None:
    found = read_outside_report(report())
    assert found.taken_at == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert found.rows[0].model_dump() == ROW
    assert found.good


@pytest.mark.parametrize("host", ["EX01_OLD", "192.0.2.1", "2001:db8::1", "fe80::1%eth0"])
def test_every_host_that_can_be_looked_at_can_be_reported(host: str) -> None:
    assert f'"host": "{host}"' in outside_script([Target(host, 443)], EXPECTED, [])
    assert read_outside_report(report({**ROW, "host": host})).rows[0].host == host


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_report_may_come_in_what_windows_makes_of_it(encoding: str) -> None:
    assert read_outside_report(report().replace("\n", "\r\n").encode(encoding)).good
    assert read_outside_report(f"\ufeff{report()}").good


@pytest.mark.parametrize(
    ("rows", "good"),
    [
        ([ROW, {**CLOSED, "required": False}], True),
        ([ROW, CLOSED], False),
        ([{**CLOSED, "required": False}], False),
        ([ROW, {**ROW, "verdict": "untrusted", "trusted": False}], False),
        ([ROW, {**ROW, "verdict": "other", "sha256": "cd" * 32, "trusted": None, "required": False}], False),
        ([ROW, {**ROW, "verdict": "fault", "required": False}], False),
    ],
)
def test_a_report_is_good_if_nothing_has_to_be_done(rows: list[dict[str, Any]], good: bool) -> None:
    assert read_outside_report(report(*rows)).good is good


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSON"),
        ("ok  mail:443 TLS", "JSON"),
        ("[]", "object"),
        (b"\xff\xfe\x00", "no text"),
        (b"\x80", "no text"),
        ("[" * 100_000, "JSON"),
        ("x" * 1_000_001, "longer than"),
        (report(format="certwright-outside/2"), "format"),
        (report(more=1), "more"),
        (report(rows=[]), "rows"),
        (report(rows=[CLOSED] * 1001), "rows"),
        (report(taken_at="yesterday"), "taken_at"),
        (report(taken_at="2026-11-22T12:00:00"), "taken_at"),
        (report(expected_sha256="AB" * 32), "expected_sha256"),
        (report({**ROW, "\x1b[31m": 1}), "rows.0..[31m"),
        (report({**ROW, "host": "<script>"}), "rows.0.host"),
        (report({**ROW, "host": "a\n"}), "rows.0.host"),
        (report({**ROW, "port": "443"}), "rows.0.port"),
        (report({**ROW, "port": 0}), "rows.0.port"),
        (report({**ROW, "starttls": "ldap"}), "rows.0.starttls"),
        (report({**ROW, "address": "mail"}), "rows.0.address"),
        (report({**ROW, "verdict": "fine"}), "rows.0.verdict"),
        (report({**ROW, "protocol": "TLSv9"}), "rows.0.protocol"),
        (report({**ROW, "detail": "\x1b[31m"}), "rows.0.detail"),
        (report({**ROW, "detail": "x" * 201}), "rows.0.detail"),
        (report({**ROW, "sha256": "cd" * 32}), "is called ok but serves another certificate"),
        (report({**ROW, "sha256": None}), "is called ok but serves another certificate"),
        (report({**ROW, "verdict": "other"}), "is called other but does not"),
    ],
)
def test_what_is_no_report_is_refused_with_the_reason(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidMaterial) as caught:
        read_outside_report(text)
    assert reason in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.text() | st.binary() | JSON.map(json.dumps) | st.dictionaries(st.sampled_from(list(ROW)), JSON).map(report))
def test_whatever_is_brought_back_is_a_report_or_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidMaterial) as caught:
        read_outside_report(text)
    assert caught.value.message.isprintable()


@given(st.sampled_from(list(ROW)), JSON)
def test_one_wrong_value_is_enough_to_refuse_or_harmless(field: str, value: Any) -> None:
    try:
        found = read_outside_report(report({**ROW, field: value}))
    except InvalidMaterial:
        return
    assert found.rows[0].detail.isprintable()
