"""Live in a real browser: framing without a picture, small lines, a session from its own page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from dashboard.web.settings import DashboardOptions
from edge_agent.core.expression import Emotion
from edge_agent.store.study.study import Study
from tests.browser.live_agent import LiveAgent
from tests.support.browser import PHONE, chromium, has_sideways_scroll, watched_page
from tests.support.dashboard import DashboardProcess, fill

pytestmark = pytest.mark.browser
FRAMING = """async () => {
  const live = document.querySelector('script[src$="js/live.js"]').src;
  const { framing } = await import(live.replace("live.js", "framing.js"));
  const faces = [
    { box: [0, 0.2, 0.3, 0.4], flaw: null }, { box: [0.1, 0, 0.8, 1], flaw: null },
    { box: [0.4, 0.4, 0.03, 0.04], flaw: "too_small" },
    { box: [0.4, 0.4, 0.1, 0.08], flaw: "turned_away" },
    { box: [0.4, 0.4, 0.2, 0.3], flaw: "too_dark" },
  ];
  const said = (face) => framing(face, { width: 640, height: 480 });
  return faces.map((face) => said(face).map(([words, isGood]) => `${words}|${isGood}`));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    """A dashboard over some minutes of recording, with an agent that sees a face."""
    folder = tmp_path_factory.mktemp("live")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=4)
    study = Study(database)
    study.create_participant("P-01")
    study.give_consent("P-01", "3")
    with (
        LiveAgent(folder, Emotion.HAPPINESS),
        DashboardProcess(folder, "--login-link") as process,
    ):
        yield process


@pytest.fixture(scope="module")
def login(browser: Browser, dashboard: DashboardProcess) -> StorageState:
    """The cookie of somebody who is logged in."""
    with watched_page(browser) as page:
        page.goto(dashboard.login_link)
        return page.context.storage_state()


def framing(page: Page) -> list[str]:
    """What is said of place, size, light and pose."""
    return page.locator("#framing dd").all_text_contents()


def test_live_tells_how_the_face_stands_and_how_the_last_minutes_went(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login, size=PHONE) as page:
        page.goto(f"{dashboard.address}/live")
        expect(page.locator("#framing-ready")).to_have_text("ready")
        assert framing(page) == [
            "in the zone",
            "200 px, 48 wanted",
            "enough",
            "towards the camera",
        ]
        expect(page.locator("#place .face-zone")).to_have_count(1)
        pressure = page.locator('[data-tile="systolic"]')
        expect(pressure.locator(".spark path")).to_have_count(2)
        expect(pressure).to_contain_text("5 min: ")
        assert not has_sideways_scroll(page)


def test_framing_names_what_is_wrong_and_what_was_not_judged(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        left, close, small, turned, dark = page.evaluate(FRAMING)
    assert left[0] == "too far left|false" and close[0] == "too close|false"
    assert small[1:] == [
        "19 px, 48 wanted: come closer|false",
        "not judged yet|null",
        "not judged yet|null",
    ]
    assert turned[1].endswith("closer is better|false") and turned[3] == "turned away|false"
    assert dark[2:] == ["too dark: add light from the front|false", "towards the camera|true"]


def test_the_keys_of_a_page_are_shown_but_not_while_somebody_types(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        sheet = page.get_by_role("dialog", name="Keys")
        page.keyboard.press("?")
        expect(sheet).to_contain_text("start the condition of that number")
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
        page.goto(f"{dashboard.address}/study")
        page.get_by_label("Code contains").press("?")
        expect(page.get_by_label("Code contains")).to_have_value("?")
        expect(sheet).to_be_hidden()
        page.get_by_role("button", name="Keys").click()
        expect(sheet).to_be_visible()


def test_a_session_starts_on_live_and_nothing_is_chosen_before_somebody_chooses(
    browser: Browser, dashboard: DashboardProcess, login: StorageState
) -> None:
    with watched_page(browser, login) as page:
        page.goto(f"{dashboard.address}/live")
        page.get_by_text("Start a session", exact=True).click()
        form = page.locator("#start-session form")
        for name in ("Participant", "Purpose", "Setting"):
            expect(form.get_by_label(name)).to_have_value("")
        form.get_by_label("Participant").select_option("P-01")
        form.get_by_label("Purpose").select_option(index=1)
        form.get_by_label("Setting").select_option("laboratory")
        form.get_by_role("button", name="Start the session").click()
        expect(page).to_have_url(f"{dashboard.address}/live")
        expect(page.locator("#session-code")).to_have_text("P-01")
        expect(page.locator("#session-timer")).to_contain_text("0:")
        expect(page.locator("#before-session")).to_be_hidden()
