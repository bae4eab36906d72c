"""The pages of a house that has something of everything, in German: none of their words is left in English."""

import html
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import polib

from certwright.web.forms import label
from certwright.web.language import catalogue_file
from world.mailing import Mail, mailing
from world.web import Browser, House, Seen, landed

GERMAN = {"Accept-Language": "de"}
NAMES = {"administrator", "manual", "none", "off", "smtp", "summary"}
"""Words of the pages that are names as well: of people and rules here, of kinds, and of values that are typed."""
ELSEWHERE = re.compile(r"/(audit|guide|static|runs/|sign-out)|/add/dns%3A|/log\b|/files/|/history")
"""Where nothing but data and what Certwright itself says is, or many forms of one kind."""


def catalogue() -> dict[str, str]:
    """Each word of the pages with its German one."""
    return {entry.msgid: entry.msgstr for entry in polib.pofile(str(catalogue_file("de"))) if not entry.msgid_plural}


def texts(seen: Seen) -> Iterator[str]:
    """What a person reads, whole and in pieces; not what is shown as code."""
    shown = re.sub(r"<(code|pre|script|template)\b.*?</\1>", "", seen.text, flags=re.DOTALL)
    for text, attribute in re.findall(r'>([^<]+)<|(?:aria-label|title|placeholder)="([^"]+)"', shown):
        whole = " ".join(html.unescape(text or attribute).split())
        yield from {whole, *re.split(r"[,:;] ?", whole)}


def walked(browser: Browser) -> Iterator[tuple[str, Seen]]:
    """Every page that links lead to."""
    to_do, known = deque(["/"]), {"/"}
    while to_do:
        path = to_do.popleft()
        seen = browser.get(path, **GERMAN)
        yield path, seen
        for link in map(html.unescape, re.findall(r'href="(/[^"#]*)', seen.text)):
            if link not in known and not ELSEWHERE.search(link):
                known.add(link)
                to_do.append(link)


def filled(mail: Mail) -> Iterator[tuple[str, Seen]]:
    """Something of everything, and what pages say of that."""
    browser, at, server = mail.house.signed_in(), f"/certificates/{mail.managed_id}", "mail01.contoso.test"
    mail.renewed()
    browser.post("/windows/edit", name="night", spans="Sat 22:00-04:00", zone="UTC")
    browser.post("/people/tokens/add", name="robot", permissions="request\naudit", days="9")
    for path, fields in (
        (f"{at}/look", {}),
        (f"{at}/preview", {}),
        (f"{at}/exchange/plan", {}),
        (f"{at}/exchange/verify", {}),
        (f"{at}/exchange/cleanup-plan", {}),
        ("/exchange/examine", {"server": server}),
        ("/exchange/account/check", {"server": server}),
        ("/new/names", {"names": "www.contoso.com"}),
        ("/new/exchange", {"server": server}),
    ):
        ended, _ = landed(browser, browser.post(path, **fields))
        yield ended, browser.get(ended, **GERMAN)
    yield from walked(browser)


def test_no_word_of_the_pages_is_left_in_english(house: House, tmp_path: Path) -> None:
    words = catalogue()
    english = {word for word, german in words.items() if word != german} - set(words.values())
    with mailing(house, tmp_path) as mail:
        read = {(path, text) for path, seen in filled(mail) for text in set(texts(seen)) - NAMES}
    found = [f"{path}: {text}" for path, text in sorted(read) if english & {text, label(text)}]
    assert not found, "\n".join(found)
