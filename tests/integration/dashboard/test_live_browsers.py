"""Sixty browsers on the live page of one dashboard process: one connection to the agent for all."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dashboard.web.settings import DashboardOptions
from edge_agent.live.feed import LiveServer
from tests.browser.live_agent import LiveAgent
from tests.support.broker import wait_until
from tests.support.dashboard import DashboardProcess
from tests.support.live_browsers import LiveBrowsers, log_ins

READING = 60
SILENT = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> Iterator[DashboardProcess]:
    config = folder / "without-alerts.toml"
    config.write_text("[alerts]\nenabled = false\n")  # they ask the agent as well, each moment anew
    with DashboardProcess(folder, "--config", str(config)) as process:
        yield process
        assert process.stop(signal.SIGTERM, 60) == 0


def browsers(dashboard: DashboardProcess, folder: Path, silent: int = 0) -> LiveBrowsers:
    database = DashboardOptions(data=folder).database
    requests = log_ins(database, dashboard.port, READING + silent)
    return LiveBrowsers(dashboard.port, requests, READING, silent)


def test_more_browsers_than_the_agent_has_places_are_all_served(
    folder: Path, dashboard: DashboardProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted: list[object] = []
    admit = LiveServer._admit

    def count(server: LiveServer, *what: Any) -> None:
        admitted.append(what)
        admit(server, *what)

    monkeypatch.setattr(LiveServer, "_admit", count)
    with LiveAgent(folder, None), browsers(dashboard, folder, SILENT) as open_pages:
        wait_until(lambda: open_pages.least_events >= 12, "a dozen events for each")
        assert open_pages.told_offline == 0
        assert len(admitted) == 1


def test_all_hear_that_the_agent_went_and_that_it_is_back(
    folder: Path, dashboard: DashboardProcess
) -> None:
    with ExitStack() as agent, browsers(dashboard, folder) as open_pages:
        agent.enter_context(LiveAgent(folder, None))
        wait_until(lambda: open_pages.least_events >= 3, "some events for each")
        # where the dashboard fell behind, it may have lost the agent and found it again
        wait_until(lambda: open_pages.offline == 0, "all to see the agent")
        agent.close()
        wait_until(lambda: open_pages.offline == READING, "all to hear it")
        with LiveAgent(folder, None):
            back_at = time.monotonic()
            wait_until(
                lambda: all((one.online_at or 0) > back_at for one in open_pages.reading),
                "all to hear that it is back",
            )
            before = open_pages.least_events
            wait_until(lambda: open_pages.least_events >= before + 3, "events as before")
        assert not any(browser.ended for browser in open_pages.reading)
