"""What stored credentials a parameter can name."""

from collections.abc import Callable, Sequence

from certwright.engine.context import Engine
from certwright.engine.dns import may_use


def stored(engine: Engine) -> Callable[[str], Sequence[str]]:
    """Gives the names of credentials by kind; for DNS those that the caller may use, and who makes records by hand."""

    def named(kind: str) -> Sequence[str]:
        with engine.store.read() as unit:
            if kind != "dns":
                return unit.credentials.of_kind(kind)
            return [*(name for name in unit.credentials.kinds("dns") if may_use(engine, unit, name)), "manual"]

    return named
