"""An error as it is kept and shown later: line by line, as `CertwrightError.explain` tells it.

What happened is the first line; what lies beneath is indented; what to do comes last.
"""

from certwright.domain.errors import CertwrightError

_MOST_CAUSES = 50
_LONGEST = 1000
_MOST_SHOWN = 4


def kept(error: CertwrightError) -> str:
    """An error as text that has its bounds, whatever peers wrote into it: its causes last give way, not what to do."""
    first, *more = [line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in error.explain()]
    beneath, after = [line for line in more if _is_beneath(line)], [line for line in more if not _is_beneath(line)]
    rest = len(beneath) - _MOST_CAUSES
    left = [f"  and {rest} lines more, in the log"] if rest > 0 else []
    return "\n".join([first, *beneath[:_MOST_CAUSES], *left, *after[:_MOST_CAUSES]])


def headline(text: str) -> str:
    """What happened."""
    return next(iter(text.splitlines()), "")


def advice(text: str) -> str:
    """What lies beneath, if that is little, and what to do; empty if nothing of that can be said in a few lines."""
    more = text.splitlines()[1:]
    if len(more) > _MOST_SHOWN:
        more = [line for line in more if not _is_beneath(line)]
    return "\n".join(more) if len(more) <= _MOST_SHOWN else ""


def _is_beneath(line: str) -> bool:
    return line.startswith(" ")
