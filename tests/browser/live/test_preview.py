"""The preview on the live page: asked for, seen by one, said to everybody, gone when it ends."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from dashboard.accounts.account_rows import Account
from dashboard.accounts.accounts import Accounts
from dashboard.accounts.members import Members
from dashboard.accounts.roles import Role
from dashboard.web.guards.cookies import LOGIN_COOKIE
from tests.support.appliance import Appliance
from tests.support.browser import logged_in, watched_page
from tests.support.dashboard import DashboardProcess
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

pytestmark = pytest.mark.browser
BAR_S = 3.0
BUSY_S = 1.5
"""What a machine on which other tests run may add."""
SHOWN = "canvas => !canvas.hidden && canvas.toDataURL('image/png').length > 5000"


class Stand:
    """The agent, the dashboard, and who is logged in."""

    def __init__(self, browser: Browser, agent: Appliance, dashboard: DashboardProcess) -> None:
        self.agent = agent
        self.dashboard = dashboard
        self.administrator = logged_in(browser, dashboard.login_link)
        self.viewer: StorageState = {"cookies": [self._cookie_of_a_viewer()], "origins": []}

    def _cookie_of_a_viewer(self) -> Any:
        members = Members(self.agent.database)
        members.add_with_link("eve", Role.VIEWER, "test")
        member = members.named("eve")
        accounts = Accounts(self.agent.database, 1)
        token = accounts.log_in(Account(member.id, member.name, member.role))
        found = next(c for c in self.administrator["cookies"] if c["name"] == LOGIN_COOKIE)
        return {**found, "value": token}

    @property
    def live(self) -> str:
        return f"{self.dashboard.address}/live"


@pytest.fixture(scope="module")
def stand(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder: Path = tmp_path_factory.mktemp("preview")
    with StillCamera(smiling()) as camera:
        settings: dict[str, dict[str, Any]] = {
            "camera": {"source": "snapshot", "device": camera.address, "snapshot_seconds": 0.2},
            "capture": {"preview": "allowed"},
            "mqtt": {"enabled": False},
        }
        with Appliance(folder / "agent", settings) as agent:
            agent.wait_for("the agent runs", 90)
            words = ("--config", str(agent.config), "--login-link")
            with DashboardProcess(agent.data, *words) as dashboard:
                yield Stand(browser, agent, dashboard)


def seconds_in(said: Locator) -> int:
    """How long the preview still lasts, as the page says."""
    found = re.search(r"for (\d+) s more", said.inner_text())
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
    expect(page.locator("#preview-picture")).to_be_hidden(timeout=1000 * (BAR_S + BUSY_S))
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
        expect(said).to_contain_text(re.compile("for (5[0-7]|[1-4]?[0-9]) s more"))
        left_s = seconds_in(said)
        page.get_by_role("button", name="One minute more").click()
        longer = "|".join(str(seconds) for seconds in range(left_s + 1, 61))
        expect(said).to_contain_text(re.compile(f"for ({longer}) s more"))
        page.get_by_role("button", name="End the preview").focus()
        page.keyboard.press("Enter")
        is_blank(page)
        expect(page.get_by_role("button", name="Show the picture for a minute")).to_be_focused()
        expect(other.locator("#preview-notice")).to_be_hidden()
        expect(page.locator("#preview-notice")).to_be_hidden()


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
        expect(other.locator("#preview-notice")).to_be_hidden(timeout=1000 * (BAR_S + BUSY_S))
        page.go_back()
        expect(page.get_by_role("button", name="Show the picture for a minute")).to_be_visible()
        expect(page.locator("#preview-picture")).to_be_hidden()


def test_an_agent_that_freezes_or_is_killed_leaves_no_picture(
    browser: Browser, stand: Stand
) -> None:
    with watched_page(browser, stand.administrator) as page:
        page.goto(stand.live)
        begin(page)
        stand.agent.send(signal.SIGSTOP)
        try:
            is_blank(page)
            expect(page.locator("#preview-said")).to_contain_text("the agent does not answer")
            expect(page.locator("#preview-notice")).to_be_hidden()
        finally:
            stand.agent.send(signal.SIGCONT)
        expect(page.locator("#now-label")).to_have_text("happiness")
        begin(page)
        began = time.monotonic()
        stand.agent.stop(signal.SIGKILL)
        is_blank(page)
        expect(page.locator("#preview-said")).to_contain_text("the agent does not answer")
        assert time.monotonic() - began < BAR_S + BUSY_S
        expect(page.locator("#preview-notice")).to_be_hidden()
        stand.agent.start()
        expect(page.locator("#now-label")).to_have_text("happiness", timeout=90_000)


def test_a_dashboard_that_is_killed_leaves_no_picture(browser: Browser, stand: Stand) -> None:
    page = browser.new_context(storage_state=stand.administrator, locale="en-GB").new_page()
    page.goto(stand.live)
    begin(page)
    began = time.monotonic()
    stand.dashboard.stop(signal.SIGKILL, 5)
    is_blank(page)
    assert time.monotonic() - began < BAR_S + BUSY_S
    expect(page.locator("#preview-said")).to_contain_text("the dashboard cannot be reached")
    page.context.close()
