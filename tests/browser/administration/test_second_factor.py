"""The second factor in a real browser: read the key, keep the codes, log in with both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.barriers import looks_right
from tests.browser.served import Served
from tests.support.browser import PHONE, watched_page
from tests.support.dashboard import NAME, PASSWORD

pytestmark = pytest.mark.browser


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Served]:
    """A new dashboard over an empty folder."""
    with Served(tmp_path) as served:
        yield served


def set_up(page: Page, dashboard: Served) -> None:
    """Make the first account, which is logged in then."""
    page.goto(f"{dashboard.address}/setup")
    page.get_by_label("Setup code").fill(dashboard.setup_code)
    page.get_by_label("User name").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("First steps")


def test_a_second_factor_is_turned_on_and_asked_for_on_a_phone(
    browser: Browser, dashboard: Served, axe: str
) -> None:
    with watched_page(browser, size=PHONE) as page:
        set_up(page, dashboard)
        page.goto(f"{dashboard.address}/account")
        section = page.locator("#second-factor")
        section.get_by_label("Current password").fill(PASSWORD)
        section.get_by_role("button", name="Turn on the second factor").click()
        expect(page.get_by_role("img", name="QR code of the key")).to_be_visible()
        secret = page.locator("#secret").inner_text().replace(" ", "")
        looks_right(page, axe)
        page.get_by_label("The code that the app shows now").fill(pyotp.TOTP(secret).now())
        page.get_by_role("button", name="Turn it on").click()
        codes = page.locator("#recovery-codes code").all_inner_texts()
        assert len(codes) == 10
        looks_right(page, axe)
        page.get_by_role("link", name="I have kept them").click()
        expect(section.get_by_text("10 recovery codes are left")).to_be_visible()
        looks_right(page, axe)
    with watched_page(browser, size=PHONE) as page:
        page.goto(f"{dashboard.address}/live")
        expect(page.locator("#name")).to_be_focused()
        page.keyboard.type(NAME)
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
        looks_right(page, axe)
        page.keyboard.type(codes[0].lower())  # the field has the focus
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Live")
