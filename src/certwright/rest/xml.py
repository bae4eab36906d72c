"""XML answers, read without trusting who sent them."""

from xml.etree import ElementTree as ET

from certwright.domain.errors import Unreachable
from certwright.rest.api import Answer

_SHOWN = 300


def read_xml(answer: Answer, *expected: str) -> ET.Element:
    """The root element of the body, one of the `expected`, if any are; all names without their namespaces.

    Only UTF-8 without a document type is read, so that there are no entities but XML's own five.

    Raises:
        Unreachable: if the body is something else.
    """
    try:
        root = _root(answer.body.decode("utf-8"), expected)
    except (ValueError, ET.ParseError) as error:
        raise Unreachable(
            f"{answer.asked} answered {answer.status} with something that is not as documented.",
            causes=[ascii(answer.body[:_SHOWN].decode("latin-1"))],
            hint="Something between may have answered in its place: a proxy or a sign-in page.",
        ) from error
    return root


def _root(text: str, expected: tuple[str, ...]) -> ET.Element:
    if "<!DOCTYPE" in text:
        raise ValueError("a document type")
    root = ET.fromstring(text)  # noqa: S314 - a str is read as UTF-8 whatever it declares, and has no document type
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if expected and root.tag not in expected:
        raise ValueError("another document")
    return root
