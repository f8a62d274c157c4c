"""The analysis page: its first answer is small, folded parts come when somebody needs them, and
paper shows all of them.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, StorageState, ViewportSize, expect

from edge_agent.timeline.database.connection import write_transaction
from tests.browser.page_paths import wait_for_charts
from tests.browser.served import Served
from tests.support.browser import BEYOND_THE_SHEET, PHONE, watched_page

pytestmark = pytest.mark.browser
MOST_BYTES = 14_000
"""Of the first answer, compressed; 6,000 are the means of three vital signs."""
ASKED = "/analysis?sample=example"
SHEET: ViewportSize = {"width": 695, "height": 1039}
"""The room between the margins of A4, at 96 dots an inch."""


def asked_later(page: Page) -> list[str]:
    """Return the addresses of whole pages that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "whole=yes" in one.url else None)
    return asked


def test_all_parts_come_at_once_when_one_is_opened(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        asked = asked_later(page)
        with page.expect_response(lambda one: "/analysis?" in one.url) as first:
            page.goto(shown.address + ASKED)
        sizes = first.value.request.sizes()
        assert sizes["responseBodySize"] + sizes["responseHeadersSize"] <= MOST_BYTES
        assert first.value.headers["cache-control"] == "no-store"
        wait_for_charts(page)
        assert asked == []
        expect(page.locator("#results ~ .claims")).to_contain_text("Heart rate was 5.5 /min higher")
        folds = page.locator(".folds .fold")
        expect(folds).to_have_count(6)
        page.get_by_text("All tests in full").click()
        expect(page.get_by_role("heading", name="All 9 t-tests in full")).to_be_visible()
        expect(page.get_by_role("region", name="Table of all tests")).to_contain_text("Heart rate")
        page.locator("#report").get_by_role("button", name="Copy").first.click()
        expect(
            page.get_by_role("button", name="Copied").or_(
                page.get_by_role("button", name="Selected")
            )
        ).to_be_visible()
        page.get_by_role("heading", name="How it was computed").click()
        expect(page.get_by_role("heading", name="Assumptions of the tests")).to_be_visible()
        expect(page.locator("figure[data-chart]")).to_have_count(7)
        wait_for_charts(page)
        assert len(asked) == 1


@pytest.mark.parametrize("reason", ["searched", "an address", "selected"])
def test_parts_come_for_every_reason(
    browser: Browser, shown: Served, login: StorageState, reason: str
) -> None:
    with watched_page(browser, login) as page:
        page.goto(shown.address + ASKED + ("#agreement" if reason == "an address" else ""))
        if reason == "searched":
            page.keyboard.press("Control+f")
        if reason == "selected":
            page.get_by_text("Change the question").click()
            page.get_by_role("radio", name="Selected").check()
            expect(page.locator("input[name=session]")).to_have_count(12)
        expect(page.locator("[data-later]")).to_have_count(0)
        if reason == "an address":
            expect(page.get_by_role("heading", name="Do condition, face")).to_be_in_viewport()
            assert page.url.endswith(f"{ASKED}#agreement")


def test_parts_of_other_data_are_not_mixed_in(browser: Browser, own: Served) -> None:
    with watched_page(browser, own.login()) as page:
        page.goto(own.address + ASKED)
        expect(page.locator("[data-later]").first).to_be_attached()
        with write_transaction(own.database) as connection:
            connection.execute("UPDATE vital SET value = value + 1")
        page.get_by_text("All tests in full").click()
        changed = page.get_by_role("link", name="The data have changed. Open the whole page")
        changed.and_(page.locator(":visible")).first.click()
        expect(page.locator(".findings-summary.no-print")).to_be_visible()
        expect(page.locator("[data-later]")).to_have_count(0)


def words_on_paper(page: Page) -> str:
    """Return what the sheet says, as long as the browser prints it."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    return " ".join(page.locator("main").inner_text().split())


def test_a_phone_shows_the_answer_on_the_first_screen(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE) as page:
        page.goto(f"{shown.address}{ASKED}&vital=heart_rate&states=neutral&states=anger")
        answer = page.locator(".findings-summary")
        expect(answer).to_contain_text("in anger than in neutral")
        box, size = answer.bounding_box(), page.viewport_size
        assert box is not None and size is not None
        assert box["y"] + box["height"] < size["height"]
        question = page.get_by_role("heading", name="Does heart rate differ between anger and")
        expect(question).to_be_visible()
        expect(page.get_by_role("radio", name="Observed emotion")).to_be_hidden()
        page.get_by_text("Change the question").click()
        page.get_by_role("radio", name="Observed emotion").check()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("#results ~ .claims")).to_be_visible()


SMALLEST_LETTER = """() => {
  const sizes = [];
  const words = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let word; (word = words.nextNode());) {
    const holder = word.parentElement;
    const { width } = holder.getBoundingClientRect();
    if (!word.textContent.trim() || width < 2) continue;
    if (holder.closest("title, .visually-hidden")) continue;
    const picture = holder.closest("svg") ? holder.getScreenCTM() : { a: 1, b: 0 };
    const size = parseFloat(getComputedStyle(holder).fontSize);
    sizes.push(size * Math.hypot(picture.a, picture.b) * 0.75);
  }
  return Math.min(...sizes);
}"""
"""Of what is seen, in points: a script."""


def test_three_vitals_print_on_four_pages_in_letters_of_seven_points(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{shown.address}{ASKED}&whole=yes")
        words_on_paper(page)
        page.set_viewport_size(SHEET)
        assert page.evaluate(SMALLEST_LETTER) > 6.99
        printed = page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type /Page\b", printed)) == 4


def test_a_copied_table_has_the_three_rules_of_apa(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(f"{shown.address}{ASKED}&whole=yes")
        page.get_by_text("All tests in full").click()
        page.locator("#descriptives").get_by_role("button", name="Copy as an APA table").click()
        expect(page.locator("#descriptives").get_by_role("button", name="Copied")).to_be_visible()
        html, text = page.evaluate(
            """async () => {
              const [item] = await navigator.clipboard.read();
              const kinds = ["text/html", "text/plain"];
              return Promise.all(kinds.map(async (kind) => (await item.getType(kind)).text()));
            }"""
        )
        assert "<i>Means and spreads by state</i>" in html
        assert 'frame="hsides"' in html and 'rules="groups"' in html
        assert html.count("<thead>") == html.count("<tbody>") == 1
        title, heads, group, neutral, *_ = text.split("\n")
        assert (title, group) == ("Means and spreads by state", "Heart rate, /min")
        assert heads.split("\t") == ["State", "n", "M (95 % CI)", "SD", "Mdn", "Range"]
        assert re.fullmatch(r"neutral\t12\t[\d.]+ \(.+ to .+\)\t[\d.]+\t[\d.]+\t.+ to .+", neutral)


def test_the_sheet_says_what_was_asked_and_what_came_out(
    browser: Browser, shown: Served, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE, "dark") as page:
        page.add_init_script("window.print = () => { window.printed = true; };")
        page.goto(f"{shown.address}/analysis?sample=example&family=heart_rate")
        expect(page.get_by_role("region", name="The question")).to_be_hidden()
        page.get_by_role("button", name="Print or save as PDF").click()
        assert page.evaluate("window.printed") is True
        page.set_viewport_size(SHEET)
        paper = words_on_paper(page)
        for words in (
            "Do heart rate, systolic pressure and diastolic pressure differ between",
            "12 people, 12 sessions (example study)",
            "Holm, within: heart_rate",
            "All of these readings are simulated.",
            "of 9 tests shows a difference after Holm’s adjustment within each family",
            "Heart rate was 5.5 /min higher in anger than in neutral",
            "Systolic pressure differed between the three states overall",
            "12 people consented",
            "Do condition, face and self-report agree?",
            "The t-tests are two-sided.",
            "No medical device.",
        ):
            assert words in paper
        for words in ("Sessions to use", "Show this part", "Copy"):
            assert words not in paper
        effects = page.locator("#effects .drawing-wide")
        expect(effects).to_be_visible()
        expect(effects).to_contain_text("anger − neutral")
        means = page.locator(".analysis-charts .drawing-narrow").and_(page.locator(":visible"))
        expect(means).to_have_count(3)
        expect(means.first.locator("path[stroke='var(--chart-line)']")).not_to_have_count(0)
        expect(means.first.locator("circle")).to_have_count(12 * 3 + 3)
        expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
        assert page.evaluate(BEYOND_THE_SHEET) == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(page.locator(".fold[open]")).to_have_count(0)
