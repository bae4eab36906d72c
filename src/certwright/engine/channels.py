"""Notification channels: stored, listed, tried out, and removed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from certwright.domain.errors import ConfigurationError, Taken
from certwright.domain.messages import test_message
from certwright.domain.plain_text import check_new_name
from certwright.domain.rules import Rule
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.outbound import proxy_for, require_proxy
from certwright.engine.seen import taken
from certwright.sdk.notifier import Notifier, NotifierContext
from certwright.sdk.params import read_params, secrets_of, without_secrets
from certwright.store import UnitOfWork

CHANNEL = "channel:"
"""Before the name of a channel, wherever something is remembered of it."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One stored channel; `carries` tells whether messages go through it, `used_by` are the rules that name it."""

    name: str
    kind: str
    carries: bool
    shown: Mapping[str, Any]
    used_by: Sequence[str]


def add_channel(engine: Engine, kind: str, name: str, values: Mapping[str, Any], *, checked: bool) -> str:
    """Keep a channel's parameters under `name`, in place of the one of that name; what waits for it is sent soon.

    Args:
        engine: what to work with.
        kind: the plugin.
        name: what it is called.
        values: the parameters, secret ones included.
        checked: whether to look first if it can work; nothing is stored if it cannot.

    Returns:
        What was seen, in one sentence; empty if nothing was.

    Raises:
        ConfigurationError: if a parameter is wrong, or the name is taken by a credential of another kind.
        NotificationError, Unreachable: if it cannot work.
        Forbidden: as of `require_proxy`.
    """
    with engine.store.read() as unit:
        check_new_name(name, unit.credentials.names())
    found = catalog.plugin("notifications", kind)
    params = read_params(found.params, dict(values), f"the notification channel {kind!r}")
    require_proxy(engine, params)
    notifier: Notifier[Any] = found.cls(params, _context(engine, name, params))
    seen = notifier.check() if checked else ""
    with engine.store.write() as unit:
        unit.credentials.add_typed("notify", kind, name, without_secrets(params), secrets_of(params))
        unit.outbox.hurry(name, engine.now())
    return seen


def channels(unit: UnitOfWork) -> list[Channel]:
    """All, by name."""
    shown, rules = unit.credentials.shown("notify"), [rule for rule, _ in unit.notices.rules()]
    return [
        Channel(name, kind, carries(kind), shown[name], [rule.as_user for rule in rules if name in rule.channels])
        for name, kind in unit.credentials.kinds("notify").items()
    ]


def carries(kind: str) -> bool:
    """Whether messages go through channels of this kind; what is not installed here carries none."""
    return _known(kind) and not catalog.plugin("notifications", kind).cls.is_heartbeat


def beats(kind: str) -> bool:
    """Whether channels of this kind are heartbeats."""
    return _known(kind) and catalog.plugin("notifications", kind).cls.is_heartbeat


def _known(kind: str) -> bool:
    try:
        catalog.plugin("notifications", kind)
    except ConfigurationError:
        return False
    return True


def notifier_of(engine: Engine, name: str) -> Notifier[Any]:
    """The stored channel `name`.

    Raises:
        ConfigurationError: if there is none, or its parameters do not fit (any more).
    """
    with engine.store.read() as unit:
        kind, values = unit.credentials.typed("notify", name)
    found = catalog.plugin("notifications", kind)
    params = read_params(found.params, values, f"the channel {name!r}")
    made: Notifier[Any] = found.cls(params, _context(engine, name, params))
    return made


def try_channel(engine: Engine, name: str) -> str:
    """Send a test message; what was answered.

    Raises:
        CertwrightError: with what does not work, and what to do.
    """
    return notifier_of(engine, name).send(test_message(name, engine.now()))


def remove_channel(engine: Engine, name: str) -> None:
    """Forget a channel that no rule names, with what waits for it and what was remembered of it.

    Raises:
        ConfigurationError: if there is no such channel, or a rule names it.
    """
    with engine.store.write() as unit:
        unit.credentials.typed("notify", name)
        unit.credentials.remove(name)
        unit.outbox.forget(name)
        forget_removed(unit)


def forget_removed(unit: UnitOfWork) -> int:
    """Forget what was remembered of channels that are no more; how much it was."""
    return unit.records.forget(CHANNEL, but_for=unit.credentials.kinds("notify"))


def rule_taken(rule: Rule) -> Taken:
    """The error that there is this rule already."""
    return taken("rule", rule.name, "notification rule add")


def put_rule(engine: Engine, rule: Rule) -> None:
    """Keep a rule, in place of the one of that name.

    Raises:
        ConfigurationError: if it names a channel that carries no messages, or none of that name exists.
    """
    with engine.store.write() as unit:
        check_new_name(rule.name, [each.name for each, _ in unit.notices.rules()])
        known = unit.credentials.kinds("notify")
        for name in rule.channels:
            if name not in known or not carries(known[name]):
                able = ", ".join(n for n, kind in known.items() if carries(kind)) or "none yet"
                raise ConfigurationError(
                    f"There is no channel {name!r} that carries messages.", hint=f"Channels that do: {able}."
                )
        unit.notices.put_rule(rule)


def remove_rule(engine: Engine, name: str) -> None:
    """Forget a rule.

    Raises:
        NotFound: if there is none of that name.
    """
    with engine.store.write() as unit:
        unit.notices.remove_rule(name)


def _context(engine: Engine, name: str, params: BaseModel) -> NotifierContext:
    with engine.store.read() as unit:
        found = [issuer.params.get("email") for issuer in unit.issuers.list()]
    recipients = tuple(dict.fromkeys(address for address in found if isinstance(address, str) and address))
    return NotifierContext(name, recipients, engine.resolvers, proxy_for(engine, params))
