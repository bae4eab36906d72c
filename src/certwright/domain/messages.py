"""Messages for people, in words: as text and as HTML."""

import html
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, Field

from certwright.domain.audit import SignedHead
from certwright.domain.managed import Value, new_id
from certwright.domain.rules import Matter

SECTIONS_SHOWN = 10
_SUBJECT_LENGTH = 150
_SENTENCE_LENGTH = 1000
_TITLE_LENGTH = 100
_NAMES_COUNTED = 10


class Section(Value):
    """What is the matter with one certificate or duty of the service, or with many that have the same cause.

    `message` and `hint` are those of the certificate `managed_id`, which of them ends first, at `until`. `names` are
    the first few titles, `occurrences` counts over all certificates, `since` is when the first began.
    """

    matter: Matter
    is_over: bool = False
    urgent: bool = False
    message: str
    hint: str = ""
    certificates: int
    occurrences: int
    names: tuple[str, ...]
    managed_id: str
    since: AwareDatetime
    until: AwareDatetime | None = None


class Tally(Value):
    """What went well since a moment: how often, by kind of event, and the first few titles."""

    since: AwareDatetime
    counts: dict[str, int] = Field(default_factory=dict)
    names: tuple[str, ...] = ()

    def plus(self, kind: str, title: str) -> "Tally":
        """With one more."""
        counts = {**self.counts, kind: self.counts.get(kind, 0) + 1}
        more = title not in self.names and len(self.names) < _NAMES_COUNTED
        return Tally(since=self.since, counts=counts, names=(*self.names, title) if more else self.names)


class Message(Value):
    """What is sent. `id` stays the same however often it is sent, so that who gets it twice can tell."""

    id: str = Field(default_factory=new_id)
    at: AwareDatetime
    subject: str
    text: str
    html: str
    urgent: bool = False
    sections: tuple[Section, ...] = ()


_WHAT = {
    Matter.ISSUANCE: ("could not be renewed", "could not be renewed"),
    Matter.DEPLOYMENT: ("could not be deployed", "could not be deployed"),
    Matter.EXPIRING: ("expires soon and was not replaced", "expire soon and were not replaced"),
    Matter.ROLLED_BACK: ("was deployed and taken back", "were deployed and taken back"),
    Matter.NEEDS_PERSON: ("needs a person", "need a person"),
    Matter.DRIFT: ("is not served as deployed", "are not served as deployed"),
    Matter.PROOF: ("loses the record that proves its names", "lose the records that prove their names"),
    Matter.INCIDENT: (
        "is to be replaced early, by the authority's wish",
        "are to be replaced early, by the authority's wish",
    ),
    Matter.WATCHED: ("is watched, and something is the matter", "are watched, and something is the matter"),
    Matter.SERVICE: ("fails again and again", "fail again and again"),
}
_OVER = {
    Matter.ISSUANCE: ("is renewed again", "are renewed again"),
    Matter.DEPLOYMENT: ("is deployed now", "are deployed now"),
    Matter.EXPIRING: ("is replaced now", "are replaced now"),
    Matter.ROLLED_BACK: ("is deployed now", "are deployed now"),
    Matter.NEEDS_PERSON: ("needs nobody any more", "need nobody any more"),
    Matter.DRIFT: ("is served as deployed again", "are served as deployed again"),
    Matter.PROOF: ("has records that stay", "have records that stay"),
    Matter.INCIDENT: ("is replaced", "are replaced"),
    Matter.WATCHED: ("has another certificate now", "have other certificates now"),
    Matter.SERVICE: ("works again", "work again"),
}
_NEXT = {
    Matter.ISSUANCE: "Find the cause with: certwright certificate test {}",
    Matter.DEPLOYMENT: "Read what happened with: certwright certificate log {}",
    Matter.EXPIRING: "Renew it by hand: certwright certificate renew {}",
    Matter.ROLLED_BACK: "The old certificate is served. When the cause is gone: certwright deploy {}",
    Matter.NEEDS_PERSON: "Read what is left to do with: certwright certificate show {}",
    Matter.DRIFT: "Look at what is served, then deploy it again: certwright deploy {}",
    Matter.PROOF: "Put the records into DNS that this prints: certwright certificate persist {}",
    Matter.INCIDENT: "It is replaced by the next run; to do it now: certwright certificate renew {}",
    Matter.WATCHED: "Whoever runs it has to replace it. Look again with: certwright watch look {}",
    Matter.SERVICE: "The service goes on trying; its log says more. All that fails: certwright status",
}
_WENT_WELL = {"certificate-issued": "issued", "deployed": "deployed", "certificate-revoked": "revoked"}


def problem_message(sections: Sequence[Section], now: datetime) -> Message:
    """What is the matter, since when, until when it matters, and the next step; most urgent first."""
    cleaned = [_cleaned(section) for section in sections]
    shown, rest = cleaned[:SECTIONS_SHOWN], cleaned[SECTIONS_SHOWN:]
    blocks = [_block(section, now) for section in shown]
    if rest:
        more = sum(section.certificates for section in rest)
        blocks.append([("Also", f"{more} more, with {len(rest)} other causes: certwright certificate list shows all.")])
    return _message(_subject(cleaned, now), blocks, now, urgent=any(s.urgent for s in sections), sections=shown)


def summary_message(tally: Tally, open_cases: int, now: datetime) -> Message:
    """What went well."""
    counted = [f"{count} {_WENT_WELL[kind]}" for kind, count in sorted(tally.counts.items()) if kind in _WENT_WELL]
    done = ", ".join(counted)
    more = ", and others" if len(tally.names) == _NAMES_COUNTED else ""
    state = f"{open_cases} with open problems: certwright status" if open_cases else "No open problems."
    lines = [
        ("Done", f"{done}, since {_moment(tally.since)}."),
        ("Which", f"{', '.join(map(_title, tally.names))}{more}"),
        ("State", state),
    ]
    return _message(f"Certificates: {done}", [lines], now)


def head_message(signed: SignedHead, now: datetime) -> Message:
    """Where the audit trail stands, to be kept where who can write to the store cannot reach."""
    head = signed.head
    lines = [
        ("What", f"The audit trail of the store {head.store} has {head.number} entries. Keep this message."),
        ("Head", str(head)),
        ("Signed", f"{signed.signature}, by the key {signed.key}, {_moment(head.at)}"),
        ("Next", f"See whether it is still so with: certwright audit verify --seen {head}"),
    ]
    return _message(f"The audit trail stands at {head.number}", [lines], now)


def channel_message(channel: str, reason: str, now: datetime) -> Message:
    """That a channel of notification does not work, for the others."""
    lines = [
        ("What", f"Messages by the channel {channel!r} do not arrive. {_sentence(reason)}"),
        ("Next", f"Try it with: certwright notification channel test {channel}"),
    ]
    return _message(f"The notification channel {channel!r} does not work", [lines], now)


def test_message(channel: str, now: datetime) -> Message:
    """For whoever tries a channel."""
    lines = [
        ("What", f"A test of the channel {channel!r}. Problems with certificates will be told here."),
        ("Next", ""),
    ]
    return _message("Test message", [lines], now)


def _subject(sections: Sequence[Section], now: datetime) -> str:
    first = sections[0]
    number = sum(section.certificates for section in sections)
    is_one = all(section.names == first.names and section.certificates == 1 for section in sections)
    if len(sections) > 1 and not is_one:
        over = all(section.is_over for section in sections)
        problems = "problems are over" if over else f"{len(sections)} problems"
        told = f"{_certificates(number)}: {problems}" if _of_certificates(sections) else problems.capitalize()
    else:
        told = _what(first)
    until = min((s.until for s in sections if s.until and not s.is_over), default=None)
    if until is None:
        return told
    soonest = "" if is_one else "the first "
    return f"{told}; {soonest}{'expired' if until <= now else 'expires'} {until.astimezone(UTC):%Y-%m-%d}"


def _block(section: Section, now: datetime) -> list[tuple[str, str]]:
    many = section.certificates > 1
    times = f" ({section.occurrences} times)" if section.occurrences > section.certificates else ""
    rows = [("What", f"{_what(section)}.")]
    if many:
        left = section.certificates - len(section.names)
        more = f" and {left} more" if left else ""
        rows.append(("Which", f"{', '.join(section.names)}{more}"))
    rows.append(("Why" if not section.is_over else "It was", section.message))
    rows.append(("Since", f"{_moment(section.since)}{times}"))
    if section.is_over:
        return rows
    if section.until:
        ended = "expired" if section.until <= now else "expires"
        which = f"The first, {section.names[0]}, {ended}" if many else f"It {ended}"
        rows.append(("Until", f"{which} {_moment(section.until)}, {_distance(section.until - now)}."))
    rows.append(("Next", section.hint or _NEXT[section.matter].format(section.managed_id)))
    return rows


def _what(section: Section) -> str:
    one, many = (_OVER if section.is_over else _WHAT)[section.matter]
    if section.certificates > 1:
        things = "certificates" if _of_certificates([section]) else "duties of the service"
        return f"{section.certificates} {things} {many}"
    return f"{section.names[0]} {one}"


def _message(
    subject: str,
    blocks: Sequence[Sequence[tuple[str, str]]],
    now: datetime,
    *,
    urgent: bool = False,
    sections: Sequence[Section] = (),
) -> Message:
    filled = [[(label, value) for label, value in block if value] for block in blocks]
    return Message(
        at=now,
        subject=_plain(f"{'Urgent: ' if urgent else ''}{subject}", _SUBJECT_LENGTH),
        text="\n\n".join("\n".join(f"{label + ':':<7} {value}" for label, value in block) for block in filled) + "\n",
        html="".join(_html(filled)),
        urgent=urgent,
        sections=tuple(sections),
    )


def _html(blocks: Sequence[Sequence[tuple[str, str]]]) -> Iterator[str]:
    yield '<!DOCTYPE html><html lang="en"><body style="font-family: sans-serif">'
    for block in blocks:
        yield '<table style="margin-bottom: 1.5em">'
        for label, value in block:
            head = f'<th style="text-align: left; vertical-align: top; padding-right: 1em">{html.escape(label)}</th>'
            yield f"<tr>{head}<td>{html.escape(value)}</td></tr>"
        yield "</table>"
    yield "</body></html>"


def _plain(text: str, length: int) -> str:
    """On one line, without control characters, and not too long."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text)
    line = " ".join(line.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _cleaned(section: Section) -> Section:
    """Whatever peers wrote into it, it can be stored, shown and sent."""
    told = {"message": _sentence(section.message), "hint": _sentence(section.hint)}
    return section.model_copy(update={**told, "names": tuple(map(_title, section.names))})


def _sentence(text: str) -> str:
    return _plain(text, _SENTENCE_LENGTH)


def _title(text: str) -> str:
    return _plain(text, _TITLE_LENGTH)


def _of_certificates(sections: Sequence[Section]) -> bool:
    return all(section.matter is not Matter.SERVICE for section in sections)


def _certificates(number: int) -> str:
    return "1 certificate" if number == 1 else f"{number} certificates"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _distance(left: timedelta) -> str:
    hours = abs(left) // timedelta(hours=1)
    span = f"{hours // 24} days" if hours >= 48 else "1 hour" if hours == 1 else f"{hours} hours"  # noqa: PLR2004 - two days
    return f"in {span}" if left > timedelta() else f"{span} ago"
