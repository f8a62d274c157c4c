"""Trends in a real browser: moving, zooming, one colour alone, the week, what is taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from dashboard.web.settings import DashboardOptions
from tests.browser.page_paths import wait_for_charts
from tests.support.browser import watched_page
from tests.support.dashboard import DashboardProcess, fill
from tests.support.timeline import query

pytestmark = pytest.mark.browser
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    """A dashboard over ten minutes of recording."""
    folder = tmp_path_factory.mktemp("trends")
    fill(DashboardOptions(data=folder).database, minutes=10)
    with DashboardProcess(folder, "--login-link") as process:
        yield process


@pytest.fixture(scope="module")
def login(browser: Browser, dashboard: DashboardProcess) -> StorageState:
    """The cookie of somebody who is logged in."""
    with watched_page(browser) as page:
        page.goto(dashboard.login_link)
        return page.context.storage_state()


@pytest.fixture(scope="module")
def newest(
    dashboard: DashboardProcess, login: StorageState, tmp_path_factory: pytest.TempPathFactory
) -> int:
    """When the last row was recorded."""
    (folder,) = tmp_path_factory.getbasetemp().glob("trends0")
    ((last,),) = query(DashboardOptions(data=folder).database, "SELECT max(at) FROM expression")
    return int(last)


def range_of(page: Page) -> tuple[int, int]:
    """The range in the address."""
    start, end = re.findall(r"(?:start|end)=(\d+)", page.url)
    return int(start), int(end)


def test_what_is_dragged_is_the_new_range_by_the_readers_clock_and_earlier_leads_back(
    browser: Browser, dashboard: DashboardProcess, login: StorageState, newest: int
) -> None:
    begin = newest - 600_000
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends?start={begin}&end={newest}")
        wait_for_charts(page)
        area = page.locator(".nsewdrag").first.bounding_box()
        assert area is not None
        middle = area["y"] + area["height"] / 2
        page.mouse.move(area["x"] + area["width"] * 0.25, middle)
        page.mouse.down()
        page.mouse.move(area["x"] + area["width"] * 0.5, middle, steps=4)
        page.mouse.up()
        expect(page).not_to_have_url(re.compile(f"start={begin}"))
        start, end = range_of(page)
        assert abs(start - (begin + 150_000)) < 5_000, "the axis is the reader's, the address UTC"
        assert abs(end - (begin + 300_000)) < 5_000
        page.get_by_role("link", name="Earlier").click()
        expect(page).to_have_url(re.compile(f"end={start}$"))
        page.get_by_role("link", name="Today").click()
        today, tomorrow = range_of(page)
        assert tomorrow - today in {23 * HOUR_MS, 24 * HOUR_MS, 25 * HOUR_MS}


def test_a_colour_is_shown_alone_and_pointing_tells_every_row(
    browser: Browser, dashboard: DashboardProcess, login: StorageState, newest: int
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends?start={newest - 600_000}&end={newest}")
        wait_for_charts(page)
        area = page.locator(".nsewdrag").first.bounding_box()
        assert area is not None
        page.mouse.move(area["x"] + area["width"] * 0.9, area["y"] + 20)
        told = page.locator(".hoverlayer")
        for row in ("anger", "last heart rate", "last systolic", "last diastolic"):
            expect(told).to_contain_text(row)
        colours = page.get_by_role("list", name="Colours", exact=True)
        fills = page.locator(".scatterlayer .js-fill")
        drawn = fills.count()
        colours.get_by_role("button", name="anger").click()
        expect(colours.get_by_role("button", name="anger")).to_have_attribute(
            "aria-pressed", "true"
        )
        expect(fills).not_to_have_count(drawn)
        colours.get_by_role("button", name="anger").click()
        expect(fills).to_have_count(drawn)


def test_the_week_the_other_range_the_picture_and_the_numbers_are_of_what_is_shown(
    browser: Browser, dashboard: DashboardProcess, login: StorageState, newest: int
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/trends?start={newest - 300_000}&end={newest}")
        page.get_by_text("By hour and day of the week").click()
        expect(page.locator("#week-sentence")).to_contain_text("of 168")
        expect(page.locator("#week-table .is-filled").first).to_have_text(re.compile(r"^7\d$"))
        page.get_by_label("What", exact=True).select_option("anger")
        expect(page.locator("#week-sentence")).to_contain_text("%")
        page.get_by_role("link", name="The range before").click()
        expect(page.get_by_role("row", name=re.compile("^heart rate"))).to_have_text(
            re.compile(r"7\d\.\d.*7\d\.\d.*[+−]")
        )
        wait_for_charts(page)
        shown = page.locator("#trend")
        with page.expect_download() as picture:
            shown.get_by_role("button", name="Picture of").click()
        assert picture.value.path().read_bytes().startswith(b"\x89PNG")
        with page.expect_download() as table:
            shown.get_by_role("button", name="CSV of").click()
        lines = Path(table.value.path()).read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("from,neutral,happiness")
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z,", lines[1])
