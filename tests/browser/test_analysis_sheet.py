"""An analysis on paper: one sheet of A4 with the question, the results and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.support.browser import (
    BEYOND_THE_SHEET,
    PHONE,
    logged_in,
    sheets,
    watched_page,
)
from tests.support.dashboard import DashboardProcess, dashboard_of_example

pytestmark = pytest.mark.browser
SHEET = {"width": 695, "height": 1039}
"""The room between the margins of A4, at 96 dots an inch."""


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    """A dashboard over the example study."""
    with dashboard_of_example(tmp_path_factory.mktemp("sheet")) as process:
        yield process


@pytest.fixture(scope="module")
def login(browser: Browser, dashboard: DashboardProcess) -> StorageState:
    """A login by the link of the first start."""
    return logged_in(browser, dashboard.login_link)


def words_on_paper(page: Page) -> str:
    """Return what the sheet says, as long as the browser prints it."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    return " ".join(page.locator("main").inner_text().split())


@pytest.mark.parametrize(
    "question",
    ["", "&state=observed", "&family=heart_rate&family=systolic,diastolic", "&group=sex"],
)
def test_an_analysis_is_one_sheet(
    browser: Browser, dashboard: DashboardProcess, login: StorageState, question: str
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/analysis?sample=example{question}")
        assert sheets(page) == 1
        expect(page.locator(".paper-fold")).not_to_have_attribute("open", "")


def test_the_sheet_says_what_was_asked_and_what_came_out(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login, PHONE, "dark") as page:
        page.add_init_script("window.print = () => { window.printed = true; };")
        page.goto(f"{dashboard.address}/analysis?sample=example&family=heart_rate")
        expect(page.get_by_role("region", name="The question")).to_be_hidden()
        page.get_by_role("button", name="Print or save as PDF").click()
        assert page.evaluate("window.printed") is True
        page.set_viewport_size(SHEET)  # type: ignore[arg-type]
        paper = words_on_paper(page)
        for words in (
            "Do heart rate and blood pressure differ between anger, happiness and neutral?",
            "12 people, 12 sessions (example study)",
            "Holm, within: heart_rate",
            "All of these readings are simulated.",
            "of 9 tests shows a difference after Holm’s adjustment within each family",
            "Heart rate was 5.5 /min higher in anger than in neutral",
            "Systolic pressure differed somewhere between the three states",
            "12 people consented",
            "No medical device.",
        ):
            assert words in paper
        for words in ("Sessions to use", "Sentences for a report", "Do condition, face", "Copy"):
            assert words not in paper
        effects = page.get_by_role("region", name="Effect sizes").locator("svg")
        expect(effects).to_be_visible()
        expect(effects).to_contain_text("Heart rate: anger − neutral")
        expect(page.locator("figure[data-chart]").first).to_be_hidden()
        expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
        assert page.evaluate(BEYOND_THE_SHEET) == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(page.locator(".paper-fold")).not_to_have_attribute("open", "")


def test_nothing_to_print_has_no_button(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login, refusals=(422,)) as page:
        for question in ("sample=measured", "state=nonsense"):
            page.goto(f"{dashboard.address}/analysis?{question}")
            expect(page.get_by_role("heading", level=1)).to_have_text("Analysis")
            expect(page.get_by_role("button", name="Print or save as PDF")).to_have_count(0)
