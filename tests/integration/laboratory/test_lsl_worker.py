"""The thread that feeds the streams: what it is given arrives, and nobody waits for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.laboratory import LslSettings
from edge_agent.core import clock
from edge_agent.core.expression import Recognition
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.lsl import worker as module
from edge_agent.lsl.streams import StreamOptions
from edge_agent.lsl.worker import StreamWorker
from tests.support.broker import wait_until
from tests.support.timeline import timeline

pylsl: Any = pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)

FOUND_S = 60.0
MORE_THAN_THERE_ARE = 99
"""So that all that answer within the time are returned."""


def reading(value: float) -> VitalReading:
    return VitalReading(clock.now(), VitalKind.HEART_RATE, value, "strap")


def nobody() -> Recognition:
    """A frame in which no face is seen."""
    return Recognition(clock.now(), 1, 640, 480, ())


def test_readings_and_frames_arrive_with_their_times(tmp_path: Path) -> None:
    device = f"worker-{tmp_path.stat().st_ino}"
    feeding = StreamWorker(
        StreamOptions(device, LslSettings()),
        timeline(tmp_path),
        sensors=[(VitalKind.HEART_RATE, "strap")],
    )
    feeding.start()
    try:
        query = f"contains(source_id, '{device}') and contains(name, 'heart_rate')"
        (found,) = pylsl.resolve_bypred(query, 1, FOUND_S)
        inlet = pylsl.StreamInlet(found)
        inlet.open_stream(FOUND_S)
        before_s = float(pylsl.local_clock())
        feeding.enqueue(reading(71))
        feeding.enqueue(nobody())
        sample, stamp = inlet.pull_sample(FOUND_S)
        assert sample[0] == 71
        assert before_s - 0.1 <= stamp <= float(pylsl.local_clock()) + 0.1
    finally:
        feeding.stop()
        assert feeding.join(60)
    assert feeding.error is None
    assert feeding.dropped == 0


def offered(options: StreamOptions, path: Path, most: int, seconds: float) -> set[str]:
    """Return the streams that others find once sensors of each nature have spoken.

    Args:
        options: of the streams.
        path: where the database is made.
        most: how many end the search.
        seconds: how long is searched for fewer.
    """
    feeding = StreamWorker(options, timeline(path))
    feeding.start()
    natures = {VitalFlag.SIMULATED, VitalFlag.ESTIMATED, VitalFlag.REPLAYED}
    try:
        for flag in natures:
            feeding.enqueue(replace(reading(60), source=flag.name.lower(), flags=frozenset({flag})))
        feeding.enqueue(reading(71))  # the last, so that all others were decided before
        query = f"contains(source_id, '/{options.device}/')"
        own = f"{query} and contains(name, 'heart_rate strap')"
        assert pylsl.resolve_bypred(own, 1, FOUND_S)
        return {
            found.name().removeprefix("AffectEdge ")
            for found in pylsl.resolve_bypred(query, most, seconds)
        }
    finally:
        feeding.stop()
        assert feeding.join(60)


def test_simulated_and_estimated_sensors_are_offered_when_asked_for(tmp_path: Path) -> None:
    device = f"natures-{tmp_path.stat().st_ino}"
    (tmp_path / "all").mkdir()
    asked = StreamOptions(f"{device}-all", LslSettings(simulated=True, estimated=True))
    always = {"heart_rate strap", "expression", "markers", "sessions"}
    usual = StreamOptions(device, LslSettings())
    assert offered(usual, tmp_path, MORE_THAN_THERE_ARE, 1.5) <= always
    assert offered(asked, tmp_path / "all", len(always) + 3, FOUND_S) - always == {
        "heart_rate simulated (simulated)",
        "heart_rate estimated (estimated)",
        "heart_rate replayed (replayed)",
    }


def test_a_thread_that_stands_still_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    feeding = StreamWorker(StreamOptions("still", LslSettings()), timeline(tmp_path))
    for value in range(5):
        feeding.enqueue(reading(value))
    assert feeding.dropped == 3
    assert caplog.text.count("samples are lost") == 1


def test_a_database_that_is_away_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = timeline(tmp_path)
    feeding = StreamWorker(StreamOptions(f"away-{tmp_path.stat().st_ino}", LslSettings()), file)
    file.rename(tmp_path / "away.db")
    feeding.start()
    try:
        wait_until(lambda: "markers and sessions wait" in caplog.text, "the log")
        (tmp_path / "away.db").rename(file)
    finally:
        feeding.stop()
        assert feeding.join(60)
    assert caplog.text.count("markers and sessions wait") == 1
    assert feeding.error is None
