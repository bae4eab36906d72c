"""Debian's Chromium, driven as a person would."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from peers.debian import require

_MILLISECONDS = 60_000
WIDE, PHONE = ViewportSize(width=1200, height=800), ViewportSize(width=390, height=800)


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
def tab(browser: Browser, size: ViewportSize = WIDE, *, dark: bool = False) -> Iterator[Page]:
    """A page in a profile of its own; whatever the browser complained of in it fails the test."""
    told: list[str] = []
    context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light")
    context.set_default_timeout(_MILLISECONDS)
    expect.set_options(timeout=_MILLISECONDS)
    page = context.new_page()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert not told
