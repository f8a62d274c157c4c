"""Pages in German on a phone: script and server speak alike, nothing reaches over the edge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.web.settings import DashboardOptions
from tests.support.browser import PHONE, Watch
from tests.support.dashboard import DashboardProcess, add_session, fill

pytestmark = pytest.mark.browser
BEYOND = "document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    folder: Path = tmp_path_factory.mktemp("languages")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=3, simulated=True)
    add_session(database)
    with DashboardProcess(folder, "--login-link") as process:
        yield process


@pytest.fixture(scope="module")
def page(browser: Browser, dashboard: DashboardProcess) -> Iterator[Page]:
    """The phone of somebody who reads German, and is logged in."""
    width, height = PHONE
    context = browser.new_context(
        locale="de-DE", viewport={"width": width, "height": height}, timezone_id="Europe/Berlin"
    )
    page = context.new_page()
    page.goto(dashboard.login_link)
    yield page
    context.close()


def test_scripts_speak_the_language_of_the_page(page: Page, dashboard: DashboardProcess) -> None:
    watch = Watch(page)
    page.goto(f"{dashboard.address}/live")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#agent-state")).to_have_text("Agent offline")
    expect(page.locator("#standing")).to_contain_text("Kamera nicht bekannt")
    expect(page.locator("#strip-text")).to_contain_text("Freude")
    expect(page.locator(".tile-name").first).to_contain_text("Herzfrequenz")
    assert watch.complaints == []


def test_dates_are_of_the_language_with_24_hours(page: Page, dashboard: DashboardProcess) -> None:
    page.goto(f"{dashboard.address}/study")
    written = page.evaluate(
        "import('/static/js/page.js').then(({ localTime }) => localTime(1790000400000))"
    )
    assert written == "21.09.2026, 16:20"


@pytest.mark.parametrize(
    "path", ["/live", "/study", "/analysis", "/trends", "/readings", "/account", "/picture"]
)
def test_nothing_reaches_over_the_edge_of_a_phone(
    page: Page, dashboard: DashboardProcess, path: str
) -> None:
    page.goto(dashboard.address + path)
    assert page.evaluate(BEYOND) <= 0


def test_who_chooses_english_loads_no_other_texts(page: Page, dashboard: DashboardProcess) -> None:
    page.goto(f"{dashboard.address}/account")
    page.get_by_label("Sprache Ihrer Seiten").select_option("en")
    page.get_by_role("button", name="Diese Sprache benutzen").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.locator('script[src*="/texts/"]').count() == 0
