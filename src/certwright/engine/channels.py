"""Notification channels: stored, listed, tried out, and removed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from certwright.domain.errors import ConfigurationError
from certwright.domain.messages import test_message
from certwright.domain.rules import PROBLEMS, Rule
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.outbound import proxy_for
from certwright.sdk.notifier import Notifier, NotifierContext
from certwright.sdk.params import read_params, secrets_of, without_secrets
from certwright.store import UnitOfWork

CHANNEL = "channel:"
"""Before the name of a channel, wherever something is remembered of it."""
_ADD = "certwright notification channel add"


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
    """
    found = catalog.plugin("notifications", kind)
    params = read_params(found.params, dict(values), f"the notification channel {kind!r}")
    notifier: Notifier[Any] = found.cls(params, _context(engine, name, params))
    seen = notifier.check() if checked else ""
    with engine.store.write() as unit:
        unit.credentials.add_typed("notify", kind, name, without_secrets(params), secrets_of(params))
        unit.outbox.hurry(name, engine.now())
    return seen


def channels(unit: UnitOfWork) -> list[Channel]:
    """All, by name."""
    kinds = unit.credentials.kinds("notify")
    return [
        Channel(c.name, kinds[c.name], carries(kinds[c.name]), c.shown, c.used_by)
        for c in unit.credentials.list()
        if c.name in kinds
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


def put_rule(engine: Engine, rule: Rule) -> None:
    """Keep a rule, in place of the one of that name.

    Raises:
        ConfigurationError: if it names a channel that carries no messages, or none of that name exists.
    """
    with engine.store.write() as unit:
        known = unit.credentials.kinds("notify")
        for name in rule.channels:
            if name not in known or not carries(known[name]):
                able = ", ".join(n for n, kind in known.items() if carries(kind)) or "none yet"
                raise ConfigurationError(
                    f"There is no channel {name!r} that carries messages.", hint=f"Channels that do: {able}."
                )
        unit.notices.put_rule(rule)


def advice(unit: UnitOfWork) -> list[str]:
    """What is missing so that nobody is left without word, each in one sentence with the next step."""
    able = [channel for channel in channels(unit) if channel.carries]
    rules = [rule for rule, _ in unit.notices.rules()]
    told = []
    if not able:
        told.append(f"Nobody is told of problems: there is no channel. Add one: {_ADD} smtp NAME --sender ...")
    elif len({channel.kind for channel in able}) == 1:
        only = able[0].kind
        other = "webhook, apprise or event_log" if only == "smtp" else "smtp"
        told.append(
            f"All messages go by {only}: if that is broken, it cannot say so. "
            f"Add a channel of another kind, for example {other}: {_ADD}"
        )
    if not any(map(beats, unit.credentials.kinds("notify").values())):
        told.append(f"If this machine stops, nobody notices. Let something watch it: {_ADD} heartbeat NAME")
    if silent := [matter for matter in PROBLEMS if not any(matter in rule.matters for rule in rules)]:
        told.append(f"No rule tells of {', '.join(silent)}: certwright notification rule add NAME")
    return told


def _context(engine: Engine, name: str, params: BaseModel) -> NotifierContext:
    with engine.store.read() as unit:
        found = [issuer.params.get("email") for issuer in unit.issuers.list()]
    recipients = tuple(dict.fromkeys(address for address in found if isinstance(address, str) and address))
    return NotifierContext(name, recipients, engine.resolvers, proxy_for(engine, params))
