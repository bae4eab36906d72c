"""The REST API, version 1: one file a resource, over the same use cases as the command line.

`application` makes it; every operation but the description of the API itself asks `access.needs` for a permission.
"""

from certwright.api.app import RESOURCES, application
from certwright.api.changes import PREFIX

__all__ = ["PREFIX", "RESOURCES", "application"]
