"""Parts that answer, and answer wrongly, while the live page is open: within three seconds it says
so, and shows nothing that is not of now.

A camera's address that is gone, or gives rubbish; a broker that lets nobody in any more; a clock of
the device that jumps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.live.test_never_untrue import BAR_S, BUSY_S, Stand, live_page, said_in_time
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto
from tests.support.dashboard import DashboardProcess
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

pytestmark = pytest.mark.browser
MINUTES = 5
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


USER = {"edge": "wonderland"}


class Clock:
    """The clock of the device: of its agent and its dashboard, and not of the browser."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)
        self.environment: dict[str, str] = {}
        if FAKETIME:
            self.environment = {
                "LD_PRELOAD": str(FAKETIME[0]),
                "FAKETIME_TIMESTAMP_FILE": str(self._file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1",
            }

    def set(self, ahead_s: int) -> None:
        """Let it be so many seconds ahead of what is right; the file is replaced whole."""
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{ahead_s:+d}\n", encoding="ascii")
        beside.replace(self._file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Stand]:
    """Camera, broker, agent and dashboard, for an open session."""
    folder = tmp_path_factory.mktemp("stand")
    broker = Mosquitto(folder / "broker", users=dict(USER))
    broker.start()
    with StillCamera(smiling()) as camera, pytest.MonkeyPatch.context() as patch:
        settings: dict[str, dict[str, Any]] = {
            "camera": {
                "source": "snapshot",
                "device": camera.address,
                "snapshot_seconds": 0.25,
                "stall_seconds": 10.0,
            },
            "mqtt": {
                "host": "127.0.0.1",
                "port": broker.port,
                "username": "edge",
                "password": USER["edge"],
            },
            "vitals.simulated": {"enabled": True},
        }
        with Appliance(folder / "agent", settings, environment=clock.environment) as agent:
            agent.wait_for("the agent runs", 90)
            for name, value in clock.environment.items():
                patch.setenv(name, value)
            dashboard = DashboardProcess(agent.data, "--login-link")
            patch.undo()
            with dashboard:
                made = Stand(camera, broker, agent, dashboard)
                made.study.create_participant("P-01")
                made.study.give_consent("P-01", "3")
                yield made
    broker.stop()


def give_password(broker: Mosquitto, password: str) -> None:
    """Let the account of the agent have another password from the broker's next start on."""
    broker.users = {"edge": password}
    broker._passwords()


def test_a_camera_that_gives_rubbish_is_said_to_give_no_picture(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        said_in_time(page, lambda: setattr(stand.camera, "data", b"no picture"), "No picture")
        expect(page.locator("#standing")).not_to_contain_text("camera open")
        stand.camera.show(smiling())
        expect(page.locator("#now-label")).to_have_text("happiness")


def test_a_broker_that_lets_nobody_in_any_more_is_said_to(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:
        expect(page.locator("#standing")).to_contain_text("broker connected")
        stand.broker.stop()
        began = time.monotonic()
        give_password(stand.broker, "another")
        stand.broker.start()
        expect(page.locator("#standing")).not_to_contain_text("broker connected")
        assert time.monotonic() - began < BAR_S + BUSY_S
        expect(page.locator("#standing")).to_contain_text("broker unauthorised")
        expect(page.locator("#now-label")).to_have_text("happiness")
        stand.broker.stop()
        give_password(stand.broker, USER["edge"])
        stand.broker.start()
        expect(page.locator("#standing")).to_contain_text("broker connected", timeout=150_000)


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed (apt install libfaketime)")
@pytest.mark.parametrize("minutes", [MINUTES, -MINUTES])
def test_a_clock_of_the_device_that_jumps_is_said_and_what_is_shown_stays_of_now(
    browser: Browser, stand: Stand, state: str, clock: Clock, minutes: int
) -> None:
    with live_page(browser, stand, state) as page:
        notice = page.locator("#clock-notice")
        expect(notice).to_be_hidden()
        clock.set(60 * minutes)
        began = time.monotonic()
        try:
            where = "behind" if minutes > 0 else "ahead of"
            expect(notice).to_contain_text(f"5 min {where} the device’s")
            took = time.monotonic() - began
            print(f"a clock that jumps: {took:.1f} s")
            assert took < BAR_S + BUSY_S
            expect(page.locator("#now-label")).to_have_text("happiness")
            expect(page.locator("#now-age")).to_have_text("· now")
            expect(page.locator("[data-tile=heart_rate] .tile-note")).to_have_text("now")
        finally:
            clock.set(0)
        expect(notice).to_be_hidden()
        expect(page.locator("#now-label")).to_have_text("happiness")


def test_a_camera_whose_address_is_gone_is_said_to_give_no_picture(
    browser: Browser, stand: Stand, state: str
) -> None:
    with live_page(browser, stand, state) as page:

        def vanish() -> None:
            stand.camera.shutdown()
            stand.camera.server_close()

        said_in_time(page, vanish, "No picture")
        expect(page.locator("#standing")).to_contain_text("camera failed")
