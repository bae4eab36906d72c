"""XML answers, friendly and hostile."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.errors import Unreachable
from certwright.rest import Answer
from certwright.rest.xml import read_xml


def answer(body: bytes) -> Answer:
    return Answer("GET route53.amazonaws.com/x", 200, {}, body)


def test_names_are_read_without_their_namespaces() -> None:
    root = read_xml(answer(b'<?xml version="1.0"?><a xmlns="urn:x" xmlns:y="urn:y"><y:b>1 &lt; 2</y:b></a>'), "a")
    assert (root.tag, root.findtext("b")) == ("a", "1 < 2")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no XML",
        b"<a>",
        b"<html><body>Please sign in</body></html>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4APA-a/+AD4-',
        b"<a>\xff</a>",
        b"<a>&unknown;</a>",
        b"\x00",
    ],
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(Unreachable) as caught:
        read_xml(answer(body), "a")
    assert "not as documented" in caught.value.message
    assert "proxy" in caught.value.hint


def test_deep_nesting_breaks_nothing() -> None:
    depth = 100_000
    root = read_xml(answer(b"<a>" * depth + b"</a>" * depth))
    assert sum(1 for _ in root.iter()) == depth


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with suppress(Unreachable):
        read_xml(answer(body))
