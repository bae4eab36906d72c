import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import problem
from certwright.acme.identifier import Identifier
from certwright.acme.problem import Problem
from certwright.acme.transport import Headers, Response
from unit.acme.memory_ca import answer

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = st.sampled_from(["type", "title", "detail", "status", "instance", "identifier", "subproblems", "value"])


def test_the_example_of_rfc_8555_with_subproblems() -> None:
    # RFC 8555 section 6.7.1
    document = {
        "type": "urn:ietf:params:acme:error:malformed",
        "detail": "Some of the identifiers requested were rejected",
        "subproblems": [
            {
                "type": "urn:ietf:params:acme:error:malformed",
                "detail": 'Invalid underscore in DNS name "_example.org"',
                "identifier": {"type": "dns", "value": "_example.org"},
            },
            {
                "type": "urn:ietf:params:acme:error:rejectedIdentifier",
                "detail": 'This CA will not issue for "example.net"',
                "identifier": {"type": "dns", "value": "example.net"},
            },
        ],
    }
    read = Problem.from_response(answer(403, document, kind="application/problem+json"))
    assert read.type == problem.MALFORMED
    assert read.status == 403
    assert [sub.identifier for sub in read.subproblems] == [
        Identifier.dns("_example.org"),
        Identifier.dns("example.net"),
    ]
    assert read.subproblems[1].type == problem.REJECTED_IDENTIFIER
    assert str(read) == (
        "Some of the identifiers requested were rejected [malformed]; "
        '_example.org: Invalid underscore in DNS name "_example.org" [malformed]; '
        'example.net: This CA will not issue for "example.net" [rejectedIdentifier]'
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"<html><body>Bad Gateway</body></html>", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"[]", b'{"a": 1}'],
)
def test_an_error_without_a_problem_document_tells_the_status(body: bytes) -> None:
    read = Problem.from_response(Response(502, Headers([("Content-Type", "text/html")]), body))
    assert read == Problem(status=502, detail="HTTP 502 without a problem document (text/html)")


def test_the_words_cannot_steer_a_terminal_or_fill_a_log() -> None:
    read = Problem.parse({"detail": "no\x1b[2J\r\nwell" + "x" * 10_000, "type": "\x07"})
    assert read.detail.startswith("no [2J  wellx")
    assert len(read.detail) <= 2000
    assert read.type == problem.BLANK


def test_a_problem_without_words_says_so() -> None:
    assert str(Problem()) == "no reason given"
    assert str(Problem(title="Nope")) == "Nope"


def test_foreign_types_keep_their_name() -> None:
    assert Problem(type="https://example.org/odd").name == "https://example.org/odd"
    assert Problem(type=problem.RATE_LIMITED).name == "rateLimited"


def test_subproblems_do_not_nest() -> None:
    inner = {"detail": "inner"}
    read = Problem.parse({"subproblems": [{"detail": "outer", "subproblems": [inner]}, 3]})
    assert read.subproblems == (Problem(detail="outer"),)


@given(ANY_JSON | st.dictionaries(NAMES, ANY_JSON))
def test_any_json_is_read_without_failing(data: object) -> None:
    read = Problem.parse(data)
    assert str(read)
    assert all(character.isprintable() for character in read.detail)
    assert Problem.from_response(Response(400, Headers(), json.dumps(data).encode())).status == 400


@given(st.binary())
def test_any_bytes_are_read_without_failing(body: bytes) -> None:
    assert str(Problem.from_response(Response(500, Headers(), body)))
