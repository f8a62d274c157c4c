"""Frame times that the participant's page reports, against those that its frames really had; and
own questions, answered by keyboard and by touch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from edge_agent.core.study import NewSession, Purpose, SessionSetting
from tests.browser.served import Served
from tests.support.broker import wait_until
from tests.support.browser import PHONE, watched_page

pytestmark = pytest.mark.browser

PROTOCOL = """title = "Questions"
[[step]]
kind = "instruction"
text = "Hello"
[[step]]
kind = "blank"
seconds = 0.5
cross = true
[[step]]
kind = "stimulus"
label = "anger"
text = "Look"
seconds = 1
[[step]]
kind = "likert"
name = "liking"
ask = "How much did you like it?"
labels = ["not", "", "very"]
[[step]]
kind = "slider"
name = "tension"
ask = "How tense were you?"
low = "calm"
high = "tense"
required = true
[[step]]
kind = "choice"
name = "known"
ask = "Did you know it?"
options = ["yes", "no"]
[[step]]
kind = "free_text"
name = "thoughts"
ask = "What did you think?"
"""
# Every frame notes which screen is on it, and when the next one begins: by then it is shown, which
# is what a camera before the screen would see.
NOTE_FRAMES = """
window.seen = [];
let before = "";
requestAnimationFrame(function note(at) {
  if (seen.length && seen.at(-1)[1] === null) seen.at(-1)[1] = at + performance.timeOrigin;
  const screen = document.querySelector(".screen:not([hidden])")?.id ?? "";
  if (before !== screen) seen.push([screen, null]);
  before = screen;
  requestAnimationFrame(note);
});
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "protocols"
    folder.mkdir()
    (folder / "questions.toml").write_text(PROTOCOL, encoding="utf-8")
    with Served(tmp_path / "data", protocols=folder) as served:
        served.study.create_participant("P-1")
        served.study.give_consent("P-1", "1")
        yield served


def _began(page: Page, own: Served) -> None:
    """Open the participant's page of a session that begins, and be ready."""
    runner = own.services.protocol_runner
    new = NewSession("P-1", Purpose.RESEARCH, "", setting=SessionSetting.LABORATORY)
    runner.start_session(new, own.options.library.find("questions"), actor="ada")
    view = runner.view()
    assert view is not None
    page.add_init_script(NOTE_FRAMES)
    page.goto(f"{own.address}/participate/{view.token}")
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    page.keyboard.press("Space")
    expect(page.locator("#break-text")).to_be_visible()
    runner.go()
    expect(page.locator("#instruction")).to_have_text("Hello")


def _trials(own: Served) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{own.database}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT kind, value, at, late_ms, late_within_ms, shown_ms, frame_ms FROM trial "
            "ORDER BY turn"
        ).fetchall()


def _heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text)).to_be_visible()


def test_own_questions_by_keyboard_are_kept_with_the_times_of_their_frames(
    browser: Browser, own: Served
) -> None:
    with watched_page(browser) as page:
        _began(page, own)
        page.keyboard.press("Space")
        _heading(page, "How much did you like it?")
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        _heading(page, "How tense were you?")
        expect(page.get_by_role("button", name="Continue")).to_be_disabled()
        expect(page.get_by_role("button", name="I would rather not say")).to_be_hidden()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        _heading(page, "Did you know it?")
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        _heading(page, "What did you think?")
        page.get_by_role("textbox").fill("of a\nhat")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("#screen-end h1")).to_be_visible()
        wait_until(lambda: own.study.open_session() is None, "the end on disk")
        seen: list[tuple[str, float]] = page.evaluate("seen")
    trials = _trials(own)
    kinds = ("likert", "slider", "choice", "free_text")
    answers = [(kind, value) for kind, value, *_ in trials if kind in kinds]
    assert answers == [("likert", 3), ("slider", 51), ("choice", "no"), ("free_text", "of a hat")]
    _compare(trials, seen)
    # The page says of each screen when it was shown, also of the last one.
    assert [kind for kind, *_, shown_ms, _ in trials if shown_ms is None] == []


def _compare(trials: list[tuple[Any, ...]], seen: list[tuple[str, float]]) -> None:
    """Compare told times with those of the frames."""
    # Questions follow each other in one part of the page: only the first screens can be told apart.
    order = ["screen-instruction", "screen-blank", "screen-text"]
    starts = [at for name, at in seen if name in order]
    ends = [*starts[1:], next(at for name, at in seen if name == "screen-question")]
    for trial, start, end in zip(trials[:3], starts, ends, strict=True):
        _, _, due_ms, late_ms, within_ms, shown_ms, frame_ms = trial
        assert frame_ms > 0
        assert abs(shown_ms - (end - start)) <= 1
        # The clock of the appliance counts in milliseconds, on both of its sides.
        assert abs(due_ms + late_ms - start) <= within_ms + 2


def test_own_questions_are_answered_by_touch_on_a_phone(browser: Browser, own: Served) -> None:
    with watched_page(browser, size=PHONE) as page:
        _began(page, own)
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("radio", name="very").check()
        page.get_by_role("button", name="Continue").click()
        _heading(page, "How tense were you?")
        box = page.get_by_role("slider").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="I would rather not say").click()
        _heading(page, "What did you think?")
        page.get_by_role("button", name="I would rather not say").click()
        expect(page.locator("#screen-end h1")).to_be_visible()
        wait_until(lambda: own.study.open_session() is None, "the end on disk")
    assert [value for _, value, *_ in _trials(own) if value is not None] == [3, 100]
