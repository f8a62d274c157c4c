"""What keeps somebody out of a page, as axe finds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from playwright.sync_api import Page, expect

from tests.browser.page_paths import wait_for_charts
from tests.support.browser import PHONE, has_sideways_scroll

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
_SIZES: dict[str, dict[int, dict[str, list[str]]]] = {
    "light": {360: {}, 1024: {"runOnly": ["scrollable-region-focusable"]}, 1440: {}},
    "dark": {360: _COLOURS, 1024: _COLOURS, 1280: _COLOURS},
}
"""The rules for each width: all at the ends, in dark those that colours decide."""


def complaints_of(page: Page, address: str, axe: str) -> Iterator[str]:
    """Open a page, and yield everything that keeps somebody out of it."""
    page.goto(address)
    wait_for_charts(page)
    expect(page.get_by_role("heading", level=1)).not_to_be_empty()
    if not page.title().endswith(" · Affect Edge"):
        yield page.title()
    if has_sideways_scroll(page):
        yield "sideways scroll"
    yield from barriers(page, axe)


def complaints_at_all_sizes(
    page: Page, address: str, axe: str, scheme: Literal["light", "dark"]
) -> Iterator[str]:
    """Open a page, and yield what keeps somebody out of it, with the width of the window."""
    page.set_viewport_size({"width": PHONE[0], "height": 900})
    page.goto(address)
    wait_for_charts(page)
    for width, rules in _SIZES[scheme].items():
        page.set_viewport_size({"width": width, "height": 900})
        if has_sideways_scroll(page):
            yield f"{width}: sideways scroll"
        yield from (f"{width}: {one}" for one in barriers(page, axe, rules))
