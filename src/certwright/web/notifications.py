"""Notifications: by which channels people are told, and the rules of who is told of what."""

from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError
from certwright.domain.rules import USUAL, Digest, Matter, QuietHours, Rule
from certwright.engine import catalog
from certwright.engine.channels import (
    add_channel,
    channels,
    put_rule,
    remove_channel,
    remove_rule,
    rule_taken,
    try_channel,
)
from certwright.engine.context import Engine
from certwright.engine.gaps import advice
from certwright.sdk.params import Params, read_params, secret_names
from certwright.web.forms import OWN, Maker
from certwright.web.language import _, later
from certwright.web.named import Named
from certwright.web.pages import Page, Visit, with_query
from certwright.web.picking import stored
from certwright.web.removing import Removal, credential_name
from certwright.web.seen import credential_as_shown, credential_field

_ALL, _ADD = "/notifications", "/notifications/channels/add/{kind}"


class Name(Params):
    """What a channel is called."""

    name: str = Field(min_length=1, max_length=100, description="What you call it.")
    check_first: bool = Field(default=True, description="Look first whether it can work.")


def _hours(value: Any) -> Any:
    try:
        return QuietHours.parse(value) if isinstance(value, str) else value
    except CertwrightError as error:
        raise ValueError(" ".join(error.explain())) from None


class RuleForm(Params):
    """A rule, as it is filled in."""

    name: str = Field(min_length=1, max_length=100, description="What you call it.")
    matters: tuple[Matter, ...] = Field(default=USUAL, min_length=1, description="What is told of.")
    channels: tuple[str, ...] = Field(
        default=(), description="By which channels, one on each line; without one by all."
    )
    failures: int = Field(
        default=3, ge=1, le=100, description="Failures in a row of a request, deployment or duty before it is told of."
    )
    days: int = Field(
        default=14, ge=1, le=365, description="Days before the expiry from which each problem is told of at once."
    )
    quiet: Annotated[QuietHours | None, BeforeValidator(_hours)] = Field(
        default=None, title="Quiet hours", description="When only what is urgent is told, such as 22:00-07:00."
    )
    zone: str = Field(default="UTC", title="Time zone", description="Whose clock that is, such as Europe/Berlin.")
    digest: Digest = Field(default=Digest.NONE, description="How often what is not urgent is told together.")
    digest_at: time = Field(default=time(8), description="When on the day.")


def _notifications(visit: Visit) -> Response:
    """All channels and rules, and what is missing so that nobody is left without word."""
    with visit.engine.store.read() as unit:
        found, missing, waiting = channels(unit), advice(unit), unit.outbox.waiting()
        rules = [rule for rule, _ in unit.notices.rules()]
    kinds = [catalog.plugin("notifications", name) for name in sorted(catalog.names("notifications"))]
    return visit.page(
        "notifications.html",
        channels=found,
        waiting={each.name: sum(posting.channel == each.name for posting in waiting) for each in found},
        missing=missing,
        rules=rules,
        every=set(USUAL),
        kinds=[(each.name, each.sentence) for each in kinds],
    )


def _makers(visit: Visit, kind: str) -> list[Maker]:
    return [Maker(Name), Maker(catalog.plugin("notifications", kind).params, stored(visit.engine), OWN)]


def _adding(visit: Visit) -> Response:
    kind, name = visit.request.path_params["kind"], visit.asked("name")
    hidden = credential_field(visit, name)
    with visit.engine.store.read() as unit:
        known = next((each for each in channels(unit) if each.name == name and each.kind == kind), None)
    values = {"name": name, **(known.shown if known else {})}
    title = _("Replace the channel %(name)s") if known else _("A new channel: %(kind)s")
    about = (
        [later("It takes the place of the one before wherever that is used. Secrets are typed anew.")] if known else []
    )
    words = {"name": name, "kind": kind}
    makers, button = _makers(visit, kind), later("Store it")
    return visit.fill_in(title % words, makers, _ALL, button, values, about=about, hidden=hidden if known else {})


def _add(visit: Visit) -> Response:
    kind = visit.request.path_params["kind"]
    own, maker = _makers(visit, kind)

    def add(engine: Engine) -> str:
        named = read_params(Name, own.given(visit.fields), "the channel")
        acting = credential_as_shown(visit, engine, named.name)
        return add_channel(acting, kind, named.name, maker.given(visit.fields), checked=named.check_first)

    secret = [f"{OWN}{name}" for name in secret_names(maker.model)]
    back = with_query(_ADD.format(kind=kind), name=visit.asked("name"))
    return visit.begin(later("Store the channel"), add, lambda _: _ALL, back, secret=secret, refill=True)


def _test(visit: Visit) -> Response:
    name = visit.sent("name")
    return visit.begin(
        _("Send a test message by %(name)s") % {"name": name},
        lambda engine: f"Sent. {try_channel(engine, name)}",
        None,
        _ALL,
    )


def _known_rule(rule: Rule) -> Mapping[str, Any]:
    return {**rule.model_dump(exclude={"quiet"}), "quiet": rule.quiet}


_RULES = Named(
    path=_ALL,
    edit="/notifications/rule",
    form=RuleForm,
    kind=Rule,
    new=later("A new rule"),
    button=later("Store the rule"),
    taken=rule_taken,
    kept=lambda unit, name: unit.notices.rule(name),
    known=_known_rule,
    put=put_rule,
    removal=Removal(
        path="/notifications/rule/remove",
        permission=Permission.MANAGE,
        title=later("Remove the rule %(name)s?"),
        follows=(later("Of what no other rule tells, nobody is told from now on."),),
        button=later("Remove it"),
        back=_ALL,
        called=lambda unit, name: unit.notices.rule(name).name,
        remove=remove_rule,
    ),
)
_CHANNEL = Removal(
    path="/notifications/channels/remove",
    permission=Permission.MANAGE,
    title=later("Remove the channel %(name)s?"),
    follows=(
        later("What waits to be sent by it is dropped, and nothing is sent by it from now on."),
        later("If no other channel carries messages, nobody is told of problems any more."),
    ),
    button=later("Remove it"),
    back=_ALL,
    called=credential_name,
    remove=remove_channel,
)
PAGES = (
    Page(_ALL, Permission.READ, _notifications, label=later("Notifications")),
    Page(_ADD, Permission.MANAGE, _adding),
    Page(_ADD, Permission.MANAGE, _add, "POST"),
    Page("/notifications/channels/test", Permission.MANAGE, _test, "POST"),
    *_CHANNEL.pages,
    *_RULES.pages,
)
