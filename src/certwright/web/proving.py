"""How names can be proved, as a person chooses it for each of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import ManagedCertificate
from certwright.domain.validation import Challenge, Validation
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.validations import may_choose
from certwright.web.forms import Form, Maker
from certwright.web.language import _, later
from certwright.web.received import NOTHING, Sent, text

LISTENER, BY_HAND = "http_listener", "dns:manual"
_HTTP = "http."
_LOOKED_AT = 20
_OTHERS: tuple[tuple[str, str, Challenge, Mapping[str, Any]], ...] = (
    (LISTENER, later("a web answer: port 80 of the name leads to this machine"), "http-01", {}),
    (BY_HAND, later("a DNS record that you make by hand, anew each time"), "dns-01", {"credential": "manual"}),
    ("dns_persist", later("a DNS record that you make once, and that stays"), "dns-persist-01", {}),
    ("tls_alpn", later("a TLS answer: port 443 of the name leads to this machine"), "tls-alpn-01", {}),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to prove a name: what a form calls it, what a person reads, and what it is."""

    key: str
    title: str
    validation: Validation


def ways(engine: Engine) -> tuple[Way, ...]:
    """All ways that the caller may choose, the likeliest first: as it is done for other certificates, or by DNS."""
    with engine.store.read() as unit:
        found = _ways([row.managed for row in unit.listing.page("", _LOOKED_AT)], unit.credentials.kinds("dns"))
        return tuple(way for way in found if may_choose(engine, unit, way.validation))


def _ways(others: Sequence[ManagedCertificate], credentials: Iterable[str]) -> Iterator[Way]:
    yield from _as_others(others)
    yield from (
        Way(
            f"dns:{name}",
            _("a DNS record, written with the credential %(name)s") % {"name": name},
            Validation(challenge="dns-01", solver="dns", params={"credential": name}),
        )
        for name in credentials
    )
    yield from (
        Way(key, title, Validation(challenge=challenge, solver=key.partition(":")[0], params=dict(params)))
        for key, title, challenge, params in _OTHERS
    )


def _as_others(others: Sequence[ManagedCertificate]) -> Iterator[Way]:
    """Ways with parameters that somebody has chosen, each once."""
    known = [(solver.partition(":")[0], dict(params)) for solver, _title, _challenge, params in _OTHERS]
    for managed in others:
        for number, validation in enumerate(managed.validations):
            chosen = (validation.solver, validation.params)
            if chosen not in known and set(validation.params) != {"credential"}:
                known.append(chosen)
                title = _("as for %(title)s: %(way)s") % {"title": managed.title, "way": proof(validation.title)}
                yield Way(f"as:{managed.id}:{number}", title, validation.model_copy(update={"names": ()}))


def proof(title: str) -> str:
    """The title of a validation in the language of the request."""
    challenge, _by, solver = title.partition(" by ")
    return _("%(challenge)s by %(solver)s") % {"challenge": challenge, "solver": solver}


def listening(sent: Sent = NOTHING, error: ConfigurationError | None = None) -> Form:
    """The fields that say how web answers are given."""
    maker = _listener()
    return maker.again(sent, error) if sent else maker.empty()


def _listener() -> Maker:
    return Maker(catalog.plugin("solvers", LISTENER).params, prefix=_HTTP)


def chosen(engine: Engine, sent: Sent, names: Sequence[str]) -> tuple[Validation, ...]:
    """How these names are to be proved, by what was chosen: the way of most of them first, without rules.

    Raises:
        ConfigurationError: if a way is none.
    """
    known = {way.key: way.validation for way in ways(engine)}
    usual = text(sent, "proof")
    keys = {name: text(sent, f"proof:{name}") or usual for name in names}
    if strangers := [key for key in keys.values() if key not in known]:
        raise ConfigurationError(
            f"There is no way {strangers[0][:40]!r} to prove a name.", hint="Choose how each name is to be proved."
        )
    if values := _listener().given(sent):
        known[LISTENER] = known[LISTENER].model_copy(update={"params": values})
    counted = [key for key, _count in Counter(keys.values()).most_common()]
    return tuple(
        known[key].model_copy(update={"names": tuple(n for n in names if keys[n] == key) if place else ()})
        for place, key in enumerate(counted)
    )
