"""A study's session by keyboard alone, from consent to end: the operator's page and the
participant's.
"""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from dashboard.web.options import DashboardOptions
from edge_agent.core.expression import Emotion
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.study.sessions import Study
from tests.browser.live_agent import LiveAgent
from tests.browser.served import Served
from tests.support.broker import wait_until
from tests.support.browser import DEADLINE_MS, Watch, watched_page
from tests.support.dashboard import DashboardProcess

pytestmark = pytest.mark.browser

STIMULUS = "Count from 10 down to 7, and be angry."
PROTOCOL = f"""title = "Short"
[[step]]
kind = "baseline"
seconds = 1
[[step]]
kind = "stimulus"
label = "anger"
text = "{STIMULUS}"
seconds = 60
[[step]]
kind = "pressure"
seconds = 1
[[step]]
kind = "report"
[[step]]
kind = "stimulus"
label = "happiness"
picture = "meadow.png"
seconds = 1
[[step]]
kind = "report"
scales = ["valence"]
"""
# Everything that the page ever shows is noted, however short it was to be seen.
NOTE_ALL = """
window.shown = new Set();
new MutationObserver(() => window.shown.add(document.body?.innerText ?? ""))
  .observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
"""


@pytest.fixture
def protocols(tmp_path: Path) -> Path:
    """A folder with the short protocol and its picture."""
    folder = tmp_path / "protocols"
    folder.mkdir()
    (folder / "short.toml").write_text(PROTOCOL, encoding="utf-8")
    cv2.imwrite(str(folder / "meadow.png"), np.full((60, 90, 3), (60, 160, 90), np.uint8))
    return folder


@pytest.fixture
def own(tmp_path: Path, protocols: Path) -> Iterator[Served]:
    """A dashboard over an empty folder that offers the short protocol."""
    with Served(tmp_path / "data", protocols=protocols) as served:
        yield served


class Keyboard:
    """A page on which nothing but keys is pressed."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def reach(self, target: Locator) -> None:
        """Press Tab until the target has the focus."""
        expect(target).to_be_visible()
        for _ in range(80):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.press("Tab")
        raise AssertionError(f"{target} cannot be reached by keyboard")

    def choose(self, target: Locator, value: str) -> None:
        """Choose an entry of a list by arrow keys."""
        self.reach(target)
        self.press("Home")
        for _ in range(40):
            if target.input_value() == value:
                return
            self.press("ArrowDown")
        raise AssertionError(f"{value} is not in the list")

    def follow(self, target: Locator) -> None:
        """Go to a link or button, and press Enter."""
        self.reach(target)
        self.press("Enter")


@contextmanager
def keyboard(
    browser: Browser, login: StorageState | None = None, script: str = ""
) -> Iterator[Keyboard]:
    """Open a page of a browser of its own, which runs a script on each page."""
    context = browser.new_context(storage_state=login)
    context.set_default_timeout(DEADLINE_MS)
    context.add_init_script(script)
    try:
        yield Keyboard(context.new_page())
    finally:
        context.close()


def consented(operator: Keyboard) -> str:
    """Add a participant with a code that is made up, and record the consent; return the code."""
    page = operator.page
    operator.follow(page.get_by_role("link", name="Study"))
    operator.follow(page.get_by_role("button", name="Add and ask for consent"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Consent of P-")
    code = page.get_by_role("heading", level=1).inner_text().removeprefix("Consent of ")
    operator.reach(page.get_by_role("checkbox"))
    operator.press("Space")
    operator.follow(page.get_by_role("button", name="Record the consent"))
    return code


def started(operator: Keyboard, code: str) -> None:
    """Start a session with the short protocol."""
    page = operator.page
    operator.choose(page.get_by_role("combobox", name="Participant"), code)
    operator.choose(page.get_by_role("combobox", name="Purpose"), "research")
    operator.choose(page.get_by_role("combobox", name="Setting"), "laboratory")
    operator.choose(page.get_by_role("combobox", name="Protocol"), "short")
    operator.follow(page.get_by_role("button", name="Start the session"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Short")


def opened_page(operator: Keyboard) -> Keyboard:
    """Open the participant's page."""
    link = operator.page.get_by_role("link", name="Open the participant’s page")
    with operator.page.context.expect_page() as opened:
        operator.follow(link)
    welcomed(opened.value)
    return Keyboard(opened.value)


def welcomed(page: Page) -> None:
    """Wait until the participant's page is ready for a key."""
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()


def answered(participant: Keyboard, question: str, *keys: str) -> None:
    """Wait for a question and answer it."""
    heading = participant.page.get_by_role("heading", name=question)
    expect(heading).to_be_visible()
    participant.press(*keys, "Enter")
    expect(heading).to_be_hidden()


def rows(database: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()


def digits_in(shown: list[str]) -> set[str]:
    """The lines with a digit that a participant saw, but for those of the stimulus."""
    lines = {line for text in shown for line in text.splitlines()}
    return {line for line in lines - {STIMULUS} if re.search(r"\d", line)}


def test_a_session_is_run_from_consent_to_its_end_by_keyboard_alone(
    browser: Browser, own: Served
) -> None:
    with (
        LiveAgent(own.folder, Emotion.NEUTRAL),
        keyboard(browser, own.login(), NOTE_ALL) as operator,
    ):
        watches = [Watch(operator.page)]
        operator.page.goto(f"{own.address}/live")
        code = consented(operator)
        started(operator, code)
        expect(operator.page.locator("#heart")).to_contain_text("71 /min")
        participant = opened_page(operator)
        watches.append(Watch(participant.page))
        participant.press("Space")
        expect(participant.page.locator("#break-text")).to_be_visible()
        expect(operator.page.locator("#participant-state")).to_have_text("ready")
        operator.press("Space")
        expect(participant.page.locator("#text")).to_have_text(STIMULUS)
        operator.press("Space")
        expect(participant.page.locator("#break-text")).to_be_visible()
        expect(operator.page.locator("#run-state")).to_have_text("paused")
        operator.press("Space")
        expect(participant.page.locator("#text")).to_have_text(STIMULUS)
        operator.press("ArrowRight")
        answered(participant, "How pleasant or unpleasant did you feel?", "2")
        answered(participant, "How calm or excited did you feel?", "9", "ArrowLeft")
        answered(participant, "Which of these did you feel most?", "5")
        expect(participant.page.locator("#picture")).to_be_visible()
        answered(participant, "How pleasant or unpleasant did you feel?", "8")
        expect(participant.page.locator("#screen-end h1")).to_be_visible()
        expect(operator.page.get_by_role("link", name="Show the session")).to_be_focused()
        finished = "SELECT count(*) FROM marker WHERE label = 'protocol: finished'"
        wait_until(lambda: rows(own.database, finished) == [(1,)], "the last marker on disk")
        operator.press("Enter")
        markers = operator.page.get_by_role("region", name="Table of markers")
        expect(markers.get_by_role("row")).to_have_count(15)
        shown: list[str] = participant.page.evaluate("[...window.shown]")
        assert any(STIMULUS in text for text in shown)
        assert digits_in(shown) == set()
        for watch in watches:
            watch.check()


def test_a_protocol_outlives_a_closed_page_and_a_killed_dashboard(
    browser: Browser, tmp_path: Path, protocols: Path
) -> None:
    config = tmp_path / "affect-edge.toml"
    config.write_text(f'[dashboard]\nprotocols = "{protocols}"\n', encoding="utf-8")
    folder = tmp_path / "data"
    database = DashboardOptions(data=folder).database
    with (
        keyboard(browser) as operator,
        DashboardProcess(folder, "--config", str(config), "--login-link") as first,
    ):
        operator.page.goto(first.login_link)
        started(operator, consented(operator))
        participant = opened_page(operator)
        participant.press("Space")
        operator.press("Space")
        expect(participant.page.locator("#text")).to_have_text(STIMULUS)
        participant.page.reload()
        expect(operator.page.locator("#reason")).to_have_text("the participant's page was closed")
        welcomed(participant.page)
        participant.press("Space")
        expect(participant.page.locator("#text")).to_have_text(STIMULUS)
        running = (
            "SELECT count(*) FROM marker, protocol_run WHERE label = 'protocol: goes on' "
            "AND state = 'running'"
        )
        wait_until(lambda: rows(database, running) == [(1,)], "the place on disk")
        first.stop(signal.SIGKILL, 60)
        with Served(folder, config, port=first.port):
            operator.page.reload()
            expect(operator.page.locator("#reason")).to_have_text(
                "interrupted, the dashboard was restarted"
            )
            expect(operator.page.locator("#step-title")).to_have_text("anger")
            expect(operator.page.locator("#participant-state")).to_have_text("ready")
            operator.press("Space", "ArrowRight")
            answered(participant, "How pleasant or unpleasant did you feel?", "5")
            operator.press("Escape")
            expect(operator.page.get_by_role("dialog")).to_be_visible()
            operator.press("Escape")
            expect(operator.page.get_by_role("dialog")).to_be_hidden()
            operator.press("Escape")
            operator.follow(operator.page.get_by_role("button", name="End now"))
            expect(participant.page.locator("#screen-end h1")).to_be_visible()
            expect(operator.page.locator("#step-title")).to_have_text("ended")
    assert Study(database).open_session() is None
    assert rows(database, "SELECT condition, value FROM self_report") == [("anger", 5)]


def test_the_digit_keys_press_the_condition_buttons_of_the_live_page(
    browser: Browser, own: Served
) -> None:
    own.study.create_participant("P-1")
    own.study.give_consent("P-1", "1")
    own.study.start_session(NewSession("P-1", Purpose.RESEARCH, "films"))
    with watched_page(browser, own.login()) as page:
        page.goto(f"{own.address}/live")
        said = page.locator("#session-said")
        expect(page.get_by_role("button", name="anger")).to_be_visible()
        page.keyboard.press("3")
        expect(said).to_have_text("anger started")
        page.keyboard.press("2")
        expect(said).to_have_text("happiness started")
        page.keyboard.press("2")
        expect(said).to_have_text("happiness ended")
        page.keyboard.press("9")
        page.get_by_role("button", name="anger").dblclick()
        expect(said).to_have_text("anger started")
        page.get_by_role("textbox", name="Note").fill("1")
        page.keyboard.press("1")
        page.get_by_role("button", name="Baseline").click()
        expect(said).to_contain_text("Baseline begins")
        expect(page.locator("#session-facts")).to_contain_text("5 markers")


def test_the_readings_of_the_protocol_page_carry_their_age(browser: Browser, own: Served) -> None:
    own.study.create_participant("P-1")
    own.study.give_consent("P-1", "1")
    with LiveAgent(own.folder, None) as agent, watched_page(browser, own.login()) as page:
        answer = page.request.post(
            f"{own.address}/api/v1/session",
            data={"participant": "P-1", "purpose": "research", "protocol": "short"},
            headers={"Origin": own.address},
        )
        assert answer.status == 201, answer.text()
        page.goto(f"{own.address}/protocol")
        heart = page.locator("#heart")
        expect(heart).to_have_text(re.compile(r"^71 /min, simulated · (now|\d+ s ago)$"))
        with agent.silent():
            expect(heart).to_have_text(re.compile(r"^– \(last 71 /min, .* ago\)$"))
        expect(heart).to_have_text(re.compile(r"^71 /min"))


def test_step_that_the_page_does_not_know_is_told_and_can_be_skipped(
    browser: Browser, own: Served
) -> None:
    login = own.login()
    with keyboard(browser, login) as operator, keyboard(browser) as participant:
        # A page that knows no scales: as if a kind of step had come without its part of the page.
        participant.page.route(
            "**/participate.js",
            lambda route: route.fulfill(
                response=(whole := route.fetch()),
                body=whole.text().replace('case "scale":', 'case "rated":'),
            ),
        )
        operator.page.goto(f"{own.address}/live")
        started(operator, consented(operator))
        link = operator.page.get_by_role("link", name="Open the participant’s page")
        participant.page.goto(f"{own.address}{link.get_attribute('href')}")
        welcomed(participant.page)
        participant.press("Space")
        expect(operator.page.locator("#participant-state")).to_have_text("ready")
        operator.press("Space")
        expect(participant.page.locator("#text")).to_have_text(STIMULUS)
        operator.press("ArrowRight")  # the step of the pressure ends by itself
        said = "valence: the participant's page cannot show this kind of step"
        expect(operator.page.locator("#reason")).to_have_text(said)
        expect(participant.page.locator("#break-text")).to_be_visible()
        operator.press("ArrowRight", "ArrowRight", "ArrowRight", "Space")
        expect(participant.page.locator("#picture")).to_be_visible()
