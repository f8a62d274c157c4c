"""An agent that is killed or frozen is in the banner of any page within three seconds."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.appliance import Appliance
from tests.support.browser import PHONE, chromium, has_sideways_scroll, watched_page
from tests.support.dashboard import DashboardProcess
from tests.support.timeline import query

pytestmark = pytest.mark.browser
BAR_S = 3.0
BUSY_S = 1.5
"""What a machine on which other tests run may add."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    with chromium() as found:
        yield found


def seconds_until(condition: Callable[[], object]) -> float:
    began = time.monotonic()
    condition()
    return time.monotonic() - began


def test_an_agent_that_freezes_or_dies_is_in_the_banner_of_every_page(
    browser: Browser, tmp_path: Path
) -> None:
    settings: dict[str, dict[str, Any]] = {"camera": {"source": "demo"}, "mqtt": {"enabled": False}}
    with (
        Appliance(tmp_path / "agent", settings) as agent,
        DashboardProcess(agent.data, "--login-link") as dashboard,
        watched_page(browser) as live,
    ):
        agent.wait_for("the agent runs", 90)
        live.goto(dashboard.login_link)
        expect(live.locator("#agent-state")).to_have_text("agent running")
        trends = live.context.new_page()
        trends.goto(f"{dashboard.address}/trends")
        expect(trends.locator("#alert-banner")).to_be_hidden()

        agent.send(signal.SIGSTOP)
        expect(live.locator("#agent-state")).to_have_text("agent not answering")
        took = [seconds_until(lambda: see(live)), seconds_until(lambda: see(trends))]
        expect(live.locator("#alert-lines")).to_contain_text("It runs but says nothing")
        agent.send(signal.SIGCONT)
        expect(live.locator("#agent-state")).to_have_text("agent running")
        expect(trends.locator("#alert-banner")).to_be_hidden()

        agent.send(signal.SIGKILL)
        expect(live.locator("#agent-state")).to_have_text("agent offline")
        took += [seconds_until(lambda: see(live)), seconds_until(lambda: see(trends))]
        expect(trends.locator("#alert-lines")).to_contain_text("It is not running")
        print("seconds until the banner:", [f"{one:.1f}" for one in took])
        assert max(took) < BAR_S + BUSY_S

        trends.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        trends.goto(f"{dashboard.address}/alerts")
        assert not has_sideways_scroll(trends)
        trends.get_by_role("button", name="Acknowledge the alert agent").click()
        expect(trends.locator("main")).to_contain_text("seen by demo")
        expect(live.locator("#alert-banner")).to_be_hidden()
        lines = query(agent.database, "SELECT rule, ended IS NULL FROM alert ORDER BY id")
        assert lines == [("agent", 0), ("agent", 1)]


def see(page: Page) -> None:
    expect(page.locator("#alert-banner")).to_be_visible()
