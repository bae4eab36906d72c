"""What vendors have in common that know sets of records: all values of a name have one TTL and are changed at once."""

from collections.abc import Callable
from dataclasses import dataclass

from peers.dns_peer import Fault
from peers.vendor import Refusal, Vendor


@dataclass(frozen=True)
class RecordSet:
    """The TXT records at a name (absolute, no final dot); `values` without quotes."""

    name: str
    ttl: int
    values: tuple[str, ...]


class SetVendor(Vendor):
    """State as sets.

    `meanwhile` is done once, just before the next change is looked at: what somebody else does between a client's
    reading and writing. With `has_twin` there is another public zone called `ZONE`, listed before it, whose records
    the account may not touch; `is_closed` says the same of all zones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] | None = None
        self.has_twin = False
        self.is_closed = False
        for number in range(3):
            self.zones[f"zone{number}.example"] = []

    def sets(self, zone: str) -> list[RecordSet]:
        """All sets of a zone, by name."""
        names = sorted({entry.name for entry in self.zones[zone]})
        return [found for name in names if (found := self.find(zone, name))]

    def find(self, zone: str, name: str) -> RecordSet | None:
        """The set at `name`."""
        entries = [entry for entry in self.zones[zone] if entry.name == name]
        return RecordSet(name, entries[0].ttl, tuple(entry.value for entry in entries)) if entries else None

    def write(self, zone: str, wanted: RecordSet) -> None:
        """Let this set stand at its name."""
        if wanted.ttl < self.lowest_ttl:
            self.complain(f"a TTL of {wanted.ttl}")
            raise Refusal(self.invalid(f"ttl {wanted.ttl} is too low"))
        self.erase(zone, wanted.name)
        for value in wanted.values:
            self.add_entry(zone, wanted.name, value, wanted.ttl)

    def erase(self, zone: str, name: str) -> None:
        """Let nothing stand at `name`."""
        self.zones[zone] = [entry for entry in self.zones[zone] if entry.name != name]

    def judge_right(self, *, is_twin: bool) -> None:
        """Refuse to read or change records without a right to."""
        if is_twin or self.is_closed:
            raise Refusal(self.refusal(Fault.FORBIDDEN))

    def others_first(self) -> None:
        """Do what somebody else does meanwhile."""
        act, self.meanwhile = self.meanwhile, None
        if act:
            act()


def unquoted(text: str) -> str | None:
    """The value in a quoted character string (RFC 1035 section 5.1); None if it is not quoted."""
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1]
    return text[1:-1] if is_quoted else None
