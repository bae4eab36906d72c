"""Rich's console for words of strangers: its own colours are the only control sequences that reach a terminal."""

from typing import Any

from rich.console import Console
from rich.text import Text

from certwright.cli.streams import plain


class PlainConsole(Console):
    """A console that shows control characters of what it is given escaped."""

    def render_str(self, text: str, **given: Any) -> Text:
        """As Rich's own, of the text made plain."""
        return super().render_str(plain(text), **given)
