"""Withdrawing and erasing in a real browser, by keyboard alone, on a phone's screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from dashboard.web.settings import DashboardOptions
from edge_agent.store.study.study import Study
from tests.support.browser import PHONE, chromium, has_sideways_scroll, watched_page
from tests.support.dashboard import NAME, PASSWORD, DashboardProcess, add_session, fill

pytestmark = pytest.mark.browser


def test_a_participant_withdraws_and_is_erased_by_keyboard(tmp_path: Path) -> None:
    database = DashboardOptions(data=tmp_path).database
    fill(database)
    number = add_session(database, "P-7Q2K")
    with (
        DashboardProcess(tmp_path) as process,
        chromium() as browser,
        watched_page(browser, size=PHONE, refusals=(409,)) as page,
    ):
        page.goto(process.address)
        page.get_by_label("Setup code").fill(process.setup_code)
        page.get_by_label("User name").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/first-steps")
        for name in ("quality", "course", "course?relative=true"):
            page.goto(f"{process.address}/study/sessions/{number}/{name}")
            assert not has_sideways_scroll(page), name

        page.goto(f"{process.address}/study")
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
    assert Study(database).participants() == []
