"""A real Chromium, and pages whose console and requests are watched."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    StorageState,
    expect,
    sync_playwright,
)

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = (1280, 900)
PHONE = (360, 740)
DEADLINE_MS = 90_000
BEYOND_THE_SHEET = """() => [...document.querySelectorAll("main *")]
  .filter(one => one.getClientRects().length && !one.closest(".visually-hidden"))
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => one.tagName + " " + one.textContent.trim().slice(0, 40))"""
"""What reaches over the right edge of a sheet of paper: a script."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium; skip the test where there is none.

    The headless shell has no windows to draw: it needs a third of the processor's time.
    """
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        pytest.skip("Chromium is not installed (apt install chromium-headless-shell)")
    expect.set_options(timeout=DEADLINE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Everything a page complained about, and every address it asked for.

    Args:
        page: what to watch.
        refusals: HTTP statuses that the test provokes; Chromium reports each in the console.
    """

    def __init__(self, page: Page, refusals: tuple[int, ...] = ()) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self._refusals = refusals
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        provoked = any(f"status of {status} " in message.text for status in self._refusals)
        if message.type in {"error", "warning"} and not provoked:
            self.complaints.append(f"{message.type}: {message.text} {message.location}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"}:
            self.hosts.add(address.hostname or request.url)

    def check(self) -> None:
        """Fail when anything was complained about or asked of another machine."""
        assert self.complaints == [], "\n".join(self.complaints)
        assert self.hosts <= {"127.0.0.1"}, self.hosts


@contextmanager
def watched_page(
    browser: Browser,
    state: StorageState | None = None,
    size: tuple[int, int] = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    refusals: tuple[int, ...] = (),
    locale: str = "en-GB",
    *,
    scripts: bool = True,
) -> Iterator[Page]:
    """Open a page of its own profile; afterwards nothing may have gone wrong in it."""
    context = browser.new_context(
        storage_state=state,
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        timezone_id="Europe/Berlin",
        locale=locale,
        java_script_enabled=scripts,
    )
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    watch = Watch(page, refusals)
    try:
        yield page
        watch.check()
    finally:
        context.close()


def has_sideways_scroll(page: Page) -> bool:
    """Whether the page is wider than the window, once its styles are loaded.

    Text can be there before the styles.
    """
    page.wait_for_load_state("load")
    wide: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wide


_BROKEN = r"""(holders) => {
  const broken = new Set();
  for (const holder of document.querySelectorAll(holders)) {
    const texts = document.createTreeWalker(holder, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      for (const { 0: word, index } of texts.currentNode.data.matchAll(/[\p{L}\d_]+/gu)) {
        const range = new Range();
        range.setStart(texts.currentNode, index);
        range.setEnd(texts.currentNode, index + word.length);
        if (range.getClientRects().length > 1) broken.add(word);
      }
    }
  }
  return [...broken];
}"""


def broken_words(page: Page, holders: str = "body") -> list[str]:
    """Return the words that a page writes on two lines, within what a CSS selector finds."""
    words: list[str] = page.evaluate(_BROKEN, holders)
    return words


def sheets(page: Page) -> int:
    """Return how many sheets the browser's print makes of the page."""
    return len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True)))


def logged_in(browser: Browser, link: str) -> StorageState:
    """Return the login that a one-time link of the first start gives."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", level=1)).to_have_text("Live")
    state = context.storage_state()
    context.close()
    return state
