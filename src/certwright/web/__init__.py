"""The pages for people, one file a page: made on the server, readable without scripts.

`application` makes them. Every page but those of signing in names a permission; `app` lets in.
"""

from certwright.web.app import application
from certwright.web.first_start import SetupToken

__all__ = ["SetupToken", "application"]
