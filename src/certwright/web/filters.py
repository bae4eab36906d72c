"""Which certificates a list shows, as its address says."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams

from certwright.domain.errors import ConfigurationError
from certwright.domain.health_rules import Health
from certwright.store.listing import Expiry, Filter
from certwright.web.language import _, later

_LONGEST = 253
EXPIRY = {
    "": later("any"),
    Expiry.OVER: later("expired"),
    Expiry.WEEK: later("within 7 days"),
    Expiry.MONTH: later("within 30 days"),
    Expiry.QUARTER: later("within 90 days"),
    Expiry.LATER: later("soonest first"),
    Expiry.NEVER: later("never issued"),
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
        expiry = Expiry(self.expiry) if self.expiry else None
        return Filter(
            health=self.health,
            issuer=self.issuer or None,
            tag=self.tag or None,
            target=self.target or None,
            part=self.name,
            ends=expiry.ends(after, now) if expiry else None,
            never_issued=expiry is Expiry.NEVER,
        )
