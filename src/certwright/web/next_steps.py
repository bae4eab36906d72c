"""Where pages do what hints tell people to type: a hint's command becomes a link, and an option the name of its field.

Whoever finds something wrong names the next step by its command, which says exactly what is meant, and of what. Here is
the one table of where each of them is found on pages.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from certwright.domain.access import Permission, UseCase
from certwright.domain.health_rules import THEN
from certwright.web.forms import label
from certwright.web.language import _, later


@dataclass(frozen=True, slots=True)
class Place:
    """What a command is on pages.

    Attributes:
        labels: what to look for: a page, and what is there, in the words of the pages, or an argument, `{1}`; that is
            left out where it is the certificate that the text is about.
        paths: addresses, of which the first counts whose arguments `{0}`, `{1}` the command names.
        count: how many arguments the command takes before its options.
        takes: the permission without which it is not offered there, if that is more than seeing the page takes.
    """

    labels: tuple[str, ...]
    paths: tuple[str, ...]
    count: int = 0
    takes: Permission = Permission.READ


@dataclass(frozen=True, slots=True)
class Step:
    """A command in a text: where it is found on pages, and what it takes; no path stands for one that no page has."""

    command: str
    labels: tuple[str, ...] = ()
    path: str = ""
    takes: Permission = Permission.READ


_CERTIFICATES = ("/certificates?name={0}", "/certificates")
_DESCRIBE, _EXAMINE = UseCase.DESCRIBE.permission, UseCase.EXAMINE_EXCHANGE.permission


def _of_certificate(*labels: str, tab: str = "", more: int = 0, takes: Permission = Permission.READ) -> Place:
    return Place(labels, (f"/certificates/{{0}}{tab}", *_CERTIFICATES), 1 + more, takes)


def _on_exchange(label: str) -> Place:
    paths = ("/certificates/{0}/exchange", "/exchange")
    return Place((later("Exchange"), label), paths, 1, UseCase.PLAN.permission)


def _run(more: int = 0) -> Place:
    labels = (later("Deployment"), later("Run it now"))
    return _of_certificate(*labels, tab="/deployment", more=more, takes=UseCase.DEPLOY.permission)


_TASKS = _of_certificate(later("Deployment"), tab="/deployment", more=1, takes=UseCase.SET_TASKS.permission)
_REQUEST = _of_certificate(later("Request a new one now"), takes=UseCase.REQUEST.permission)
_RENEWAL = _of_certificate(later("Renewal"), tab="/renewal", takes=_DESCRIBE)
_VALIDATION = Place(
    (later("Validation"), "{1}"),
    ("/certificates/{0}/validation/{1}", "/certificates/{0}/validation", *_CERTIFICATES),
    2,
    _DESCRIBE,
)
_EXCHANGE_PLAN = _on_exchange(later("See what would be done"))
_WIZARD = Place((later("New certificate"), later("An Exchange server")), ("/new/exchange",))
_ISSUERS = Place((later("Issuers"),), ("/issuers",), 2, Permission.MANAGE)
_NOTIFICATIONS = Place((later("Notifications"),), ("/notifications",), 1, Permission.MANAGE)
_CHANNEL = Place(
    (later("Notifications"), "{0}", "{1}"),
    ("/notifications/channels/add/{0}?name={1}", "/notifications/channels/add/{0}", "/notifications"),
    2,
    Permission.MANAGE,
)
_RULE = Place((later("Notifications"), "{0}"), ("/notifications/rule?name={0}", "/notifications/rule"), 1)
_PEOPLE = Place((later("People & tokens"),), ("/people",), 2)
_PERSON = Place(_PEOPLE.labels, _PEOPLE.paths, 1)
_WATCHED = Place((later("Watched"),), ("/watched",), 1, Permission.MANAGE)
_WINDOW = Place((later("Maintenance windows"), "{0}"), ("/windows/edit?name={0}", "/windows/edit"), 1)

PLACES: Mapping[str, Place] = {
    "audit verify": Place((later("Audit"), later("Verify now")), ("/audit",)),
    "certificate export": _of_certificate(later("Export the current version"), tab="/export"),
    "certificate issuers": _of_certificate(later("Issuer & key"), tab="/issuer", takes=_DESCRIBE),
    "certificate list": Place((later("Certificates"),), ("/certificates",)),
    "certificate log": _of_certificate(later("Log"), tab="/log"),
    "certificate look": _of_certificate(
        later("Deployment"), later("Look at what is served"), tab="/deployment", takes=UseCase.PREVIEW.permission
    ),
    "certificate new": Place((later("New certificate"),), ("/new",)),
    "certificate persist": _of_certificate(later("Validation"), tab="/validation"),
    "certificate release": _RENEWAL,
    "certificate renew": _REQUEST,
    "certificate request": _of_certificate(later("Request it now"), takes=UseCase.REQUEST.permission),
    "certificate show": _of_certificate("{0}", later("Deployment"), tab="/deployment"),
    "certificate tags": _of_certificate(later("Names"), takes=_DESCRIBE),
    "certificate test": _of_certificate(later("Test"), takes=UseCase.TEST.permission),
    "certificate window": _RENEWAL,
    "credential add": Place(
        (later("Credentials"), "{1}"),
        ("/credentials/add/{0}?name={1}", "/credentials/add/{0}", "/credentials"),
        2,
        Permission.MANAGE,
    ),
    "credential list": Place((later("Credentials"),), ("/credentials",)),
    "credential test": Place((later("Credentials"), later("Test")), ("/credentials",), 2, Permission.MANAGE),
    "deploy": _run(),
    "exchange account": Place((later("Exchange"), later("The account")), ("/exchange/account",)),
    "exchange acknowledge": Place((later("Exchange"),), ("/exchange",), 1, _EXAMINE),
    "exchange apply": _EXCHANGE_PLAN,
    "exchange cleanup": _on_exchange(later("Clean up")),
    "exchange discover": Place((later("Exchange"), later("Look at it now")), ("/exchange",), takes=_EXAMINE),
    "exchange doctor": Place((later("Exchange"), later("Examine it")), ("/exchange",), takes=_EXAMINE),
    "exchange names": _WIZARD,
    "exchange plan": _EXCHANGE_PLAN,
    "exchange setup": _WIZARD,
    "exchange undo": _on_exchange(later("Put back what was there before")),
    "exchange verify": _on_exchange(later("Look at every port")),
    "issuer add": _ISSUERS,
    "issuer authorities": Place(
        (*_ISSUERS.labels, later("A new issuer")), ("/issuers/add/acme",), takes=Permission.MANAGE
    ),
    "issuer change": _ISSUERS,
    "issuer limits": Place((later("Overview"), later("Rate limits of the authorities")), ("/",), 1),
    "keys confirm": Place(
        (later("System"), later("Recovery key, to show that it is known")),
        ("/system#recovery-key",),
        takes=Permission.ADMINISTER,
    ),
    "notification channel add": _CHANNEL,
    "notification channel remove": _NOTIFICATIONS,
    "notification channel test": _NOTIFICATIONS,
    "notification rule add": _RULE,
    "person add": _PEOPLE,
    "person admit": _PERSON,
    "person password": _PERSON,
    "person provider add": Place(
        (*_PEOPLE.labels, "{0}"), ("/people/providers/add?name={0}", "/people/providers/add"), 1
    ),
    "person provider remove": _PERSON,
    "status": Place((later("Overview"),), ("/",)),
    "task add": _TASKS,
    "task change": _TASKS,
    "task enable": _of_certificate(
        later("Deployment"), later("Enable"), tab="/deployment", more=1, takes=UseCase.SET_TASKS.permission
    ),
    "task list": _of_certificate(later("Deployment"), tab="/deployment"),
    "task remove": _TASKS,
    "task run": _run(more=1),
    "token add": _PERSON,
    "token remove": Place(_PEOPLE.labels, _PEOPLE.paths),
    "validation set": _VALIDATION,
    "watch add": Place((*_WATCHED.labels, later("Watch a file")), ("/watched/add/file",)),
    "watch list": Place(_WATCHED.labels, _WATCHED.paths),
    "watch look": _WATCHED,
    "window add": _WINDOW,
}
AT_A_TERMINAL: Mapping[str, int] = {
    "backup": 0,
    "check": 0,
    "init": 0,
    "keys rotate": 0,
    "probe": 0,
    "restore": 1,
    "serve": 0,
}
"""What no page has, with how many arguments it takes."""
_OPTIONS_AT_A_TERMINAL = {"audit verify": "--seen", "exchange verify": "--outside"}

FIELDS = frozenset(
    {
        *("address", "authority", "ca-file", "check-via", "directory", "host"),
        *("precheck", "security", "starttls", "to", "username"),
    }
)
"""Options that hints name and forms have as fields."""

_ALL = sorted((*PLACES, *AT_A_TERMINAL), key=len, reverse=True)
_COMMAND = re.compile(rf"(?P<mark>[`']?)\bcertwright (?P<name>{'|'.join(map(re.escape, _ALL))})\b")
_WORD = re.compile(r" (?P<word>'[^']*'(?:\"'\"'[^']*')*|\.\.\.|[^\s`'\"();]*[^\s`'\"();,.])")
_OPTION = rf"--(?P<off>no-)?(?P<name>{'|'.join(sorted(FIELDS))})\b(?!-)(?: (?P<value>[A-Z]{{2,}}(?::[A-Z]+)*))?"
_CHAPTER = r"docs(?P<path>/guide/[a-z0-9-]+)\.md"
_OPTION_OR_CHAPTER = re.compile(f"{_OPTION}|{_CHAPTER}")
_SWITCHES = {"--check", "--recover", "--verify"}


def _anything(_step: Step) -> bool:
    return True


_about: ContextVar[tuple[str, Callable[[Step], bool]]] = ContextVar("about", default=("", _anything))


def steps(text: str, about: str = "") -> Iterator[str | Step]:
    """A text and the commands in it, in turn.

    Args:
        text: what an error, a finding or a health tells.
        about: the certificate that stands for the placeholder CERT.
    """
    at = 0
    while found := _COMMAND.search(text, at):
        mark = found["mark"]
        closed = text.find(mark, found.end()) if mark else -1
        if closed > 0:
            words, end = [word["word"] for word in _WORD.finditer(text, found.end(), closed)], closed
        else:
            (words, end), mark = _words(text, found), ""
        begin = found.end("mark")
        yield text[at : begin - len(mark)]
        yield _step(text[begin:end], found["name"], words, about)
        at = end + len(mark)
    yield text[at:]


def _words(text: str, found: re.Match[str]) -> tuple[list[str], int]:
    """The arguments and options of a command that nothing marks the end of, and where they end."""
    place = PLACES.get(found["name"])
    left = place.count if place else AT_A_TERMINAL[found["name"]]
    words: list[str] = []
    at = found.end()
    while word := _WORD.match(text, at):
        said = word["word"]
        is_value = bool(words) and words[-1].startswith("--") and words[-1] not in _SWITCHES
        if not (is_value or said.startswith("--") or said == "..." or said.isupper() or left > 0):
            break
        left -= not is_value and not said.startswith("--")
        words.append(said)
        at = word.end()
    return words, at


def _step(command: str, name: str, words: Sequence[str], about: str) -> Step:
    place = PLACES.get(name)
    if place is None or _OPTIONS_AT_A_TERMINAL.get(name) in words:
        return Step(command)
    arguments = [_meant(word, about) for word in words]
    if not arguments and place.paths[0].startswith("/certificates/{0}"):
        arguments = [about]
    path = next(filter(None, (_address(path, arguments) for path in place.paths)))
    others = ["" if each == about else each for each in arguments]
    return Step(command, tuple(filter(None, (_filled(each, others) for each in place.labels))), path, place.takes)


def _meant(word: str, about: str) -> str:
    """What a word of a command stands for; empty if it holds the place of something that is not known here."""
    if word.startswith("'"):
        return shlex.split(word)[0]
    return about if word == "CERT" else "" if word.isupper() else word


def _address(path: str, arguments: Sequence[str]) -> str:
    """A path with its arguments; empty if one is missing, or has a slash, with which it is no part of a path."""
    filled = _filled(path, [quote(each, safe="") for each in arguments])
    return "" if "%2F" in filled.partition("?")[0] else filled


def _filled(text: str, arguments: Sequence[str]) -> str:
    """A text with its arguments; empty if one is missing."""
    wanted = [int(number) for number in re.findall(r"{(\d)}", text)]
    if any(number >= len(arguments) or not arguments[number] for number in wanted):
        return ""
    return text.format(*arguments)


@contextmanager
def about(certificate: str, may_do: Callable[[Step], bool] = _anything) -> Iterator[None]:
    """Have `linked` know which certificate a page is about, and to which steps whoever reads it may be led."""
    token = _about.set((certificate, may_do))
    try:
        yield
    finally:
        _about.reset(token)


def linked(text: str, certificate: str = "") -> Markup:
    """A text with its commands as links; one that is nothing but a command is a button.

    It is about this certificate, or else about that of the page.
    """
    of_page, may_do = _about.get()
    parts = [part for part in steps(text, certificate or of_page) if isinstance(part, Step) or part]
    alone = len(parts) == 1
    return Markup("").join(
        _worded(part) if isinstance(part, str) else _markup(part, alone=alone, is_link=bool(part.path) and may_do(part))
        for part in parts
    )


def mending(hint: str, certificate: str) -> Step | None:
    """The first page where whoever reads a hint about this certificate can do what it says; None if there is none."""
    _of_page, may_do = _about.get()
    mends = "\n".join(line for line in hint.splitlines() if not line.startswith(THEN))
    found = (part for part in steps(mends, certificate) if isinstance(part, Step) and part.path and may_do(part))
    return next(found, None)


def found_at(step: Step) -> str:
    """Where a step is found, in the words of the pages."""
    return ": ".join(_(each) for each in step.labels)


def _worded(text: str) -> Markup:
    """A text with options as fields, --ca-file FILE as “CA file” (FILE), and with links to chapters of the guide."""
    shown, at = Markup(""), 0
    for found in _OPTION_OR_CHAPTER.finditer(text):
        shown += text[at : found.start()]
        shown += _chapter(found) if found["path"] else _field(found)
        at = found.end()
    return shown + text[at:]


def _chapter(found: re.Match[str]) -> Markup:
    return Markup('<a href="{}">{}</a>').format(found["path"], found[0])


def _field(found: re.Match[str]) -> Markup:
    """An option as a field; --no-precheck is “Check first” (off)."""
    said = _("off") if found["off"] else found["value"]
    field = Markup("<q>{}</q>").format(_(label(found["name"].replace("-", "_"))))
    return Markup("{} ({})").format(field, said) if said else field


def _markup(step: Step, *, alone: bool, is_link: bool) -> Markup:
    if not is_link:
        return Markup("<code>{}</code>").format(step.command)
    shape = Markup(' role="button" class="quiet"') if alone else ""
    return Markup('<a href="{}" title="{}"{}>{}</a>').format(step.path, step.command, shape, found_at(step))
