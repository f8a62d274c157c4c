"""Trends in a real browser: moving, zooming, one colour alone, the week, what is taken away."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.browser.page_paths import wait_for_charts
from tests.browser.served import Served
from tests.support.broker import wait_until
from tests.support.browser import BEYOND_THE_SHEET, PHONE, has_sideways_scroll, watched_page
from tests.support.timeline import query

pytestmark = pytest.mark.browser
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def newest(shown: Served) -> int:
    """When the last row was recorded."""
    ((last,),) = query(shown.database, "SELECT max(at) FROM expression")
    return int(last)


LOOKS = """() => [...document.querySelectorAll(".drawing")].filter(one => one.checkVisibility())
  .map(one => [one.getBoundingClientRect().width,
               getComputedStyle(one.querySelector("text")).fill])"""
"""The width of each chart that is shown, and the colour of its labels: a script."""


def place_in_plot(page: Page, share: float) -> tuple[float, float]:
    """A place in the shares of the chart, so far from its left."""
    picture = page.locator("#trend .drawing-wide")
    box = picture.bounding_box()
    assert box is not None
    scale = box["width"] / 800
    left, right = (float(picture.get_attribute(f"data-{end}") or 0) for end in ("left", "right"))
    return box["x"] + scale * (left + share * (right - left)), box["y"] + 60


def range_of(page: Page) -> tuple[int, int]:
    """The range in the address."""
    start, end = re.findall(r"(?:start|end)=(\d+)", page.url)
    return int(start), int(end)


def test_what_is_dragged_is_the_new_range_and_earlier_leads_back(
    browser: Browser, shown: Served, login: StorageState, newest: int
) -> None:
    begin = newest - 600_000
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/trends?start={begin}&end={newest}")
        wait_for_charts(page)
        page.mouse.move(*place_in_plot(page, 0.25))
        page.mouse.down()
        page.mouse.move(*place_in_plot(page, 0.5), steps=4)
        page.mouse.up()
        expect(page).not_to_have_url(re.compile(f"start={begin}"))
        start, end = range_of(page)
        assert abs(start - (begin + 150_000)) < 5_000, "the axis is the reader's, the address UTC"
        assert abs(end - (begin + 300_000)) < 5_000
        page.get_by_role("link", name="Earlier").click()
        expect(page).to_have_url(re.compile(f"end={start}$"))
        page.get_by_text("Other range", exact=True).click()
        page.get_by_role("link", name="Today").click()
        today, tomorrow = range_of(page)
        assert tomorrow - today in {23 * HOUR_MS, 24 * HOUR_MS, 25 * HOUR_MS}


def test_a_colour_is_shown_alone_and_pointing_tells_every_row(
    browser: Browser, shown: Served, login: StorageState, newest: int
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/trends?start={newest - 600_000}&end={newest}")
        wait_for_charts(page)
        page.mouse.move(*place_in_plot(page, 0.9))
        told = page.locator("#trend .chart-readout")
        for name in ("face readings", "heart rate, /min", "systolic, mmHg", "diastolic, mmHg"):
            expect(told).to_contain_text(name)
        colours = page.get_by_role("list", name="Colours", exact=True)
        bars = page.locator("#trend .drawing-wide [data-foot]").and_(page.locator(":visible"))
        drawn = bars.count()
        button = colours.get_by_role("button", name="anger")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(bars).not_to_have_count(drawn)
        button.click()
        expect(bars).to_have_count(drawn)


def test_trends_values_are_read_by_the_arrow_keys(
    browser: Browser, shown: Served, login: StorageState, newest: int
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/trends?start={newest - 600_000}&end={newest}")
        plot = page.get_by_role("group", name=re.compile("arrow keys read the values"))
        plot.focus()
        plot.press("End")
        told = plot.get_by_role("status")
        expect(told).to_contain_text("heart rate, /min")
        last = told.text_content()
        plot.press("ArrowLeft")
        expect(told).not_to_have_text(last or "")
        plot.press("Escape")
        expect(told).to_have_count(0)


def test_trends_on_a_phone_begin_with_the_chart(
    browser: Browser, shown: Served, login: StorageState, newest: int
) -> None:
    with watched_page(browser, login, PHONE, "dark") as page:
        page.goto(f"{shown.address}/trends?start={newest - 600_000}&end={newest + 300_000}")
        wait_for_charts(page)
        figures = page.locator("#trend .chart-figures > div")
        expect(figures).to_have_count(4)
        expect(figures.nth(2)).to_have_text(re.compile(r"Heart rate, mean\s*7\d\s*/min\s*\d+–\d+"))
        expect(page.locator("#trend-sentence")).to_have_class(re.compile("visually-hidden"))
        legend = page.get_by_role("list", name="Colours", exact=True)
        below, plot = legend.bounding_box(), page.locator("#trend .chart-plot").bounding_box()
        assert below and plot and plot["y"] + plot["height"] <= below["y"]
        assert plot["y"] < 0.7 * PHONE[1], "a good part is on the first screen"
        expect(page.locator("#trend .drawing-narrow .on-screen")).to_be_visible()
        assert not has_sideways_scroll(page)
        with page.expect_download() as vector:
            page.get_by_role("button", name="Picture (SVG) of").click()
        svg = ElementTree.fromstring(vector.value.path().read_bytes())
        legend_texts = {one.text for one in svg.iter("{http://www.w3.org/2000/svg}text")}
        assert {"neutral", "diastolic"} <= legend_texts


def test_trends_custom_range_opens_in_the_bar_without_moving_the_page(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE) as page:
        page.goto(f"{shown.address}/trends?range=1h")
        bar = page.get_by_role("navigation", name="Range", exact=True)
        place = page.locator("#trends").bounding_box()
        bar.get_by_text("Other range").click()
        expect(bar.get_by_label("From", exact=True)).to_be_visible()
        assert page.locator("#trends").bounding_box() == place
        assert not has_sideways_scroll(page)


def test_week_other_range_picture_and_numbers_are_of_what_is_shown(
    browser: Browser, shown: Served, login: StorageState, newest: int
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/trends?start={newest - 300_000}&end={newest}")
        page.get_by_text("By hour and day of the week").click()
        expect(page.locator("#week-sentence")).to_contain_text("of 168")
        expect(page.locator("#week-table .is-filled").first).to_have_text(re.compile(r"^7\d$"))
        page.set_viewport_size({"width": 360, "height": 740})
        cut = "table => table.scrollWidth > table.parentElement.clientWidth"
        assert not page.locator("#week-table").evaluate(cut), "all hours fit"
        page.set_viewport_size({"width": 1280, "height": 900})
        page.get_by_label("What", exact=True).select_option("anger")
        expect(page.locator("#week-sentence")).to_contain_text("%")
        page.get_by_role("link", name="The range before").click()
        expect(page.get_by_role("row", name=re.compile("^heart rate"))).to_have_text(
            re.compile(r"7\d\.\d.*7\d\.\d.*\d\.\d")
        )
        wait_for_charts(page)
        chart = page.locator("#trend")
        with page.expect_download() as picture:
            chart.get_by_role("button", name="Picture (PNG) of").click()
        with Image.open(picture.value.path()) as png:
            assert (png.format, png.width) == ("PNG", 2008), "17 cm of 300 dots an inch"
            assert png.getpixel((2, 2)) == (255, 255, 255, 255)
        with page.expect_download() as vector:
            chart.get_by_role("button", name="Picture (SVG) of").click()
        svg = ElementTree.fromstring(vector.value.path().read_bytes())
        texts = " ".join("".join(svg.itertext()).split())
        for words in (
            "Expression, heart rate",
            "Heart rate (1/min)",
            "Time (GMT",
            "happiness",
            "Each bar covers",
            "Everybody,",
            "Affect Edge",
        ):
            assert words in texts
        drawn = {one.text for one in svg.iter("{http://www.w3.org/2000/svg}text")}
        assert "no face or no recording" not in drawn
        with page.expect_download() as table:
            chart.get_by_role("button", name="CSV of").click()
        lines = Path(table.value.path()).read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("from,neutral,happiness")
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z,", lines[1])


def test_trends_without_scripts_have_their_pictures_and_tables(
    browser: Browser, shown: Served, login: StorageState, newest: int
) -> None:
    start = newest - 300_000
    with watched_page(browser, login, scripts=False) as page:
        page.goto(f"{shown.address}/trends?start={start}&end={newest}&beside={start - 300_000}")
        for chart in ("#trend", "#trend-beside"):
            picture = page.locator(f"{chart} .drawing-wide")
            expect(picture).to_be_visible()
            ticks = picture.locator("text").all_text_contents()
            assert sum(bool(re.fullmatch(r"\d\d:\d\d:\d\d", tick)) for tick in ticks) >= 3
            assert "Time (UTC)" in ticks
            page.locator(f"{chart} summary").click()
            first = page.locator(f"{chart} tbody tr").first
            expect(first).to_have_text(re.compile(r"^\s*\d\d? \w+ \d{4}, \d\d:\d\d UTC.*\d %"))
        assert not has_sideways_scroll(page)


def test_history_keeps_its_colours_while_no_agent_runs(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/trends?range=1h")
        expect(page.locator("#agent-state")).to_have_text("agent offline")
        wait_for_charts(page)
        grey = "[...document.querySelectorAll('#trends, #trends *')].filter(IS).length"
        is_filtered = "one => getComputedStyle(one).filter !== 'none'"
        assert page.evaluate(grey.replace("IS", is_filtered)) == 0


def test_dark_and_light_have_other_colours_in_charts_too(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/trends?range=1h")
        wait_for_charts(page)
        fill_of = "getComputedStyle(document.querySelector('.drawing text')).fill"
        light = (
            page.evaluate(fill_of),
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
        )
        page.emulate_media(color_scheme="dark")
        # Asked from here: a page under our content policy may not evaluate what a waiting function
        # is made of.
        wait_until(lambda: page.evaluate(fill_of) != light[0], "the chart in other colours")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light[1]


def test_a_range_of_ones_own_is_entered_in_local_time(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/trends")
        page.get_by_text("Other range", exact=True).click()
        page.get_by_label("From", exact=True).fill("2026-07-01T12:00")
        page.get_by_label("To", exact=True).fill("2026-07-01T13:00")
        page.get_by_role("group").get_by_role("button", name="Show").click()
        # 10:00 and 11:00 UTC
        expect(page).to_have_url(re.compile(r"start=1782900000000&end=1782903600000"))
        expect(page.get_by_text("Nothing was recorded from 1 Jul 2026, 12:00")).to_be_visible()
        expect(page.get_by_label("From", exact=True)).to_have_value("2026-07-01T12:00")


def test_charts_fit_the_paper_in_light_colours_and_come_back(
    browser: Browser, shown: Served, login: StorageState, newest: int
) -> None:
    with watched_page(browser, login, scheme="dark") as page:
        start, before = newest - 300_000, newest - 600_000
        page.goto(f"{shown.address}/trends?start={start}&end={newest}&beside={before}")
        wait_for_charts(page)
        on_screen = page.evaluate(LOOKS)
        assert len(on_screen) == 2 and {fill for _, fill in on_screen} != {"rgb(85, 98, 111)"}
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 680, "height": 1017})  # A4 between the widest margins
        assert page.evaluate(BEYOND_THE_SHEET.replace("main *", ".chart *")) == []
        on_paper = page.evaluate(LOOKS)
        assert all(600 < width <= 680 and fill == "rgb(85, 98, 111)" for width, fill in on_paper)
        expect(page.locator("#trend .drawing-wide .in-grey").first).to_be_visible()
        expect(page.locator("p.print-only")).to_contain_text("Everybody, ")
        expect(page.get_by_role("combobox")).to_have_count(0)
        expect(page.get_by_text("Drag across the chart")).to_be_hidden()
