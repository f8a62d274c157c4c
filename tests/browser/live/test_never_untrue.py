"""Whatever stops, freezes or is wrong while the live page is open: within three seconds the page
says so, and shows nothing that is not of now.

One agent with a real camera address, a real broker and a dashboard, all of them stopped in turn.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from edge_agent.core.study import Purpose
from edge_agent.store.study.study import Study
from edge_agent.vision.align import Picture
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, Relay, wait_until
from tests.support.dashboard import DashboardProcess
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

pytestmark = pytest.mark.browser
BAR_S = 3.0
BUSY_S = 1.5
"""What a machine on which other tests run may add."""
MINUTES = 5
WRONG_CLOCK = f"""
const Right = Date;
window.Date = class extends Right {{
  constructor(...given) {{ super(...(given.length ? given : [Date.now()])); }}
  static now() {{ return Right.now() + {MINUTES * 60000}; }}
}};
"""

PAINTED = """([first, last]) => {
  const canvas = document.getElementById("strip");
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
  const now = Math.floor(Date.now() / 1000);
  for (let second = first; second <= last; second++) {
    const x = Math.floor((119.5 - (now - second)) * canvas.width / 120);
    if (data[4 * x + 3] === 0) return false;
  }
  return true;
}"""


class Stand:
    """Everything that runs, and the study that it runs for."""

    def __init__(
        self, camera: StillCamera, broker: Mosquitto, agent: Appliance, dashboard: DashboardProcess
    ) -> None:
        self.camera = camera
        self.broker = broker
        self.agent = agent
        self.dashboard = dashboard
        self.study = Study(agent.database)

    def begin(self) -> None:
        """Open a session where none is open."""
        if self.study.open_session() is None:
            self.study.start_session("P-01", Purpose.RESEARCH, "films")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Camera, broker, agent and dashboard, with an open session."""
    folder = tmp_path_factory.mktemp("stand")
    broker = Mosquitto(folder / "broker")
    broker.start()
    with StillCamera(smiling()) as camera:
        settings: dict[str, dict[str, Any]] = {
            "camera": {
                "source": "snapshot",
                "device": camera.address,
                "snapshot_seconds": 0.25,
                "stall_seconds": 10.0,
            },
            "capture": {"mode": "sessions"},
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
            "vitals.simulated": {"enabled": True},
        }
        with Appliance(folder / "agent", settings) as agent:
            agent.wait_for("the agent runs", 90)
            with DashboardProcess(agent.data, "--login-link") as dashboard:
                made = Stand(camera, broker, agent, dashboard)
                made.study.create_participant("P-01")
                made.study.give_consent("P-01", "3")
                yield made
    broker.stop()


@contextmanager
def live_page(
    browser: Browser, stand: Stand, state: str, script: str = "", port: int | None = None
) -> Iterator[Page]:
    """The live page, once it shows a face."""
    stand.begin()
    context = browser.new_context(storage_state=state, locale="en-GB", timezone_id="Europe/Berlin")
    context.add_init_script(script)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port or stand.dashboard.port}/live")
    expect(page.locator("#now-label")).to_have_text("happiness")
    expect(page.locator("#session-recording")).to_have_text("recording")
    yield page
    context.close()


def said_in_time(page: Page, stop: Callable[[], object], reason: str) -> None:
    """Stop something; the page must give the reason, and nothing of before, within the bar."""
    began = time.monotonic()
    stop()
    expect(page.locator("#now-detail")).to_contain_text(reason, timeout=10_000)
    took = time.monotonic() - began
    print(f"{reason}: {took:.1f} s")
    shown = page.locator("#live").evaluate(
        """live => ({
          label: live.querySelector("#now-label").textContent,
          boxes: live.querySelectorAll("#place rect").length,
          bars: [...live.querySelectorAll(".bar-value")].map(bar => bar.textContent),
          recording: live.querySelector("#session-recording").textContent,
        })"""
    )
    assert shown["label"] == "–"
    assert shown["boxes"] == 0
    assert set(shown["bars"]) == {"–"}
    assert shown["recording"] != "recording"
    assert took < BAR_S + BUSY_S, f"{reason}: {took:.1f} s"


def recorded_since(database: Path, second: int) -> bool:
    """Tell whether an expression of this second, or a later one, is on disk."""
    with closing(sqlite3.connect(database)) as connection:
        [(newest,)] = connection.execute("SELECT max(at) FROM expression").fetchall()
    return newest is not None and newest >= 1000 * second


def dark(picture: Picture) -> Picture:
    """The picture with a tenth of its light."""
    return (picture * np.float32(0.08)).astype(np.uint8)


def test_a_camera_that_closes_freezes_or_sees_too_little_says_so(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        expect(page.locator("#standing")).to_contain_text("camera open")
        stand.camera.show(dark(smiling()))
        said_dark = re.compile("too dark|No face in the picture")
        expect(page.locator("#now-detail")).to_have_text(said_dark, timeout=4000)
        expect(page.locator("#now-label")).to_have_text("–")
        stand.camera.show(smiling())
        expect(page.locator("#now-label")).to_have_text("happiness")
        said_in_time(page, stand.camera.freeze, "No picture")
        expect(page.locator("#standing")).to_contain_text("camera gives no picture")
        stand.camera.thaw()
        expect(page.locator("#now-label")).to_have_text("happiness")
        said_in_time(page, stand.study.end_session, "Camera closed: no session")
        expect(page.locator("#standing")).to_contain_text("camera closed: no session")
        expect(page.locator("#session-bar")).to_be_hidden()
        page.get_by_role("link", name="Show the session").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("films")


def test_a_camera_that_somebody_switches_off_says_so_with_who_and_comes_back(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        button = page.locator("#capture-turn")
        expect(button).to_have_text("Turn the camera off")
        said_in_time(page, button.click, "Camera switched off")
        expect(page.locator("#capture-notice")).to_have_text(
            re.compile("has been switched off since .*, by demo. Nothing is seen or recorded")
        )
        expect(page.locator("#standing")).to_contain_text("camera switched off")
        page.reload()
        expect(page.locator("#now-detail")).to_have_text("Camera switched off", timeout=5000)
        button.click()
        expect(page.locator("#now-label")).to_have_text("happiness")
        expect(page.locator("#capture-notice")).to_be_hidden()
        expect(page.locator("#session-recording")).to_have_text("recording")


def test_an_agent_that_freezes_is_said_not_to_answer_to_who_looks_on_and_who_comes(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        health = page.context.new_page()
        health.goto(f"{stand.dashboard.address}/health")
        expect(health.locator("#agent-at")).to_contain_text("Reported at")
        page.bring_to_front()
        try:
            said_in_time(page, lambda: stand.agent.send(signal.SIGSTOP), "Agent not answering")
            expect(page.locator("#agent-state")).to_have_text("agent not answering")
            expect(page.locator("[data-tile=heart_rate] .tile-value")).to_have_text("–")
            page.reload()
            expect(page.locator("#now-detail")).to_have_text("Agent not answering", timeout=5000)
            expect(health.locator("#agent-at")).to_contain_text("Not of now", timeout=5000)
            values = health.locator("#agent-tiles .tile-value").all_text_contents()
            assert set(values) == {"–"}
        finally:
            stand.agent.send(signal.SIGCONT)
        expect(page.locator("#now-label")).to_have_text("happiness")
        expect(page.locator("#agent-state")).to_have_text("agent running")


def test_a_broker_that_stops_is_said_to_be_away(browser: Browser, stand: Stand, state: str) -> None:
    with live_page(browser, stand, state) as page:
        expect(page.locator("#standing")).to_contain_text("broker connected")
        began = time.monotonic()
        stand.broker.stop()
        expect(page.locator("#standing")).not_to_contain_text("broker connected")
        assert time.monotonic() - began < BAR_S + BUSY_S
        expect(page.locator("#now-label")).to_have_text("happiness")
        stand.broker.start()
        expect(page.locator("#standing")).to_contain_text("broker connected")


def test_a_broker_that_freezes_is_said_not_to_answer_live_and_on_the_health_page(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        health = page.context.new_page()
        health.goto(f"{stand.dashboard.address}/health")
        tile = health.locator("#agent-tiles .tile", has_text="MQTT")
        expect(tile).to_contain_text("broker connected")
        page.bring_to_front()
        expect(page.locator("#standing")).to_contain_text("broker connected")
        began = time.monotonic()
        stand.broker.freeze()
        try:
            expect(page.locator("#standing")).to_contain_text("broker not answering")
            took = time.monotonic() - began
            print(f"frozen broker: {took:.1f} s")
            assert took < BAR_S + BUSY_S
            health.bring_to_front()
            expect(tile).to_contain_text("broker not answering")
        finally:
            stand.broker.thaw()
        expect(tile).to_contain_text("broker connected")


def test_a_page_that_slept_shows_what_was_recorded_meanwhile(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        tools = page.context.new_cdp_session(page)
        second = int(time.time())
        tools.send("Page.setWebLifecycleState", {"state": "frozen"})
        wait_until(lambda: recorded_since(stand.agent.database, second + 5), "rows meanwhile", 40)
        tools.send("Page.setWebLifecycleState", {"state": "active"})
        expect(page.locator("#now-label")).to_have_text("happiness")
        page.wait_for_function(PAINTED, arg=[second + 1, second + 4])


def test_the_readings_of_the_protocol_page_carry_their_age(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        stand.study.end_session()
        begin = {"participant": "P-01", "purpose": "research", "protocol": "three-conditions"}
        answer = page.request.post(
            f"{stand.dashboard.address}/api/v1/session",
            data=begin,
            headers={"Origin": stand.dashboard.address},
        )
        assert answer.status == 201, answer.text()
        page.goto(f"{stand.dashboard.address}/protocol")
        heart = page.locator("#heart")
        expect(heart).to_have_text(re.compile(r"^\d+ /min, simulated · (now|\d s ago)$"))
        try:
            stand.agent.send(signal.SIGSTOP)
            expect(heart).to_have_text(re.compile(r"^– \(last \d+ /min, .* ago\)$"), timeout=4500)
        finally:
            stand.agent.send(signal.SIGCONT)
        expect(heart).to_have_text(re.compile(r"^\d+ /min"))
        page.keyboard.press("Escape")
        page.get_by_role("button", name="End now").click()
        expect(page.get_by_role("link", name="Show the session")).to_be_visible()


def test_a_marker_pressed_while_the_dashboard_is_frozen_waits_with_its_time_and_is_sent_once(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        bar = page.get_by_label("Session", exact=True)
        try:
            freeze = lambda: os.kill(stand.dashboard.pid, signal.SIGSTOP)  # noqa: E731
            said_in_time(page, freeze, "Dashboard not reachable")
            expect(page.locator("#agent-state")).to_have_text("dashboard not reachable")
            before = time.time()
            bar.get_by_role("button", name="anger").click()
            bar.get_by_role("textbox", name="Note").fill("coughed")
            bar.get_by_role("button", name="Add").click()
            after = time.time()
            waiting = page.get_by_label("Markers that wait")
            expect(waiting.get_by_role("listitem")).to_have_count(2)
            expect(waiting).to_contain_text("anger started")
            expect(bar.get_by_role("button", name="anger")).to_have_attribute(
                "aria-pressed", "true"
            )
            page.wait_for_event("requestfailed")  # the first attempt, which has arrived
        finally:
            os.kill(stand.dashboard.pid, signal.SIGCONT)
        expect(waiting.get_by_role("listitem")).to_have_count(0)
        expect(bar).to_contain_text("2 markers")
        expect(page.locator("#now-label")).to_have_text("happiness")
    session = stand.study.open_session()
    assert session is not None
    markers = stand.study.markers(session.id)
    assert [marker.label for marker in markers] == ["anger", "coughed"]
    for marker in markers:
        assert before - 0.5 < marker.at.wall_ms / 1000 < after + 0.5


def test_a_network_that_drops_is_said_and_closes_its_hole(
    browser: Browser, stand: Stand, state: str
) -> None:
    relay = Relay(stand.dashboard.port)
    with live_page(browser, stand, state, port=relay.port) as page:
        said_in_time(page, relay.swallow_everything, "Dashboard not reachable")
        relay.cut()
        expect(page.locator("#now-label")).to_have_text("happiness")
    relay.close()


def test_a_browser_whose_clock_is_wrong_shows_the_device_s_times_and_says_so(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state, WRONG_CLOCK) as page:
        notice = page.locator("#clock-notice")
        expect(notice).to_contain_text("5 min ahead of the device’s", timeout=int(1000 * BAR_S))
        expect(page.locator("#strip-text")).to_contain_text("happiness")
        painted = """canvas => {
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.some(value => value > 0);
        }"""
        assert page.locator("#strip").evaluate(painted)
        expect(page.locator("[data-tile=heart_rate] .tile-note")).to_have_text("now")


def test_an_agent_and_a_dashboard_that_are_killed_are_said_to_be_gone(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        said_in_time(page, lambda: stand.agent.stop(signal.SIGKILL), "Agent not running")
        expect(page.locator("#session-recording")).to_have_text("not recording: Agent not running")
        page.goto(f"{stand.dashboard.address}/study")
        expect(page.get_by_text("not recording")).to_be_visible()
        page.goto(f"{stand.dashboard.address}/live")
        expect(page.locator("#now-detail")).to_have_text("Agent not running")
        stop = lambda: stand.dashboard.stop(signal.SIGKILL, 5)  # noqa: E731
        said_in_time(page, stop, "Dashboard not reachable")
