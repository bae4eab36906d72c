"""What people call things, and why they did something: one line, read as it is written."""

import unicodedata
from collections.abc import Container

from certwright.domain.errors import ConfigurationError

_ODD = {"Cc": "a control character", "Cf": "an invisible formatting character", "Zl": "a line end", "Zp": "a line end"}


def odd_in(text: str) -> str:
    """What would have `text` shown otherwise than it is, such as in another direction; empty if nothing would."""
    found = ((each, _ODD[kind]) for each in text if (kind := unicodedata.category(each)) in _ODD)
    return next((f"There is {what} in it (U+{ord(each):04X})." for each, what in found), "")


def check_line(text: str, what: str) -> None:
    """Refuse what would be shown otherwise than it is, or as the same as something else.

    Raises:
        ConfigurationError: naming `what` it is.
    """
    if text != text.strip():
        raise ConfigurationError(f"{what} cannot be taken. There are blanks around it.", hint="Leave them out.")
    if odd := odd_in(text):
        raise ConfigurationError(f"{what} cannot be taken. {odd}", hint="Type it anew, instead of pasting it.")


def check_new_name(name: str, known: Container[str] = ()) -> None:
    """As `check_line`, for what goes by its name alone: no program could ask the API for one that is a path.

    Args:
        name: what it is to be called.
        known: the names that there are; these may be what they are.

    Raises:
        ConfigurationError: if it cannot be called so.
    """
    check_line(name, "The name")
    if name not in known and ("/" in name or name in (".", "..")):
        raise ConfigurationError(
            "The name cannot be taken. It is part of addresses, in which / and the names . and .. lead elsewhere.",
            hint="Choose another, with - in place of each /.",
        )
