"""Debian's Chromium, driven as a person would."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from peers.debian import require

_MILLISECONDS = 60_000
_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
WIDE, PHONE = ViewportSize(width=1200, height=800), ViewportSize(width=390, height=800)
LOOKS = {"light": (WIDE, False), "dark": (WIDE, True), "phone": (PHONE, False)}
"""How pages are looked at: the size of the screen, and whether it is dark."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run it until the block ends."""
    require("chromium")
    with sync_playwright() as driver:
        # Root may not use its sandbox; what it shows is ours.
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(
    browser: Browser, size: ViewportSize = WIDE, *, dark: bool = False, language: str = "en", expected: str = "$."
) -> Iterator[Page]:
    """A page in a profile of its own; whatever the browser complained of, but what is expected, fails the test."""
    told: list[str] = []
    context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light", locale=language)
    context.set_default_timeout(_MILLISECONDS)
    expect.set_options(timeout=_MILLISECONDS)
    page = context.new_page()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    complaints = [each for each in told if not re.search(expected, each)]
    assert not complaints, complaints


def complaints(page: Page) -> list[str]:
    """What axe finds, and whether the page is wider than the screen."""
    found: list[dict[str, Any]] = Axe().run(page, options=_RULES).response["violations"]
    told = [f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found]
    fits = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return told if fits else [*told, "wider than the screen"]


def complaints_by_look(page: Page) -> dict[str, list[str]]:
    """The same, by the look of the page: light, dark, on a telephone."""
    found = {}
    for look, (size, dark) in LOOKS.items():
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.reload()  # colours that are under way from one look to the other are none of the page's
        if told := complaints(page):
            found[look] = told
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    return found
