"""Readings are passed on to those who show what is so now, unless they are of another time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.dispatcher import LATE_S, EventDispatcher
from edge_agent.agent.summary import SummaryWindow
from edge_agent.core import clock
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.live.feed import LiveServer
from edge_agent.store.write.recorder import Recorder
from tests.support.timeline import database


@pytest.mark.parametrize(
    ("seconds", "is_shown"), [(0, True), (5 - LATE_S, True), (-LATE_S - 5, False), (3600, False)]
)
def test_a_reading_of_another_time_is_not_shown_as_one_of_now(
    tmp_path: Path, seconds: float, is_shown: bool
) -> None:
    live = LiveServer(tmp_path / "live.sock")
    shown: list[Mapping[str, Any]] = []
    live.on_message = shown.append
    heard: list[object] = []
    window = SummaryWindow("pi", clock.now(), simulated=False)
    dispatcher = EventDispatcher(Recorder(database(tmp_path)), window, live, None, simulated=False)
    dispatcher.listener = heard.append
    at = clock.now().shifted(seconds)
    dispatcher.vital(VitalReading(at, VitalKind.HEART_RATE, 70.0, "cuff"))
    assert (len(shown), len(heard)) == (int(is_shown), int(is_shown))
