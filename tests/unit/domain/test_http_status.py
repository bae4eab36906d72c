"""Which status an error is, for API and pages alike."""

from collections.abc import Iterator

import pytest

from certwright.domain import errors
from certwright.domain.errors import CertwrightError
from certwright.domain.http_status import status_of


def kinds(kind: type[CertwrightError] = CertwrightError) -> Iterator[type[CertwrightError]]:
    """All of the tree that are made of a sentence alone."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from kinds(below)


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_error_has_one(kind: type[CertwrightError]) -> None:
    error = kind.__new__(kind)
    assert 400 <= status_of(error) < 600


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.NotSignedIn, 401),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.LeaseHeld, 409),
        (errors.Changed, 412),
        (errors.Taken, 412),
        (errors.InvalidMaterial, 422),
        (errors.AuthorityAway, 502),
        (errors.StoreError, 503),
        (errors.LeaseLost, 503),
    ],
)
def test_the_narrower_kind_decides(kind: type[CertwrightError], status: int) -> None:
    assert status_of(kind("x")) == status
