"""Errors that end nothing: told in the journal, and if nobody expected them, with their traceback in the log."""

import logging

from certwright.domain.errors import CertwrightError

log = logging.getLogger("certwright")


def in_words(error: Exception, at: str) -> str:
    """One sentence about `error`, which was met `at` some work and ends nothing.

    What is no `CertwrightError` is a fault, and its words could hold a secret: the log has it, scrubbed.
    """
    if isinstance(error, CertwrightError):
        return error.message
    log.error("unexpected, at %s", at, exc_info=error)
    return f"It was stopped by an unexpected {type(error).__name__}; the log has the details."
