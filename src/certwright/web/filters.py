"""Which certificates a list shows, as its address says."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams

from certwright.domain.errors import ConfigurationError
from certwright.domain.health_rules import Health
from certwright.store.listing import Ends, Filter
from certwright.web.language import _, later

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LONGEST = 253
_NEVER = "never"
EXPIRY = {
    "": later("any"),
    "over": later("expired"),
    "7": later("within 7 days"),
    "30": later("within 30 days"),
    "90": later("within 90 days"),
    "later": later("soonest first"),
    _NEVER: later("never issued"),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is chosen in the form above the list, in its own words; empty where all will do."""

    health: tuple[Health, ...] = ()
    issuer: str = ""
    tag: str = ""
    target: str = ""
    name: str = ""
    expiry: str = ""

    @classmethod
    def of(cls, asked: QueryParams) -> Self:
        """As an address says; what is nothing to choose counts as not chosen."""
        texts = {name: asked.get(name, "")[:_LONGEST] for name in ("issuer", "tag", "target", "name")}
        expiry = asked.get("expiry", "")
        health = tuple(Health(each) for each in asked.getlist("health") if each in set(Health))
        return cls(health, **texts, expiry=expiry if expiry in EXPIRY else "")

    @classmethod
    def exactly(cls, query: str) -> Self:
        """As `of`, where whatever counted as not chosen would have more acted on than is meant.

        Raises:
            ConfigurationError: if something in it is nothing to choose.
        """
        chosen = cls.of(QueryParams(query))
        if sorted(parse_qsl(query)) != sorted(parse_qsl(chosen.query)):
            raise ConfigurationError(
                _("What this list is narrowed by is not understood, so nothing is done to it."),
                hint=_("Choose in the list of certificates anew."),
            )
        return chosen

    @property
    def query(self) -> str:
        """What is chosen, as an address says it; empty if that is nothing."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return urlencode({name: value for name, value in fields.items() if value}, doseq=True)

    def address(self, **more: str) -> str:
        """The address of the list, with more that it says."""
        said = "&".join(filter(None, (self.query, urlencode(more))))
        return f"/certificates?{said}" if said else "/certificates"

    def filter(self, now: datetime, after: str = "") -> Filter:
        """Which are wanted; where they are in the order of their ends, those after that place."""
        return Filter(
            health=self.health,
            issuer=self.issuer or None,
            tag=self.tag or None,
            target=self.target or None,
            part=self.name,
            ends=_ends(self.expiry, after, now),
            never_issued=self.expiry == _NEVER,
        )


def _ends(expiry: str, after: str, now: datetime) -> Ends | None:
    """In which order, and until when, and from where on."""
    until = {"over": now, "later": _LAST}.get(expiry)
    if until is None and expiry not in ("7", "30", "90"):
        return None
    begin = _FIRST if until else now
    until = until or now + timedelta(days=int(expiry))
    moment, _space, title = after.partition(" ")
    try:
        begun = datetime.fromisoformat(moment)
        begun = begun.astimezone(UTC) if begun.tzinfo else begin
    except (ValueError, OverflowError):
        return Ends(begin, "", until)
    return Ends(begun, title, until)
