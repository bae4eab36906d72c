"""The Exchange task with less patience than production needs: a test's server answers at once or never."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from certwright.cli import main
from certwright.exchange.verification.verify import Patience
from certwright.remoting.psrp import Limits
from certwright.tasks.exchange import Exchange


@contextmanager
def hurried() -> Iterator[None]:
    """Shorter waits for every Exchange task of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchange, "limits", Limits(connect=5, reply=8, poll=1, call=6))
        patch.setattr(Exchange, "patience", Patience(total=3, first=0.1, longest=0.5))
        patch.setattr(Exchange, "pauses", (0.05, 0.1))
        yield


def command_line(*arguments: str) -> None:
    """What the `certwright` command does, hurried."""
    sys.argv = ["certwright", *arguments]
    with hurried():
        main()
