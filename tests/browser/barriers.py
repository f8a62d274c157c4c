"""What keeps somebody out of a page, as axe finds it, and what of a page cannot be seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

from playwright.sync_api import Page, expect

from tests.browser.page_paths import wait_for_charts
from tests.support.browser import DESKTOP, PHONE, has_sideways_scroll
from tools import languages

_RUN = """async (rules) => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...rules });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, any, all, none }) =>
    `${id}: ${target} ${(any[0] ?? all[0] ?? none[0])?.message}`));
}"""
_ALIKE = r"""() => {
  for (const body of document.querySelectorAll("tbody")) {
    const seen = new Map();
    for (const row of [...body.rows]) {
      const form = row.outerHTML.replace(/>[^<]*</g, "><")
        .replace(/ (?!class=|style=)[\w-]+="[^"]*"/g, (named) => named.replace(/\d+/g, "0"));
      seen.set(form, (seen.get(form) ?? 0) + 1);
      if (seen.get(form) > 3) row.remove();
    }
  }
}"""
_UNFOLD = "for (const one of document.querySelectorAll('details')) one.open = true"


def barriers(page: Page, axe: str, rules: Mapping[str, Any] | None = None) -> list[str]:
    """Return what axe finds on a page; its folds are opened, for what is in them counts as well.

    Of rows that differ in text and numbers alone, not in colours, the first three of each table
    stay: axe takes ten seconds for the hundreds of a chart's figures.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(axe)
    page.evaluate(_UNFOLD)
    page.evaluate(_ALIKE)
    found: list[str] = page.evaluate(_RUN, rules or {})
    return found


def looks_right(page: Page, axe: str) -> None:
    """Fail where something is cut off at the side, or keeps a screen reader out."""
    assert not has_sideways_scroll(page)
    page.evaluate(axe)
    assert page.evaluate(_RUN, {}) == []


_COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
_CUT = r"""(tables) => {
  const seen = (one) => one.checkVisibility({ visibilityProperty: true }) && one.clientWidth > 1;
  const name = (one) =>
    `cut: ${one.tagName.toLowerCase()}.${one.className} ${one.textContent.trim().slice(0, 40)}`;
  const cut = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { currentNode: text } = texts;
    const holder = text.parentElement;
    if (!text.data.trim() || !seen(holder) || holder.closest("svg, option, script")) continue;
    const range = new Range();
    range.selectNodeContents(text);
    const right = Math.max(...[...range.getClientRects()].map((box) => box.right));
    for (let one = holder; one; one = one.parentElement) {
      if (!["hidden", "clip"].includes(getComputedStyle(one).overflowX)) continue;
      if (one.clientWidth <= 1) break;
      if (right > one.getBoundingClientRect().right + 1) cut.add(name(holder));
    }
  }
  if (tables) {
    for (const one of document.querySelectorAll(".table-scroll")) {
      if (seen(one) && one.scrollWidth > one.clientWidth + 1) cut.add(name(one));
    }
  }
  return [...cut];
}"""
"""What is cut off at its right edge: texts, and tables that somebody has to move sideways."""
_EMPTY = r"""() => {
  const full = new Uint8Array(innerWidth);
  for (const one of document.querySelectorAll("body *")) {
    const box = one.getBoundingClientRect();
    const holds = one.matches(".card, .chart, .tile, .notice, .empty, .side, table, form, img, svg")
      || (!one.children.length && one.textContent.trim());
    if (holds && box.width && one.checkVisibility()) {
      full.fill(1, Math.max(0, Math.floor(box.left)), Math.max(0, Math.ceil(box.right)));
    }
  }
  return Math.max(...[...full].join("").split("1").map((run) => run.length));
}"""
"""The widest stretch of the window, in pixels, in which nothing stands from top to bottom."""
SIX_SIZES = (390, 768, 1024, 1280, 1440, 1920)
_WITHOUT_MOVING = 1280
"""Pixels of a window in which every table has room."""


def unseen(page: Page, width: int) -> Iterator[str]:
    """Make the window so wide, and yield what is cut off there or whether a third is empty."""
    page.set_viewport_size({"width": width, "height": 900})
    if has_sideways_scroll(page):
        yield "sideways scroll"
    yield from page.evaluate(_CUT, width >= _WITHOUT_MOVING)
    empty = page.evaluate(_EMPTY)
    if width >= 1920 and empty >= width / 3:
        yield f"{empty} of {width} pixels are empty"


_SIZES: dict[str, dict[int, dict[str, list[str]]]] = {
    "light": {width: {} for width in (360, *SIX_SIZES)},
    "dark": dict.fromkeys(SIX_SIZES, _COLOURS),
}
"""The rules for each width: in light all, in dark those that colours decide."""


_TEXTS = r"""() => {
  const root = document.documentElement;
  const named = "[translate=no], code, kbd, samp, pre, textarea, script, style, .visually-hidden";
  const shown = (one) => one.closest("[lang]") === root && !one.closest(named);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { currentNode: text } = texts;
    if (text.data.trim() && shown(text.parentElement)) found.push(text.data.trim());
  }
  for (const name of ["aria-label", "title", "alt", "placeholder"])
    for (const one of document.querySelectorAll(`[${name}]`))
      if (shown(one)) found.push(one.getAttribute(name));
  return found;
}"""
"""The texts of a page that are in its language, those of attributes, too: no names, nothing that is
typed as it stands.
"""
_WORD = re.compile(r"(?<![\w.=/-])[^\W\d_]{3,}(?![\w=/-]|\.\w)")
"""A word; parts of ``self_report.csv``, ``expression-fast`` and ``format=bundle`` are none."""


def _words_in(text: str) -> set[str]:
    # Neither what stands for a value nor a section of the configuration, such as [camera].
    plain = re.sub(r"\{[^}]*\}|<[^>]*>|%\(\w+\)s|\[\w+\]", " ", text)
    return set(_WORD.findall(plain))


@cache
def _english_alone(language: str) -> frozenset[str]:
    """Return the words of our English texts that no text of another language has."""
    of_source: set[str] = set()
    of_language: set[str] = set()
    for message in languages.read(language):
        if message.id:
            of_source.update(*map(_words_in, languages.originals_of(message)))
            of_language.update(*map(_words_in, languages.strings_of(message)))
    # What our texts never write small is a name, such as Parquet.
    return frozenset(filter(str.islower, of_source)) - set(map(str.casefold, of_language))


def english_in(page: Page, language: str) -> Iterator[str]:
    """Yield each text of a page that has an English word, where it is in another language."""
    if language == "en" or page.locator(f"html[lang^={language}]").count() == 0:
        return
    texts: list[str] = page.evaluate(_TEXTS)
    for text in dict.fromkeys(texts):
        if words := _words_in(text.casefold()) & _english_alone(language):
            yield f"English ({', '.join(sorted(words))}): {text[:80]}"


MISSING = "/nothing"
"""The address of a page that is not there, which has to be one for everybody, too."""


def _open(page: Page, address: str) -> Iterator[str]:
    """Open a page, and yield an answer that is not the page that was meant."""
    answer = page.goto(address)
    status = answer.status if answer else None
    if status != (404 if address.endswith(MISSING) else 200):
        yield f"answered {status}"


def complaints_of(page: Page, address: str, axe: str) -> Iterator[str]:
    """Open a page, and yield everything that keeps somebody out of it."""
    yield from _open(page, address)
    wait_for_charts(page)
    expect(page.get_by_role("heading", level=1)).not_to_be_empty()
    if not page.title().endswith(" · Affect Edge"):
        yield page.title()
    if has_sideways_scroll(page):
        yield "sideways scroll"
    width = page.viewport_size["width"] if page.viewport_size else DESKTOP[0]
    yield from unseen(page, 1920)
    page.set_viewport_size({"width": width, "height": DESKTOP[1]})
    yield from barriers(page, axe)


def complaints_at_all_sizes(
    page: Page, address: str, axe: str, scheme: Literal["light", "dark"]
) -> Iterator[str]:
    """Open a page, and yield what keeps somebody out of it, with the width of the window."""
    page.set_viewport_size({"width": PHONE[0], "height": 900})
    yield from _open(page, address)
    wait_for_charts(page)
    for width in SIX_SIZES:  # before all folds are open
        yield from (f"{width}: {one}" for one in unseen(page, width))
    for width, rules in _SIZES[scheme].items():
        page.set_viewport_size({"width": width, "height": 900})
        if has_sideways_scroll(page):
            yield f"{width}: sideways scroll"
        yield from (f"{width}: {one}" for one in barriers(page, axe, rules))
