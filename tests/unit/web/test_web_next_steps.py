"""Where pages lead for what hints say to type: every command that a hint can name is known, and goes somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from starlette.routing import Match, Route

import certwright
from certwright.engine import catalog
from certwright.web.app import PAGES
from certwright.web.next_steps import AT_A_TERMINAL, FIELDS, PLACES, Step, about, found_at, linked, mending, steps
from certwright.web.watched import Service

SOURCE = Path(certwright.__file__).parent
COMMANDS = set(re.findall(r"^## certwright (.+)$", Path("docs/guide/commands.md").read_text(), re.MULTILINE))
ROUTES = [Route(page.path, lambda _: None) for page in PAGES if page.method == "GET"]


def hinted() -> Iterator[tuple[str, str]]:
    """Each command in a text of the program, beside those of the command line itself, and where."""
    for path in SOURCE.rglob("*.py"):
        if path.is_relative_to(SOURCE / "cli") or path.is_relative_to(SOURCE / "sandbox"):
            continue
        text = re.sub(r'"\s*\n\s*f?"', "", path.read_text())  # a sentence on several lines
        for words in re.findall(r"certwright ([a-z]+(?: [a-z]+)*)", text):
            yield words, str(path.relative_to(SOURCE))


def is_known(words: str) -> bool:
    return any(words == name or words.startswith(f"{name} ") for name in (*PLACES, *AT_A_TERMINAL))


def test_every_command_in_a_hint_has_its_place_or_is_none_of_the_pages() -> None:
    groups = {command.split()[0] for command in COMMANDS}
    named = {(words, path) for words, path in hinted() if words.split()[0] in groups and words not in groups}
    assert not {(words, path) for words, path in named if not is_known(words)}, "add them to web/next_steps.py"


def test_each_place_stands_for_a_command_that_there_is() -> None:
    known = {re.sub(r" CERT\b.*| (dns:)?\w+$", "", command) for command in COMMANDS} | COMMANDS
    assert not {name for name in (*PLACES, *AT_A_TERMINAL) if name not in known}


@pytest.mark.parametrize("name", PLACES)
def test_each_place_is_a_page(name: str) -> None:
    for arguments in ("", " CERT", " CERT TASK", " 12ab34cd56ef exchange", " acme le"):
        (step,) = (
            part for part in steps(f"Do it with: certwright {name}{arguments}", "12ab") if isinstance(part, Step)
        )
        scope = {"type": "http", "path": re.split("[?#]", step.path)[0], "method": "GET"}
        assert any(route.matches(scope)[0] is Match.FULL for route in ROUTES), step


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Find the cause with: certwright certificate test 7f3a",
            ["Find the cause with: ", ("Test", "/certificates/7f3a"), ""],
        ),
        (
            "Run once: certwright exchange doctor certwright exchange apply 'my mail'",
            [
                "Run once: ",
                ("Exchange: Examine it", "/exchange"),
                " ",
                ("Exchange: See what would be done", "/certificates/my%20mail/exchange"),
                "",
            ],
        ),
        (
            "Forward it (certwright validation set CERT SOLVER ...), or",
            ["Forward it (", ("Validation", "/certificates/12ab/validation"), "), or"],
        ),
        (
            "'certwright validation set CERT webroot --path FOLDER --timeout 60'.",
            ["", ("Validation: webroot", "/certificates/12ab/validation/webroot"), "."],
        ),
        (
            "Store it: certwright credential add exchange mail --username svc@contoso.test",
            ["Store it: ", ("Credentials: mail", "/credentials/add/exchange?name=mail"), ""],
        ),
        (
            "`certwright issuer limits le` shows it.",
            ["", ("Overview: Rate limits of the authorities", "/"), " shows it."],
        ),
        (
            "`certwright issuer authorities` lists them.",
            ["", ("Issuers: A new issuer", "/issuers/add/acme"), " lists them."],
        ),
        (
            "See it with: certwright certificate show 'the shop'. Or not.",
            ["See it with: ", ("the shop: Deployment", "/certificates/the%20shop/deployment"), ". Or not."],
        ),
        ("See: certwright certificate show CERT", ["See: ", ("Deployment", "/certificates/12ab/deployment"), ""]),
        ("Certwright's own", ["Certwright's own"]),
        ("Mend it, 'certwright status", ["Mend it, '", ("Overview", "/"), ""]),
    ],
)
def test_a_command_becomes_a_link(text: str, told: list[str | tuple[str, str]]) -> None:
    found = [(": ".join(part.labels), part.path) if isinstance(part, Step) else part for part in steps(text, "12ab")]
    assert found == told


@pytest.mark.parametrize(
    ("title", "path"),
    [
        ("Anna's mail", "/certificates/Anna%27s%20mail/deployment"),
        ("the boys'", "/certificates/the%20boys%27/deployment"),
        ("mail,web", "/certificates/mail%2Cweb/deployment"),
        ("THE SHOP", "/certificates/THE%20SHOP/deployment"),
        ("Ex/mail", "/certificates?name=Ex%2Fmail"),
    ],
)
def test_a_title_is_read_as_a_shell_reads_it(title: str, path: str) -> None:
    command = f"certwright certificate show {shlex.quote(title)}"
    for text in (f"See it with: {command}. Or not.", f"See it with: `{command}`. Or not."):
        _, step, rest = steps(text)
        assert isinstance(step, Step)
        assert (step.labels, step.path, rest) == ((title, "Deployment"), path, ". Or not.")


def test_without_a_certificate_the_placeholder_leads_to_all() -> None:
    assert [part.path for part in steps("certwright certificate log CERT") if isinstance(part, Step)] == [
        "/certificates"
    ]


def test_what_no_page_has_stays_a_command() -> None:
    assert "<code>certwright exchange verify mail --outside FILE</code>" in linked(
        "Make the program: certwright exchange verify mail --outside FILE"
    )


def test_what_others_wrote_is_text() -> None:
    with about("12ab"):
        html = linked("<script>alert(1)</script> certwright certificate log '<b>'")
    assert "<script>" not in html
    assert "<b>" not in html


def test_a_command_alone_is_a_button() -> None:
    assert 'role="button"' in linked("certwright certificate show 12ab")
    assert 'role="button"' not in linked("See: certwright certificate show 12ab")


def test_nobody_is_led_where_they_may_not_go() -> None:
    text = "certwright person add NAME viewer, or look at it: certwright certificate log 12ab"
    with about("", lambda step: not step.path.startswith("/people")):
        html = linked(text)
    assert html.startswith("<code>certwright person add NAME viewer</code>")
    assert '<a href="/certificates/12ab/log"' in html


def test_chapters_of_the_guide_are_read_on_pages() -> None:
    assert linked("Put the web.config of docs/guide/http-validation.md into place.") == (
        'Put the web.config of <a href="/guide/http-validation">docs/guide/http-validation.md</a> into place.'
    )


def test_options_are_the_fields_of_forms() -> None:
    assert linked("Give --ca-file FILE, --no-precheck or --caution.") == (
        "Give <q>CA file</q> (FILE), <q>Check first</q> (off) or --caution."
    )
    assert "--check-via" in linked("certwright validation set CERT http_listener --check-via gate:80")
    plugins: list[tuple[catalog.Kind, str]] = [
        ("issuers", "acme"),
        ("solvers", "http_listener"),
        ("notifications", "smtp"),
    ]
    models: list[type[BaseModel]] = [Service, *(catalog.plugin(kind, each).params for kind, each in plugins)]
    known = {name for model in models for name in model.model_fields}
    assert {field.replace("-", "_") for field in FIELDS} <= known


def test_the_step_that_mends_is_the_first_page_that_whoever_reads_may_see() -> None:
    hint = "Check the zone.\nStore it: certwright credential add exchange mail\nThen: certwright certificate renew 12ab"
    step = mending(hint, "12ab")
    assert step
    assert (step.path, found_at(step)) == ("/credentials/add/exchange?name=mail", "Credentials: mail")
    with about("", lambda step: not step.path.startswith("/credentials")):
        assert mending(hint, "12ab") is None
