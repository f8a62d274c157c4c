"""A session by hand until its report is in hand, and the sheet that comes out of the printer."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from PIL import Image
from playwright.sync_api import Browser, StorageState, expect

from dashboard.web.authentication import cookie_name
from dashboard.web.rendering import LANGUAGE_COOKIE
from tests.browser.served import Served
from tests.support.browser import BEYOND_THE_SHEET, PHONE, has_sideways_scroll, sheets, watched_page

pytestmark = pytest.mark.browser
SHEET = {"width": 680, "height": 1017}
"""The room between the margins of A4, at 96 dots an inch."""


@pytest.mark.deep
def test_the_report_fills_two_light_sheets_and_nothing_is_cut(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE, "dark") as page:
        page.goto(f"{shown.address}/study/sessions/12")
        assert not has_sideways_scroll(page)
        assert sheets(page) == 2
        page.set_viewport_size(SHEET)  # type: ignore[arg-type]
        page.emulate_media(media="print")
        assert page.evaluate(BEYOND_THE_SHEET) == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(22, 32, 42)"
        for part in ("Timeline", "Means by condition", "Answers", "Markers", "Quality"):
            expect(page.get_by_role("heading", name=part, exact=True)).to_be_visible()
        expect(page.locator("#verdict")).to_contain_text("fit for analysis")
        expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
        expect(page.locator(".timeline-wide")).to_be_visible()


@pytest.mark.deep
@pytest.mark.parametrize("language", ["de", "es"])
def test_no_sheet_is_cut_where_words_are_longer(
    browser: Browser, shown: Served, login: StorageState, language: str
) -> None:
    with watched_page(browser, login) as page:
        page.context.add_cookies(
            [
                {
                    "name": cookie_name(LANGUAGE_COOKIE, shown.options),
                    "value": language,
                    "url": shown.address,
                }
            ]
        )
        page.goto(f"{shown.address}/study/sessions/12")
        expect(page.locator("html")).to_have_attribute("lang", language)
        assert sheets(page) == 2
        page.set_viewport_size(SHEET)  # type: ignore[arg-type]
        page.emulate_media(media="print")
        assert page.evaluate(BEYOND_THE_SHEET) == []


def test_quality_report_on_paper_is_two_sheets_and_nothing_is_cut(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, locale="de") as page:
        page.goto(f"{shown.address}/study/sessions/12/quality")
        assert sheets(page) == 2
        page.set_viewport_size(SHEET)  # type: ignore[arg-type]
        page.emulate_media(media="print")
        assert page.evaluate(BEYOND_THE_SHEET) == []


def test_a_second_session_is_laid_over_the_first(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/study/sessions/12")
        page.get_by_label("Lay over it").select_option("11")
        page.get_by_role("button", name="Compare").click()
        expect(page.locator(".timeline-wide .timeline-second").first).to_be_visible()
        table = page.get_by_role("region", name="Means by condition of two sessions")
        expect(table.get_by_role("row")).to_have_count(19)
        expect(table).to_contain_text("SIM-11, Example study (simulated)")
        picture = page.locator(".timeline-wide")
        expect(picture).to_have_accessible_description(re.compile(r"neutral: heart rate \d"))
        page.get_by_label("Begin at").select_option("anger")
        page.get_by_role("button", name="Compare").click()
        expect(page).to_have_url(re.compile(r"sessions/12\?with=11&align=anger$"))
        expect(page.get_by_role("heading", name="from the start of anger")).to_be_visible()
        edges = [picture.locator("rect.timeline-band[data-emotion=anger]").nth(n) for n in (0, 1)]
        assert edges[0].get_attribute("x") == edges[1].get_attribute("x")
        page.get_by_role("link", name="SIM-12", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Participant SIM-12")
        expect(page.get_by_role("region", name="Sessions of").get_by_role("row")).to_have_count(2)
        page.get_by_role("link", name="Start a session").click()
        chosen = page.get_by_role("combobox", name="Participant")
        expect(chosen).to_have_value("SIM-12")


def test_session_responses_come_when_looked_for_and_pictures_stand_alone(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE, "dark") as page:
        page.goto(f"{shown.address}/study/sessions/12")
        page.get_by_role("heading", name="Responses to the stimuli").scroll_into_view_if_needed()
        curves = page.locator("#session-heart-rate")
        expect(curves.locator(".curves-narrow")).to_be_visible()
        expect(curves.get_by_role("img")).to_have_accessible_name(re.compile("from a baseline of"))
        assert not has_sideways_scroll(page)
        with page.expect_download() as picture:
            page.locator("#timeline").get_by_role("button", name="Picture (PNG) of").click()
        with Image.open(picture.value.path()) as png:
            assert png.getpixel((2, 2)) == (255, 255, 255, 255)
        with page.expect_download() as vector:
            curves.get_by_role("button", name="Picture (SVG) of").click()
        text = vector.value.path().read_text(encoding="utf-8")
        svg = ElementTree.fromstring(text)
        assert (svg.get("width"), "class=" in text, "var(" in text) == ("17cm", False, False)
        texts = " ".join(" ".join(svg.itertext()).split())
        for words in (
            "anger, 1 event",
            "Change of heart rate (1/min)",
            "seconds from the event",
            "SIM-12,",
        ):
            assert words in texts


def test_session_left_out_stretch_is_hatched_on_the_timeline_and_in_legend(
    browser: Browser, own: Served
) -> None:
    with watched_page(browser, own.login()) as page:
        page.goto(f"{own.address}/study/sessions/12")
        expect(page.get_by_role("list", name="Colours", exact=True)).not_to_contain_text("left out")
        page.get_by_text("Leave out of the analysis").click()
        page.get_by_label("From", exact=True).fill("2:00")
        page.get_by_label("To", exact=True).fill("3:00")
        page.get_by_label("Reason").fill("sneezed")
        page.get_by_role("button", name="Leave out").click()
        band = page.locator(".timeline-wide .timeline-left-out")
        expect(band).to_have_count(1)
        expect(band.locator("title")).to_have_text("left out of the analysis: sneezed")
        drawn = band.locator("rect").last.bounding_box()
        picture = page.locator(".timeline-wide").bounding_box()
        assert drawn and picture and drawn["height"] > picture["height"] / 2
        captions = page.locator(".timeline-wide .timeline-left-out ~ .timeline-caption")
        expect(captions.first).to_have_text("Heart rate (1/min)")
        expect(page.get_by_role("list", name="Colours", exact=True)).to_contain_text("left out")
        page.get_by_role("button", name="Take back").click()
        expect(band).to_have_count(0)


def test_expressions_on_paper_have_patterns_beside_their_colours(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}/study/sessions/12")
        area = page.locator('.timeline-wide path.shade[data-emotion="happiness"]').first
        assert area.evaluate("one => getComputedStyle(one).fill") == "rgb(232, 198, 125)"
        page.emulate_media(media="print")
        assert "#hatch-happiness" in area.evaluate("one => getComputedStyle(one).fill")
        expect(page.locator("#hatch-happiness")).to_have_count(1)
        sample = page.locator('.legend [data-emotion="happiness"] rect')
        expect(sample).to_be_visible()
