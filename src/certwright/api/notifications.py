"""`/notifications`: who is told of what, and by which channels."""

from datetime import time
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, Field, StrictBool, StrictInt

from certwright.api import listing
from certwright.api.access import MANAGES, READS, UsesEngine, UsesJobs
from certwright.api.changes import (
    ASKS_PEERS,
    CHANGES,
    GUARDED_PEERS,
    UNCHANGED,
    Body,
    GuardedSecret,
    Line,
    Name,
    PutSecret,
    Unchanged,
    UnchangedOrNew,
    show_secret_tag,
    show_tag,
)
from certwright.api.jobs import BEGUN, begun
from certwright.api.listing import Asked, Named
from certwright.api.problems import answers
from certwright.api.repeats import RepeatableRoute
from certwright.domain.jobs import Job
from certwright.domain.rules import USUAL, Digest, Matter, QuietHours, Rule
from certwright.engine import channels
from certwright.engine.context import Engine
from certwright.engine.gaps import advice
from certwright.engine.notify import deliver
from certwright.sdk.params import read_params

router = APIRouter(tags=["notifications"], route_class=RepeatableRoute)
Guarded = Annotated[Engine, Depends(Unchanged(lambda unit, name: unit.notices.rule(name)))]
Put = Annotated[Engine, Depends(UnchangedOrNew(lambda unit, name: unit.notices.rule(name), channels.rule_taken))]


class Channel(BaseModel):
    """A way that messages take: what may be `shown` of it, the rules that name it, and how many messages wait."""

    name: str
    kind: str
    carries: bool
    shown: dict[str, Any]
    used_by: list[str]
    waiting: int


class Channels(Named[Channel]):
    """A page of the channels, by name; `advice` tells what is missing so that nobody is left without word."""

    advice: list[str]


class WantedChannel(Body):
    """A channel, in place of the one of that name; `/plugins/notifications/{kind}` describes its parameters."""

    kind: Line = Field(examples=["smtp"])
    params: dict[str, Any] = Field(
        description="Secret ones included; they are never shown.", examples=[{"sender": "certs@contoso.test"}]
    )
    check: StrictBool = Field(default=True, description="Look first if it can work; nothing is stored if it cannot.")


class StoredChannel(BaseModel):
    """A channel that was stored, and what was seen when it was tried; empty if nothing was."""

    channel: Channel
    seen: str


class Sent(BaseModel):
    """What was answered to a message."""

    answer: str


class WantedRule(Body):
    """Who is told of what, from when on."""

    matters: list[Matter] = Field(default=list(USUAL), min_length=1, max_length=len(Matter))
    channels: list[Line] = Field(default=[], max_length=100, description="By which channels [default: all].")
    failures: StrictInt = Field(default=3, ge=1, le=100, description="Failures in a row before it is told of.")
    days: StrictInt = Field(
        default=14, ge=1, le=365, description="Days before the expiry from which each problem is told."
    )
    quiet: Line | None = Field(default=None, description="When only what is urgent is told.", examples=["22:00-07:00"])
    zone: Line = Field(default="UTC", description="Whose clock that is.", examples=["Europe/Berlin"])
    digest: Digest = Field(default=Digest.NONE, description="How often what is not urgent is told together.")
    digest_at: str = Field(
        default="08:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="When on the day.", examples=["08:00"]
    )

    def rule(self, name: str) -> Rule:
        """As it is kept."""
        values = self.model_dump()
        quiet = QuietHours.parse(self.quiet) if self.quiet else None
        lists = {"matters": tuple(self.matters), "channels": tuple(self.channels)}
        at = time.fromisoformat(self.digest_at)
        told = {**values, **lists, "quiet": quiet, "digest_at": at, "name": name}
        return read_params(Rule, told, f"the rule {name!r}")


class ShownRule(WantedRule):
    """A rule, as it is kept under its name."""

    name: str

    @classmethod
    def of(cls, rule: Rule) -> "ShownRule":
        """As a client sends one."""
        values = rule.model_dump(exclude={"quiet", "digest_at"})
        return cls(**values, quiet=str(rule.quiet) if rule.quiet else None, digest_at=f"{rule.digest_at:%H:%M}")


class Attempt(BaseModel):
    """What was sent, or why it was not, and from when on it is tried again."""

    channel: str
    subject: str
    answer: str
    error: list[str] | None
    again: AwareDatetime | None


@router.get("/notifications/channels", dependencies=[READS], responses=answers())
def list_channels(engine: UsesEngine, asked: Asked) -> Channels:
    """The channels, by name, and what is missing so that nobody is left without word."""
    with engine.store.read() as unit:
        missing = advice(unit)
    found = listing.page(_channels(engine), asked)
    return Channels(items=found.items, next=found.next, advice=missing)


def _channels(engine: Engine) -> list[Channel]:
    with engine.store.read() as unit:
        found, waiting = channels.channels(unit), unit.outbox.waiting()
    return [
        Channel(
            name=each.name,
            kind=each.kind,
            carries=each.carries,
            shown=dict(each.shown),
            used_by=list(each.used_by),
            waiting=sum(posting.channel == each.name for posting in waiting),
        )
        for each in found
    ]


def _channel(engine: Engine, name: str) -> Channel:
    return listing.one(_channels(engine), name, "channel", "/notifications/channels")


@router.get("/notifications/channels/{name}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_channel(engine: UsesEngine, name: Name, response: Response) -> Channel:
    """One channel; its ETag changes each time that it is stored."""
    show_secret_tag(engine, name, response)
    return _channel(engine, name)


@router.put("/notifications/channels/{name}", dependencies=[MANAGES], responses=GUARDED_PEERS)
def put_channel(engine: PutSecret, name: Name, wanted: WantedChannel) -> StoredChannel:
    """Store a channel, in place of the one of that name; what waits for it is sent soon."""
    seen = channels.add_channel(engine, wanted.kind, name, wanted.params, checked=wanted.check)
    return StoredChannel(channel=_channel(engine, name), seen=seen)


@router.post("/notifications/channels/{name}/test", dependencies=[MANAGES], responses=ASKS_PEERS)
def post_channel_test(engine: UsesEngine, name: Name) -> Sent:
    """Send a test message."""
    _channel(engine, name)
    return Sent(answer=channels.try_channel(engine, name))


@router.delete(
    "/notifications/channels/{name}",
    dependencies=[MANAGES],
    status_code=HTTPStatus.NO_CONTENT,
    responses=UNCHANGED,
)
def delete_channel(engine: GuardedSecret, name: Name) -> None:
    """Remove a channel that no rule names; what waits for it is dropped."""
    _channel(engine, name)
    channels.remove_channel(engine, name)


@router.get("/notifications/rules", dependencies=[READS], responses=answers())
def list_rules(engine: UsesEngine, asked: Asked) -> Named[ShownRule]:
    """The rules, by name."""
    with engine.store.read() as unit:
        return listing.page((ShownRule.of(rule) for rule, _ in unit.notices.rules()), asked)


@router.get("/notifications/rules/{name:path}", dependencies=[READS], responses=answers(HTTPStatus.NOT_FOUND))
def get_rule(engine: UsesEngine, name: Name, response: Response) -> ShownRule:
    """One rule."""
    with engine.store.read() as unit:
        kept = unit.notices.rule(name)
    show_tag(response, kept)
    return ShownRule.of(kept)


@router.put("/notifications/rules/{name:path}", dependencies=[MANAGES], responses=UNCHANGED)
def put_rule(engine: Put, name: Name, wanted: WantedRule) -> ShownRule:
    """Keep a rule, in place of the one of that name."""
    rule = wanted.rule(name)
    channels.put_rule(engine, rule)
    return ShownRule.of(rule)


@router.delete(
    "/notifications/rules/{name:path}", dependencies=[MANAGES], status_code=HTTPStatus.NO_CONTENT, responses=UNCHANGED
)
def delete_rule(engine: Guarded, name: Name) -> None:
    """Remove a rule."""
    channels.remove_rule(engine, name)


@router.post("/notifications/send", dependencies=[MANAGES], status_code=BEGUN, responses=CHANGES)
def post_send(engine: UsesEngine, jobs: UsesJobs, response: Response) -> Job:
    """Send what is due now; the service does this by itself."""

    def work(acting: Engine) -> Any:
        return [
            Attempt(
                channel=each.channel,
                subject=each.subject,
                answer=each.answer,
                error=list(each.error.explain()) if each.error else None,
                again=each.again,
            ).model_dump(mode="json")
            for each in deliver(acting)
        ]

    return begun(jobs.begin(engine, "notification send", "", work), response)
