"""Why records that were written are not to be seen: the slips of whoever writes them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from certwright.probe.dns.cause import Attempt, Cause, CauseId
from certwright.probe.dns.query import canonical
from certwright.probe.dns.record_causes import find_record_causes
from certwright.probe.dns.resolver import Resolver
from certwright.probe.dns.trace import trace_record
from certwright.probe.dns.visibility import Expected

_MOST = 8  # names that are looked into; what goes wrong with one mostly goes wrong with the others
_PLAIN = (CauseId.NO_NAME, CauseId.NO_TXT)


def find_slips(resolver: Resolver, expected: Sequence[Expected], nowhere: Collection[str]) -> list[Cause]:
    """What stands instead of those of `expected` at the names in `nowhere`; nothing where there is just no record."""
    values: dict[str, set[str]] = defaultdict(set)
    zones = {}
    for each in expected:
        values[canonical(each.name)].add(each.value)
        zones[canonical(each.name)] = each.zone

    def look(name: str) -> list[Cause]:
        seen = trace_record(resolver, zones[name], name)
        return list(find_record_causes(seen, Attempt("dns-01", frozenset(values[name]))))

    names = [name for name in values if name in nowhere][:_MOST]
    with ThreadPoolExecutor(_MOST, thread_name_prefix="dns") as pool:
        return [cause for causes in pool.map(look, names) for cause in causes if cause.id not in _PLAIN]
