"""Where in the guide each page is described: the section that has its name."""

import re

_PAGES = "pages"
_SECTIONS = tuple(
    (re.compile(pattern), section)
    for pattern, section in {
        r"/$": "overview",
        r"/account": "your-account",
        r"/audit": "audit",
        r"/bulk": "certificates",
        r"/certificates/[^/]+/exchange": "exchange",
        r"/certificates/[^/]+": "a-certificate",
        r"/certificates": "certificates",
        r"/credentials": "credentials",
        r"/exchange": "exchange",
        r"/first-start": "first-start",
        r"/issuers": "issuers",
        r"/new": "new-certificate",
        r"/notifications": "notifications",
        r"/people": "people--tokens",
        r"/runs": "a-run",
        r"/settings": "settings",
        r"/system": "system",
        r"/tasks": "tasks",
        r"/watched": "watched",
        r"/windows": "maintenance-windows",
        r"/working": "work-under-way",
        r"/guide": "how-pages-behave",
    }.items()
)
"""The first that an address begins with counts."""


def section(path: str) -> str:
    """The chapter and section, as an address below `/guide/`, for the page at this path."""
    found = (name for pattern, name in _SECTIONS if pattern.match(path))
    return f"{_PAGES}#{next(found, 'the-pages')}"
