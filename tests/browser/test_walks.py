"""How many clicks the usual ways take, by a mouse."""

from __future__ import annotations

import re
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from tests.browser.served import Served
from tests.support.browser import sheets, watched_page

pytestmark = pytest.mark.browser
MOST_CLICKS = 20
MOST_OF_A_CARER = 3


class Mouse:
    """Uses a page as a person with a mouse does, and counts the clicks."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.clicks = 0

    def press(self, name: str | re.Pattern[str], role: str = "button") -> None:
        """Click the visible button, link, … of this name."""
        self.click(self._page.get_by_role(role, name=name, exact=isinstance(name, str)))  # type: ignore[arg-type]

    def click(self, what: Locator) -> None:
        """Click once."""
        what.and_(self._page.locator(":visible")).first.click()
        self.clicks += 1

    def write(self, field: str, text: str) -> None:
        """Click into a field, and type."""
        self.click(self._page.get_by_label(field))
        self._page.keyboard.press("Control+a")
        self._page.keyboard.type(text)


def test_from_participant_to_downloaded_analysis_with_a_corrected_marker(
    browser: Browser, own: Served
) -> None:
    with watched_page(browser, own.login()) as page:
        mouse = Mouse(page)
        page.goto(f"{own.address}/live")
        mouse.press("Study", "link")
        mouse.write("Code (leave empty", "P01")
        mouse.press("Add and ask for consent")
        mouse.click(page.get_by_role("checkbox"))
        mouse.press("Record the consent")
        mouse.press("Start the session")
        for condition in ("anger", "neutral"):
            mouse.press(condition)
            expect(page.locator("#session-condition")).to_contain_text(condition)
        mouse.press("Correct markers", "link")
        mouse.click(page.get_by_text("Correct", exact=True))
        mouse.write("Label", "happiness")
        mouse.press("Save")
        expect(page.get_by_role("region", name="Table of markers")).to_contain_text("happiness")
        mouse.press("Study", "link")
        mouse.press("End the session")
        mouse.press("Analysis", "link")
        mouse.press("Export this analysis")
        with page.expect_download() as download:
            mouse.press("Download", "link")
        with ZipFile(download.value.path()) as file:
            assert b"happiness" in file.read(next(n for n in file.namelist() if "marker" in n))
        assert mouse.clicks <= MOST_CLICKS


def test_the_three_questions_of_a_carer(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        mouse = Mouse(page)
        page.goto(f"{shown.address}/live")
        mouse.press("Study", "link")
        mouse.press("Week of SIM-12", "link")
        if page.get_by_text("The latest session is of").is_visible():
            mouse.press("Show its week", "link")
        assert mouse.clicks <= MOST_OF_A_CARER
        expect(page.locator(".week-day")).to_have_count(7)
        glance = page.get_by_role("region", name="At a glance")
        expect(glance).to_contain_text("1 of 7 days")
        page.set_viewport_size({"width": 390, "height": 844})
        # Above the menu at the foot of a phone, without scrolling.
        menu = page.locator("header.side nav").bounding_box()
        seen = glance.bounding_box()
        assert menu and seen and seen["y"] + seen["height"] <= menu["y"]
        assert sheets(page) == 1
        page.get_by_text("Details", exact=True).click()
        compared = page.get_by_role("region", name="Table of the weeks")
        expect(compared.get_by_role("row", name="Heart rate")).to_contain_text("n =")
        means = page.get_by_role("region", name="Means of the readings by emotion")
        expect(means.get_by_role("row", name="Distress")).to_contain_text("n =")
