"""Log lines: each with its run, none with a secret."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from certwright.domain.keys import KeyType, generate, private_key_pem
from certwright.domain.runs import Entry, Outcome, Phase
from certwright.engine.logs import JsonLines, Lines, current_run, log_entries, log_entry
from certwright.engine.scrub import GONE

KEY = generate(KeyType.ECDSA_P256)
PEM = private_key_pem(KEY).decode()


@contextmanager
def written(formatter: logging.Formatter) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger, and what it wrote."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger = logging.Logger("test")  # noqa: LOG001 - nobody else must hear it
    logger.addHandler(handler)
    yield logger, out


def fail(message: str) -> None:
    raise ValueError(message)


def told(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_when_how_grave_and_what() -> None:
    with written(JsonLines()) as (log, out):
        log.warning("%s: it is %d degrees", "mail", 40)
    (line,) = told(out)
    assert datetime.fromisoformat(line.pop("at")).tzinfo == UTC
    assert line == {"level": "warning", "message": "mail: it is 40 degrees"}


def test_a_line_has_the_run_of_its_thread_or_the_one_it_is_given() -> None:
    with written(JsonLines()) as (log, out):
        outside = current_run.set("run-1")
        log.info("within")
        log.info("of another", extra={"run": "run-2", "certificate": "c1"})
        current_run.reset(outside)
        log.info("after")
    within, other, after = told(out)
    assert within["run"] == "run-1"
    assert (other["run"], other["certificate"]) == ("run-2", "c1")
    assert "run" not in after


def test_people_see_the_run_at_the_end_of_the_line() -> None:
    with written(Lines("%(levelname)s %(message)s")) as (log, out):
        log.info("it failed", extra={"run": "abc"})
        log.info("it began")
    assert out.getvalue() == "INFO it failed (run abc)\nINFO it began\n"


@pytest.mark.parametrize("formatter", [JsonLines(), Lines("%(message)s")])
@pytest.mark.parametrize(
    "secret",
    [SecretStr("c4nary"), b"c4nary", bytearray(b"c4nary"), memoryview(b"c4nary"), KEY],
    ids=lambda secret: type(secret).__name__,
)
def test_what_is_secret_by_its_type_is_not_written(formatter: logging.Formatter, secret: object) -> None:
    with written(formatter) as (log, out):
        log.info("got %s", secret)
        log.info("got %(it)r", {"it": secret})
        log.info("got %s", 5, extra={"detail": secret})
    assert out.getvalue().count(GONE) >= 2
    assert "c4nary" not in out.getvalue()
    assert "EllipticCurve" not in out.getvalue()


@pytest.mark.parametrize("formatter", [JsonLines(), Lines("%(message)s")])
@pytest.mark.parametrize(
    "text",
    [PEM, "GET https://u:c4nary@proxy.test/x", "Authorization: Basic c4naryc4nary==", '{"password": "c4nary"}'],
    ids=["key", "url", "header", "json"],
)
def test_what_looks_like_a_secret_is_not_written_in_tracebacks_either(formatter: logging.Formatter, text: str) -> None:
    with written(formatter) as (log, out):
        log.info("it said %s", text)
        try:
            fail(text)
        except ValueError:
            log.exception("unexpected")
    assert "ValueError" in out.getvalue()
    assert "c4nary" not in out.getvalue()
    assert not any(line in out.getvalue() for line in PEM.splitlines()[1:-1])


def test_a_traceback_is_one_line_of_json() -> None:
    with written(JsonLines()) as (log, out):
        try:
            fail("two\nlines")
        except ValueError:
            log.exception("unexpected")
    (line,) = told(out)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: two\nlines")


def test_what_the_system_cannot_encode_is_written_all_the_same() -> None:
    with written(JsonLines()) as (log, out):
        log.info("a lone surrogate: %s", "\udc80", extra={"detail": {"of": {1, 2}}})
    assert told(out)[0]["message"].startswith("a lone surrogate")


def test_a_line_of_a_journal_is_a_line_of_the_log() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    log_entries(handler)
    try:
        log_entry(
            Entry(run_id="r", step=2, parent=1, phase=Phase.END, title="Bind", outcome=Outcome.FAILED, detail="d")
        )
    finally:
        logging.getLogger("certwright.journal").removeHandler(handler)
    (line,) = told(out)
    del line["at"]
    assert line == {
        "level": "info",
        "message": "Bind",
        "run": "r",
        "step": 2,
        "parent": 1,
        "phase": "end",
        "outcome": "failed",
        "detail": "d",
    }
