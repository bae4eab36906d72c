"""What stored credentials a parameter can name."""

from collections.abc import Callable, Sequence

from certwright.engine.context import Engine
from certwright.engine.dns import may_use


def stored(engine: Engine) -> Callable[[str], Sequence[str]]:
    """Gives the names of credentials by kind; for DNS those that the caller may use, and who makes records by hand."""
    with engine.store.read() as unit:
        by_dns = [*(name for name in unit.credentials.kinds("dns") if may_use(engine, unit, name)), "manual"]
        signing_in = [(each.kind, each.name) for each in unit.credentials.list()]

    def named(kind: str) -> Sequence[str]:
        return by_dns if kind == "dns" else [name for of, name in signing_in if of == kind]

    return named
