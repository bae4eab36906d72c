"""A peer's text, made safe to show."""


def printable(text: str) -> str:
    """``text`` without control characters: a terminal would obey them."""
    if text.isprintable():  # as nearly all is
        return text
    return "".join(c if c.isprintable() else " " for c in text)
