"""Pages in German on a phone: script and server speak alike, nothing reaches over the edge."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.browser.served import Served
from tests.support.browser import DESKTOP, PHONE, broken_words, has_sideways_scroll, watched_page

pytestmark = pytest.mark.browser
PATHS = ("/live", "/study", "/analysis", "/trends", "/readings", "/account", "/picture")


def test_scripts_speak_the_language_of_the_page_until_another_is_chosen(
    browser: Browser, own: Served
) -> None:
    with watched_page(browser, own.login(), PHONE, locale="de-DE") as page:
        page.goto(f"{own.address}/live")
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("#agent-state")).to_have_text("Agent offline")
        expect(page.locator("#standing")).to_contain_text("Kamera nicht bekannt")
        expect(page.locator("#strip-text")).to_contain_text("Freude")
        expect(page.locator(".tile-name").first).to_contain_text("Herzfrequenz")
        written = page.evaluate(
            "import('/static/js/page.js').then(({ localTime }) => localTime(1790000400000))"
        )
        assert written == "21.09.2026, 16:20"
        page.goto(f"{own.address}/account")
        page.get_by_label("Sprache Ihrer Seiten").select_option("en")
        page.get_by_role("button", name="Diese Sprache benutzen").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        assert page.locator('script[src*="/texts/"]').count() == 0


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_names_of_expressions_are_not_broken_on_live(
    browser: Browser, shown: Served, login: StorageState, size: tuple[int, int]
) -> None:
    with watched_page(browser, login, size, locale="de-DE") as page:
        page.goto(f"{shown.address}/live")
        expect(page.locator("#bars")).to_contain_text("Überraschung")
        assert broken_words(page, ".bar-name") == []


@pytest.mark.deep
def test_nothing_reaches_over_the_edge_of_a_phone(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE, locale="de-DE") as page:
        for path in PATHS:
            page.goto(shown.address + path)
            assert not has_sideways_scroll(page), path
