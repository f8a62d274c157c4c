"""The preview on the live page: asked for, seen by one, said to everybody, gone when it ends."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.accounts.roles import Role
from dashboard.web.options import DashboardOptions
from edge_agent.core import clock
from edge_agent.core.expression import Emotion, Frame
from edge_agent.core.study import NewSession, Purpose
from edge_agent.live.preview import PreviewServer
from edge_agent.timeline.database.upgrade import migrate
from tests.browser.live.pages import live_page
from tests.browser.live_agent import LiveAgent
from tests.browser.served import Served
from tests.support.appliance import Appliance
from tests.support.broker import Relay
from tests.support.browser import watched_page
from tests.support.dashboard import consenting
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

pytestmark = pytest.mark.browser
SHOWN = "canvas => !canvas.hidden && canvas.toDataURL('image/png').length > 5000"


class Stand:
    """The agent, the dashboard, and two people who are logged in."""

    def __init__(self, agent: Appliance, dashboard: Served) -> None:
        self.agent = agent
        self.dashboard = dashboard
        self.administrator = dashboard.login()
        self.viewer = dashboard.login(Role.VIEWER)

    @property
    def live(self) -> str:
        return f"{self.dashboard.address}/live"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder: Path = tmp_path_factory.mktemp("preview")
    with StillCamera(smiling()) as camera:
        settings: dict[str, dict[str, Any]] = {
            "camera": {"source": "snapshot", "device": camera.address, "snapshot_seconds": 0.2},
            "capture": {"preview": "allowed"},
            "mqtt": {"enabled": False},
        }
        with Appliance(folder / "agent", settings) as agent:
            agent.wait_for("the agent runs")
            with Served(agent.data, agent.config) as dashboard:
                yield Stand(agent, dashboard)


def seconds_in(said: Locator) -> int:
    """How long the preview still lasts, as the page says."""
    found = re.search(r"for (\d+) more seconds", said.inner_text())
    assert found
    return int(found.group(1))


def begin(page: Page) -> None:
    """Start a preview by the keyboard, and see the picture."""
    start = page.get_by_role("button", name="Show the picture for a minute")
    start.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="End the preview")).to_be_focused()
    expect(page.locator("#preview-picture")).to_be_visible()
    assert page.locator("#preview-picture").evaluate(SHOWN)


def is_blank(page: Page) -> None:
    """Nothing of the picture is left on the page."""
    expect(page.locator("#preview-picture")).to_be_hidden()
    assert page.locator("#preview-picture").evaluate("canvas => canvas.width") == 1


def test_one_sees_the_picture_and_every_live_page_says_who(browser: Browser, stand: Stand) -> None:
    with (
        watched_page(browser, stand.viewer) as other,
        watched_page(browser, stand.administrator) as page,
    ):
        other.goto(stand.live)
        expect(other.locator("#place-text")).to_contain_text("No picture leaves the agent.")
        assert other.locator("#preview-picture, #preview-start").count() == 0
        page.goto(stand.live)
        expect(page.locator("#now-label")).to_have_text("happiness")
        begin(page)
        sign = "sees the camera’s picture"
        expect(other.locator("#preview-notice")).to_contain_text(sign)
        expect(page.locator("#preview-notice")).to_contain_text(sign)
        expect(other.locator("#place-text")).to_contain_text("An administrator sees the picture.")
        other.reload()
        expect(other.locator("#preview-notice")).to_contain_text(sign)
        other.goto(f"{stand.dashboard.address}/health")
        expect(other.locator("#preview-notice")).to_contain_text(sign)
        said = page.locator("#preview-said")
        expect(said).to_contain_text(re.compile("for (5[0-7]|[1-4]?[0-9]) more seconds"))
        left_s = seconds_in(said)
        page.get_by_role("button", name="One more minute").click()
        longer = "|".join(str(seconds) for seconds in range(left_s + 1, 61))
        expect(said).to_contain_text(re.compile(f"for ({longer}) more seconds"))
        page.get_by_role("button", name="End the preview").focus()
        page.keyboard.press("Enter")
        is_blank(page)
        expect(page.get_by_role("button", name="Show the picture for a minute")).to_be_focused()
        expect(other.locator("#preview-notice")).to_be_hidden()
        expect(page.locator("#preview-notice")).to_be_hidden()


@contextmanager
def filming(agent: LiveAgent, options: DashboardOptions) -> Iterator[None]:
    """Give the pictures of an agent's preview meanwhile."""
    server = PreviewServer(options.preview_socket, agent.say, 0.1)
    is_over = threading.Event()
    picture = smiling()

    def film() -> None:
        number = 0
        while not is_over.wait(0.1):
            server.frames.put(Frame(picture, clock.now(), number))
            number += 1

    camera = threading.Thread(target=film)
    server.start()
    camera.start()
    try:
        yield
    finally:
        is_over.set()
        camera.join()
        server.stop()
        assert server.join(30)


def test_preview_of_the_demonstration_comes_by_itself_and_not_in_a_session(
    browser: Browser, tmp_path: Path
) -> None:
    options = DashboardOptions(data=tmp_path)
    migrate(options.database)
    study = consenting(options.database, "P-01")
    with (
        LiveAgent(tmp_path, Emotion.HAPPINESS, simulated=True) as agent,
        filming(agent, options),
        Served(tmp_path, preview=True) as served,
        watched_page(browser, served.login()) as page,
    ):
        page.goto(f"{served.address}/live")
        expect(page.locator("#preview-picture")).to_be_visible()
        expect(page.locator("#preview-said")).to_contain_text("in the public domain")
        expect(page.locator("#place-text")).to_contain_text("The demonstration shows its picture")
        expect(page.locator("#preview-notice")).to_be_hidden()
        study.start_session(NewSession("P-01", Purpose.DEMONSTRATION, "films"))
        agent.say({"type": "session"})
        is_blank(page)


def test_leaving_the_page_ends_it(browser: Browser, stand: Stand) -> None:
    with (
        watched_page(browser, stand.viewer) as other,
        watched_page(browser, stand.administrator) as page,
    ):
        other.goto(stand.live)
        page.goto(stand.live)
        begin(page)
        expect(other.locator("#preview-notice")).to_be_visible()
        page.goto(f"{stand.dashboard.address}/account")
        expect(other.locator("#preview-notice")).to_be_hidden()
        page.go_back()
        expect(page.get_by_role("button", name="Show the picture for a minute")).to_be_visible()
        expect(page.locator("#preview-picture")).to_be_hidden()


def test_a_dashboard_that_is_not_reached_leaves_no_picture(browser: Browser, stand: Stand) -> None:
    relay = Relay(stand.dashboard.port)
    try:
        with live_page(browser, f"http://127.0.0.1:{relay.port}", stand.administrator) as page:
            begin(page)
            relay.swallow_everything()
            is_blank(page)
            expect(page.locator("#preview-said")).to_contain_text("the dashboard cannot be reached")
    finally:
        relay.close()


def test_preview_whose_agent_is_killed_leaves_no_picture(browser: Browser, stand: Stand) -> None:
    """One that freezes ends it, too, by the same word: see `test_preview_relay`."""
    with watched_page(browser, stand.administrator) as page:
        page.goto(stand.live)
        begin(page)
        stand.agent.stop(signal.SIGKILL)
        is_blank(page)
        expect(page.locator("#preview-said")).to_contain_text("the agent does not answer")
        expect(page.locator("#preview-notice")).to_be_hidden()
