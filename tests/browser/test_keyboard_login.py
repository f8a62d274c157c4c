"""Logging in and out without a mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.served import Served
from tests.support.browser import watched_page
from tests.support.dashboard import NAME, PASSWORD

pytestmark = pytest.mark.browser


def tab_to(page: Page, role: str, name: str) -> None:
    """Press Tab until what is wanted has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "[document.activeElement.tagName, document.activeElement.textContent.trim()]"
        )
        if focused == [role, name]:
            return
    raise AssertionError(f"{name!r} is not reached by the Tab key")


def test_somebody_logs_in_and_out_by_the_keyboard_alone(browser: Browser, tmp_path: Path) -> None:
    with Served(tmp_path) as dashboard, watched_page(browser, refusals=(401,)) as page:
        dashboard.services.accounts.set_up(dashboard.setup_code, NAME, PASSWORD)
        page.goto(f"{dashboard.address}/trends?range=1h")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type(NAME)
        page.keyboard.press("Tab")
        page.keyboard.type("wrong password")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
        for _ in range(10):
            if page.get_by_label("Password").evaluate("one => one === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Trends")
        tab_to(page, "BUTTON", "Log out")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        page.goto(f"{dashboard.address}/live")
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
