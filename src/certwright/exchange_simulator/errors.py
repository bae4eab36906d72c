"""The one refusal that state transitions raise; cmdlets turn it into an error record of the real shape."""


class Refused(Exception):
    """Exchange would not do it; the text is what it says."""
