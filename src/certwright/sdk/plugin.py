"""What solvers, DNS providers and tasks have in common: parameters, what they work with, and where they may do so."""

from abc import ABC
from typing import ClassVar, Generic, TypeVar

from certwright.sdk.params import P
from certwright.sdk.places import Places

C = TypeVar("C")


class Plugin(ABC, Generic[P, C]):
    """One that is at work with its parameters.

    `commands` tells that it runs programs, or writes files, that its parameters name.
    """

    Params: ClassVar[type]
    commands: ClassVar[bool] = False

    def __init__(self, params: P, context: C) -> None:
        self.params = params
        self.context = context

    @classmethod
    def check_places(cls, params: P, places: Places) -> None:
        """Return if what `params` name may be run, and written to; asked before they are stored, and before each run.

        Raises:
            ConfigurationError: if the administrator has not allowed it, with what is.
        """
