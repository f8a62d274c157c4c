"""The analysis page's first answer is small; its folded parts come when somebody needs them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from dashboard.web.settings import DashboardOptions
from edge_agent.store.database.schema import write_transaction
from tests.browser.page_paths import wait_for_charts
from tests.support.browser import DEADLINE_MS, logged_in, watched_page
from tests.support.dashboard import DashboardProcess, dashboard_of_example

pytestmark = pytest.mark.browser
MOST_BYTES = 8000
ASKED = "/analysis?sample=example"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder."""
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> Iterator[DashboardProcess]:
    """A dashboard over the example study."""
    with dashboard_of_example(folder) as process:
        yield process


@pytest.fixture(scope="module")
def login(browser: Browser, dashboard: DashboardProcess) -> StorageState:
    """A login by the link of the first start."""
    return logged_in(browser, dashboard.login_link)


def asked_later(page: Page) -> list[str]:
    """Return the addresses of whole pages that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "whole=yes" in one.url else None)
    return asked


def test_all_parts_come_at_once_when_one_is_opened(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        asked = asked_later(page)
        with page.expect_response(lambda one: "/analysis?" in one.url) as first:
            page.goto(dashboard.address + ASKED)
        sizes = first.value.request.sizes()
        assert sizes["responseBodySize"] + sizes["responseHeadersSize"] <= MOST_BYTES
        assert first.value.headers["cache-control"] == "no-store"
        wait_for_charts(page)
        assert asked == []
        page.get_by_text("Each comparison in a sentence").click()
        expect(page.locator(".findings")).to_contain_text("Heart rate was")
        page.get_by_text("Sentences for a report").click()
        page.get_by_role("button", name="Copy").first.click()
        expect(
            page.get_by_role("button", name="Copied").or_(
                page.get_by_role("button", name="Selected")
            )
        ).to_be_visible()
        page.get_by_role("link", name="Before concluding").click()
        expect(page.get_by_role("heading", name="Assumptions of the tests")).to_be_in_viewport()
        assert page.locator("figure[data-chart]").count() == 7
        wait_for_charts(page)
        assert len(asked) == 1


@pytest.mark.parametrize("reason", ["scrolled", "searched", "followed", "an address", "selected"])
def test_parts_come_for_every_reason(
    browser: Browser, dashboard: DashboardProcess, login: StorageState, reason: str
) -> None:
    with watched_page(browser, login) as page:
        page.goto(dashboard.address + ASKED + ("#agreement" if reason == "an address" else ""))
        if reason == "scrolled":
            page.locator(".later-more").scroll_into_view_if_needed()
        if reason == "searched":
            page.keyboard.press("Control+f")
        if reason == "followed":
            page.get_by_role("link", name="Agreement", exact=True).click()
        if reason == "selected":
            page.get_by_role("radio", name="Selected").check()
            expect(page.locator("input[name=session]")).to_have_count(12)
        expect(page.locator("[data-later]")).to_have_count(0)
        if reason in {"followed", "an address"}:
            expect(page.get_by_role("heading", name="Do condition, face")).to_be_in_viewport()
            assert page.url.endswith(f"{ASKED}#agreement")


def test_without_scripts_a_link_shows_the_whole_page(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    context = browser.new_context(storage_state=login, java_script_enabled=False)
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    page.goto(dashboard.address + ASKED)
    page.get_by_text("Every figure of every test").click()
    page.get_by_role("link", name="Show this part").and_(page.locator(":visible")).first.click()
    expect(page.locator("[data-later]")).to_have_count(0)
    expect(page.get_by_role("heading", name="Do condition, face")).to_be_visible()
    context.close()


def test_parts_of_other_data_are_not_mixed_in(
    browser: Browser,
    dashboard: DashboardProcess,
    login: StorageState,
    folder: Path,
) -> None:
    with watched_page(browser, login) as page:
        page.goto(dashboard.address + ASKED)
        expect(page.locator("[data-later]").first).to_be_attached()
        with write_transaction(DashboardOptions(data=folder).database) as connection:
            connection.execute("UPDATE vital SET value = value + 1")
        page.get_by_text("Each comparison in a sentence").click()
        changed = page.get_by_role("link", name="The data have changed. Open the whole page")
        changed.and_(page.locator(":visible")).first.click()
        expect(page.locator(".findings-summary")).to_be_visible()
        expect(page.locator("[data-later]")).to_have_count(0)
