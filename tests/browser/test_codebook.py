"""The codebook of a bundle in a real browser: words stay whole, on paper, on screen and a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from edge_agent.store.export.columns import FILES, TITLES, WrittenFile, codebook
from tests.support.browser import DESKTOP, PHONE, has_sideways_scroll, watched_page

pytestmark = pytest.mark.browser
BROKEN = r"""() => {
  const broken = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    for (const { 0: word, index } of texts.currentNode.data.matchAll(/[\p{L}\d_]+/gu)) {
      const range = new Range();
      range.setStart(texts.currentNode, index);
      range.setEnd(texts.currentNode, index + word.length);
      if (range.getClientRects().length > 1) broken.add(word);
    }
  }
  return [...broken];
}"""
"""The words that are written on two lines: a script."""
A4 = (680, 900)  # less its margins


@pytest.mark.parametrize("size", [DESKTOP, A4, PHONE], ids=["desktop", "A4", "phone"])
def test_codebook_breaks_no_word(browser: Browser, size: tuple[int, int]) -> None:
    files = [
        WrittenFile(name, f"{name}.csv", TITLES[name], "text/csv", 0, "", rows=7) for name in FILES
    ]
    with watched_page(browser, size=size) as page:
        page.emulate_media(media="print" if size == A4 else "screen")
        page.set_content(codebook(files, "2026-11-27T20:46:44.084Z"))
        assert page.evaluate(BROKEN) == []
        assert not has_sideways_scroll(page)
