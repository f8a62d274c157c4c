"""The menu and its second row, in wide and narrow windows, with and without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, StorageState, expect

from dashboard.accounts.roles import Role
from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS
from tests.browser.barriers import looks_right
from tests.browser.served import Served
from tests.support.browser import DESKTOP, PHONE, watched_page

pytestmark = pytest.mark.browser
TABS = ["Live", "Trends", "People", "Study", "Analysis", "More"]
DEVICE = ["Health", "Alerts", "Models", "Picture", "Settings", "Accounts", "Tokens"]
DEVICE += ["Backup", "Audit"]


def test_a_phone_has_five_tabs_and_more_even_without_scripts(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE, scripts=False) as page:
        page.goto(f"{shown.address}/study")
        menu = page.get_by_role("navigation", name="Pages", exact=True)
        tabs = menu.locator("a:visible, summary:visible")
        expect(tabs).to_have_text(TABS)
        for tab in tabs.all():
            box = tab.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0]
        menu.get_by_text("More").click()
        menu.get_by_role("link", name="Tokens").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Tokens")


def test_more_is_opened_and_left_by_keyboard_and_read_aloud(
    browser: Browser, shown: Served, login: StorageState, axe: str
) -> None:
    with watched_page(browser, login, PHONE) as page:
        page.goto(f"{shown.address}/alerts")
        more = page.locator("#more summary")
        more.focus()
        page.keyboard.press("Enter")
        links = page.locator("#more").get_by_role("link")
        expect(links).to_have_text(["Export", *DEVICE])
        expect(links.filter(has_text="Alerts")).to_have_attribute("aria-current", "page")
        looks_right(page, axe)
        page.keyboard.press("Tab")
        expect(links.first).to_be_focused()
        page.keyboard.press("Escape")
        expect(links.first).to_be_hidden()
        expect(more).to_be_focused()


def test_a_second_row_leads_through_a_group_and_names_the_present_page(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, DESKTOP) as page:
        page.goto(f"{shown.address}/study")
        row = page.get_by_role("navigation", name="Study")
        row.get_by_role("link", name="Plan").click()
        expect(row.locator("[aria-current=page]")).to_have_text("Plan")
        menu = page.get_by_role("navigation", name="Pages", exact=True)
        expect(menu.locator("[aria-current=true]")).to_have_text("Study")
        expect(menu.get_by_text("More")).to_be_hidden()
        menu.get_by_role("link", name="Device").click()
        row = page.get_by_role("navigation", name="Device")
        expect(row.get_by_role("link")).to_have_text(DEVICE)


def test_pages_without_a_tab_of_their_own_are_in_a_place_of_the_menu(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE) as page:
        page.goto(f"{shown.address}/export")
        expect(page.locator("#more summary")).to_have_attribute("aria-current", "true")
        for led_to in (f"/{one.name}" for one in QUESTIONS if one.has(Way.PAGE) and not one.title):
            (of,) = [one for one in QUESTIONS if one.also == led_to]
            page.goto(f"{shown.address}{led_to}")
            expect(page.locator("#more summary")).not_to_have_attribute("aria-current", "true")
            row = page.get_by_role("navigation", name="Analysis", exact=True)
            expect(row.locator("[aria-current=page]")).to_have_text(of.title)


def test_a_viewer_sees_three_entries_of_device(browser: Browser, own: Served) -> None:
    with watched_page(browser, own.login(Role.VIEWER), PHONE) as page:
        page.goto(f"{own.address}/live")
        page.locator("#more summary").click()
        expect(page.locator("#more").get_by_role("link")).to_have_text(DEVICE[:3])
