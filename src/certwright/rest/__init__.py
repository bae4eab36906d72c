"""How the HTTP APIs of vendors are asked: paced, bounded in time and size, tried again where that helps."""

from certwright.rest.api import Answer, Api, refused
from certwright.rest.secret_address import SecretAddress
from certwright.rest.zones import Merge, change_each, unknown_zone, unless_overtaken, with_added, without, zones_seen

__all__ = [
    "Answer",
    "Api",
    "Merge",
    "SecretAddress",
    "change_each",
    "refused",
    "unknown_zone",
    "unless_overtaken",
    "with_added",
    "without",
    "zones_seen",
]
