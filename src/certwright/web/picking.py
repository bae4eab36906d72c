"""What stored credentials a parameter can name."""

from collections.abc import Callable, Sequence

from certwright.engine.context import Engine


def stored(engine: Engine) -> Callable[[str], Sequence[str]]:
    """Gives the names of credentials by kind; for DNS also the person who makes records by hand."""
    with engine.store.read() as unit:
        by_dns = [*unit.credentials.kinds("dns"), "manual"]
        signing_in = [(each.kind, each.name) for each in unit.credentials.list()]

    def named(kind: str) -> Sequence[str]:
        return by_dns if kind == "dns" else [name for of, name in signing_in if of == kind]

    return named
