"""Withdrawing and erasing in a real browser, by keyboard alone, on a phone's screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.served import Served
from tests.support.browser import PHONE, watched_page
from tests.support.dashboard import add_session

pytestmark = pytest.mark.browser


def test_a_participant_withdraws_and_is_erased_by_keyboard(browser: Browser, own: Served) -> None:
    add_session(own.database, "P-7Q2K")
    before = len(own.study.participants())
    with watched_page(browser, own.login(), PHONE, refusals=(409,)) as page:
        page.goto(f"{own.address}/study")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Withdraw consent of P-7Q2K").press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("The consent was withdrawn")
        field = page.get_by_label("Type P-7Q2K to erase")
        field.press_sequentially("P-7Q")
        field.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Nothing was erased")
        field.press_sequentially("p-7q2k")
        field.press("Tab")
        expect(page.get_by_role("button", name="Erase permanently")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").first).to_contain_text("The participant is erased.")
        assert "P-7Q2K" not in page.content()
    assert len(own.study.participants()) == before - 1
