"""A form in a page whose log-in has ended: nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.served import Served
from tests.support.browser import watched_page
from tests.support.timeline import query

pytestmark = pytest.mark.browser
LATER = "const now = performance.now.bind(performance); performance.now = () => now() + 120_000;"
"""The page was opened two minutes ago."""


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[Served]:
    """A dashboard over an empty folder."""
    with Served(tmp_path) as served:
        yield served


def test_form_is_sent_after_a_new_login_and_keeps_what_was_typed(
    browser: Browser, dashboard: Served
) -> None:
    with watched_page(browser, dashboard.login()) as page:
        page.add_init_script(LATER)
        page.goto(f"{dashboard.address}/study")
        page.get_by_label("Code").first.fill("KEPT-1")
        page.context.clear_cookies()
        page.get_by_role("button", name="Add and ask for consent").click()
        expect(page.get_by_role("heading", name="Your log-in has ended")).to_be_visible()
        page.get_by_role("button", name="Send it now").click()
        expect(page.get_by_text("You are not logged in yet")).to_be_visible()
        assert query(dashboard.database, "SELECT count(*) FROM participant") == [(0,)]
        page.context.add_cookies(cast("Any", dashboard.login()["cookies"]))
        page.get_by_role("button", name="Send it now").click()
        expect(page).to_have_url(f"{dashboard.address}/study/participants/KEPT-1/consent")
    assert query(dashboard.database, "SELECT code FROM participant") == [("KEPT-1",)]


def test_form_of_an_open_login_is_sent_at_once(browser: Browser, dashboard: Served) -> None:
    with watched_page(browser, dashboard.login()) as page:
        page.add_init_script(LATER)
        page.goto(f"{dashboard.address}/study")
        page.get_by_label("Code").first.fill("SENT-1")
        page.get_by_role("button", name="Add and ask for consent").click()
        expect(page).to_have_url(f"{dashboard.address}/study/participants/SENT-1/consent")
