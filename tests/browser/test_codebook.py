"""The codebook of a bundle in a real browser: words stay whole, on paper, on screen and a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from edge_agent.timeline.export.table_schemas import COMPUTED, FILES, TITLES, WrittenFile, codebook
from tests.support.browser import DESKTOP, PHONE, broken_words, has_sideways_scroll, watched_page

pytestmark = pytest.mark.browser
A4 = (680, 900)  # less its margins


@pytest.mark.parametrize("size", [DESKTOP, A4, PHONE], ids=["desktop", "A4", "phone"])
def test_codebook_breaks_no_word(browser: Browser, size: tuple[int, int]) -> None:
    titles = {**TITLES, **dict.fromkeys(COMPUTED, "Added by an analysis")}
    files = [
        WrittenFile(name, f"{name}.csv", titles[name], "text/csv", 0, "", rows=7)
        for name in (*FILES, *COMPUTED)
    ]
    with watched_page(browser, size=size) as page:
        page.emulate_media(media="print" if size == A4 else "screen")
        page.set_content(codebook(files, "2026-11-27T20:46:44.084Z"))
        assert broken_words(page) == []
        assert not has_sideways_scroll(page)
