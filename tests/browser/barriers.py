"""What keeps somebody out of a page, as axe finds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page

from tests.support.browser import has_sideways_scroll

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
