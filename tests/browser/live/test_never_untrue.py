"""Whatever stops, freezes or is wrong while the live page is open: the page says so, and shows
nothing that is not of now.

One agent with a real camera address and a dashboard, all of them stopped in turn.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, StorageState, expect

from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.study.sessions import Study
from edge_agent.vision.align import Picture
from tests.browser.live.pages import live_page
from tests.support.appliance import Appliance
from tests.support.browser import PHONE, has_sideways_scroll, logged_in
from tests.support.dashboard import DashboardProcess
from tests.support.timeline import query
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

pytestmark = pytest.mark.browser
SHOWN_FOR_A_WHILE = """async () => {
  const live = document.getElementById("live");
  const shown = [];
  for (let look = 0; look < 4; look++) {
    if (look) await new Promise((done) => setTimeout(done, 250));
    shown.push({
      label: live.querySelector("#now-label").textContent,
      boxes: live.querySelectorAll("#place rect").length,
      bars: [...new Set([...live.querySelectorAll(".bar-value")].map((bar) => bar.textContent))],
      recording: live.querySelector("#session-recording").textContent,
    });
  }
  return shown;
}"""


class Stand:
    """Everything that runs, and the study that it runs for."""

    def __init__(
        self, browser: Browser, camera: StillCamera, agent: Appliance, dashboard: DashboardProcess
    ) -> None:
        self._browser = browser
        self.camera = camera
        self.agent = agent
        self.dashboard = dashboard
        self.study = Study(agent.database)
        self.study.create_participant("P-01")
        self.study.give_consent("P-01", "3")
        self._login: StorageState = logged_in(browser, dashboard.login_link)

    def live_page(self) -> AbstractContextManager[Page]:
        """Open the live page, in a session."""
        if self.study.open_session() is None:
            self.study.start_session(NewSession("P-01", Purpose.RESEARCH, "films"))
        return live_page(self._browser, self.dashboard.address, self._login)


@pytest.fixture(scope="module")
def stand(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Camera, agent and dashboard."""
    folder = tmp_path_factory.mktemp("stand")
    with StillCamera(smiling()) as camera:
        settings: dict[str, dict[str, Any]] = {
            "camera": {
                "source": "snapshot",
                "device": camera.address,
                "snapshot_seconds": 0.25,
                "stall_seconds": 30.0,
            },
            "capture": {"mode": "sessions"},
            "mqtt": {"enabled": False},
            "vitals.simulated": {"enabled": True},
        }
        with Appliance(folder / "agent", settings) as agent:
            agent.wait_for("the agent runs")
            with DashboardProcess(agent.data, "--login-link") as dashboard:
                yield Stand(browser, camera, agent, dashboard)


def is_said(page: Page, stop: Callable[[], object], reason: str) -> None:
    """Stop something: the page comes to say why, and shows nothing of before from then on."""
    expect(page.locator("#session-recording")).to_have_text("recording")
    stop()
    expect(page.locator("#now-detail")).to_contain_text(reason)
    for shown in page.evaluate(SHOWN_FOR_A_WHILE):
        assert shown["label"] == "–"
        assert shown["boxes"] == 0
        assert shown["bars"] == ["–"]
        assert shown["recording"] != "recording"


def is_well(page: Page) -> None:
    """Wait until a face is shown and recorded again."""
    expect(page.locator("#now-label")).to_have_text("happiness")
    expect(page.locator("#session-recording")).to_have_text("recording")


def dark(picture: Picture) -> Picture:
    """The picture with a tenth of its light."""
    return (picture * np.float32(0.08)).astype(np.uint8)


def test_a_camera_that_freezes_says_so(stand: Stand) -> None:
    with stand.live_page() as page:
        standing = page.locator("#standing")
        expect(standing).to_contain_text("camera open")
        is_said(page, stand.camera.freeze, "No picture")
        expect(standing).to_contain_text("no picture from the camera")
        stand.camera.thaw()
        is_well(page)


def test_a_camera_that_sees_too_little_or_is_closed_says_so(stand: Stand) -> None:
    with stand.live_page() as page:
        stand.camera.show(dark(smiling()))
        said_dark = re.compile("too dark|No face in the picture")
        expect(page.locator("#now-detail")).to_have_text(said_dark)
        expect(page.locator("#now-label")).to_have_text("–")
        stand.camera.show(smiling())
        is_well(page)
        is_said(page, stand.study.end_session, "Camera closed: no session")
        expect(page.locator("#standing")).to_contain_text("camera closed: no session")
        expect(page.locator("#session-bar")).to_be_hidden()
        page.get_by_role("link", name="Show the session").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("films")


def test_a_camera_that_is_switched_off_says_so_and_by_whom(stand: Stand) -> None:
    with stand.live_page() as page:
        button = page.locator("#capture-turn")
        expect(button).to_have_text("Turn the camera off")
        is_said(page, button.click, "Camera switched off")
        expect(page.locator("#capture-notice")).to_have_text(
            re.compile("off since .*, by demo. No face is seen .*; readings of sensors still are")
        )
        expect(page.locator("#standing")).to_contain_text("camera switched off")
        page.reload()
        expect(page.locator("#now-detail")).to_have_text("Camera switched off")
        button.click()
        is_well(page)
        expect(page.locator("#capture-notice")).to_be_hidden()


def test_an_agent_that_freezes_is_reported_on_every_page(stand: Stand) -> None:
    with stand.live_page() as page:
        health = page.context.new_page()
        health.goto(f"{stand.dashboard.address}/health")
        expect(health.locator("#agent-at")).to_contain_text("Reported at")
        trends = page.context.new_page()
        trends.goto(f"{stand.dashboard.address}/trends")
        late = page.context.new_page()
        page.bring_to_front()

        def freeze() -> None:
            stand.agent.send(signal.SIGSTOP)
            late.goto(f"{stand.dashboard.address}/live")

        try:
            is_said(page, freeze, "Agent not answering")
            expect(page.locator("#agent-state")).to_have_text("agent not answering")
            expect(page.locator("[data-tile=heart_rate] .tile-value")).to_have_text("–")
            for one in (page, trends):
                expect(one.locator("#alert-banner")).to_be_visible()
                expect(one.locator("#alert-lines")).to_contain_text(
                    "It is running but does not answer"
                )
            expect(late.locator("#now-detail")).to_have_text("Agent not answering")
            expect(health.locator("#agent-at")).to_contain_text("Not current")
            values = health.locator("#agent-tiles .tile-value").all_text_contents()
            assert set(values) == {"–"}
        finally:
            stand.agent.send(signal.SIGCONT)
        is_well(page)
        expect(page.locator("#agent-state")).to_have_text("agent running")
        expect(trends.locator("#alert-lines")).not_to_contain_text(
            "It is running but does not answer"
        )


def test_a_marker_pressed_while_the_dashboard_hangs_keeps_its_time(stand: Stand) -> None:
    with stand.live_page() as page:
        bar = page.get_by_label("Session", exact=True)
        try:
            freeze = lambda: os.kill(stand.dashboard.pid, signal.SIGSTOP)  # noqa: E731
            is_said(page, freeze, "Dashboard not reachable")
            expect(page.locator("#agent-state")).to_have_text("dashboard not reachable")
            before = time.time()
            bar.get_by_role("button", name="anger").click()
            bar.get_by_role("textbox", name="Note").fill("coughed")
            bar.get_by_role("button", name="Add").click()
            after = time.time()
            waiting = page.get_by_label("Markers waiting")
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
        assert before - 2 < marker.at.wall_ms / 1000 < after + 2, "the time of the key"


def test_missing_camera_agent_and_dashboard_are_reported(stand: Stand) -> None:
    def vanish() -> None:
        stand.camera.shutdown()
        stand.camera.server_close()

    with stand.live_page() as page:
        is_said(page, vanish, "No picture")
        expect(page.locator("#standing")).to_contain_text("camera failed")
        other = page.context.new_page()
        other.goto(f"{stand.dashboard.address}/study")
        page.bring_to_front()
        stand.agent.stop(signal.SIGKILL)
        expect(page.locator("#now-detail")).to_contain_text("Agent not running")
        expect(page.locator("#session-recording")).to_have_text("not recording: Agent not running")
        expect(other.get_by_text("not recording")).to_be_visible()
        expect(other.locator("#alert-lines")).to_contain_text("It is not running")
        other.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        other.goto(f"{stand.dashboard.address}/alerts")
        assert not has_sideways_scroll(other)
        assert query(
            stand.agent.database,
            "SELECT count(*) FROM alert WHERE rule = 'agent' AND ended IS NULL",
        ) == [(1,)]
        other.get_by_role("button", name="Acknowledge the alert Recording").click()
        expect(other.locator("main")).to_contain_text("acknowledged by demo")
        expect(page.locator("#alert-lines")).not_to_contain_text("It is not running")
        stand.dashboard.stop(signal.SIGKILL, 30)
        expect(page.locator("#now-detail")).to_contain_text("Dashboard not reachable")
