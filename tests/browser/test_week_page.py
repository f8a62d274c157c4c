"""A person's week in a real browser: its days are the machine's, and the reader's on demand."""

from __future__ import annotations

from contextlib import closing

import pytest
from playwright.sync_api import Browser, StorageState, expect

from tests.browser.served import Served

pytestmark = pytest.mark.browser
ELSEWHERE = "Pacific/Kiritimati"
"""Its midnight is hardly that of a machine that tests."""


def test_week_has_the_machines_days_and_those_of_the_reader_on_demand(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    address = f"{shown.address}/study/participants/SIM-01/days"
    with closing(browser.new_context(storage_state=login, timezone_id=ELSEWHERE)) as context:
        page = context.new_page()
        page.goto(address)
        own = page.get_by_role("link", name="Show days by your clock")
        expect(own).to_be_visible()
        expect(page).to_have_url(address)
        own.click()
        expect(page.get_by_text(f"Days begin at midnight in {ELSEWHERE}.")).to_be_visible()
