"""What LabRecorder recorded of our streams comes back as it was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.laboratory import LslSettings
from edge_agent.core import clock
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.lsl.streams import ExpressionSample, StreamOptions, Streams
from edge_agent.vitals.health.xdf.container import walk
from tests.support.broker import wait_until
from tests.support.commands import affect_edge
from tests.support.laboratory.lab_recorder import lab_recorder
from tests.support.timeline import query

pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)
pytest.importorskip("labrecorder", reason="labrecorder has no wheel for this Python")
pytest.importorskip("pyxdf", reason="pyxdf is not installed")

SENT = 10 + 10 + 1 + 2
WITHIN_MS = 5
SHARES = {emotion.value: float(emotion is EMOTIONS[3]) for emotion in EMOTIONS}
P01 = ("--participant", "P01", "--consent", "1", "--consent-on", "2026-01-05T08:00:00Z")


def record(file: Path, device: str) -> int:
    """Send ten seconds of an appliance that are long over to LabRecorder; return their start."""
    streams = Streams(StreamOptions(device, LslSettings(enabled=True)))
    begun = clock.now().shift(-60)
    streams.offer_events()
    streams.event("sessions", begun, "session_start/3")
    for second in range(10):
        at = begun.shift(second)
        flags = frozenset({VitalFlag.CONTACT_LOST} if second == 4 else ())
        streams.vital(at, VitalKind.HEART_RATE, "ble:A0", 60.0 + second, flags)
        streams.expression(at, ExpressionSample(SHARES, 0.5, 0.9, rejected=False), False)
    streams.event("markers", begun.shift(2), "stimulus_start/joy")
    streams.event("sessions", begun.shift(10), "session_end/3")
    with lab_recorder(file, device) as recording:
        wait_until(lambda: is_recorded(streams, file), "the samples in the file")
        recording.end()
    return begun.wall_ms


def is_recorded(streams: Streams, file: Path) -> bool:
    """Send more than LabRecorder keeps back; tell whether its file, unfinished, has all of ours."""
    streams.send_held()
    for _ in range(200):
        streams.vital(clock.now(), VitalKind.OXYGEN_SATURATION, "filler", 97.0, frozenset())
    if not (file.exists() and file.stat().st_size):
        return False
    with file.open("rb") as opened:
        container = walk(file.name, opened, file.stat().st_size)
    ours = (stream for stream in container.streams.values() if "filler" not in stream.name)
    return sum(stream.samples for stream in ours) == SENT


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in query(folder / "affect-edge.db", sql)]


@pytest.mark.deep  # LabRecorder looks for streams for ten seconds
def test_recording_of_our_streams_comes_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    file = tmp_path / "lab.xdf"
    begun_ms = record(file, f"back-{tmp_path.stat().st_ino}")
    done = affect_edge("import-study", file, "--data", tmp_path, *P01, "--purpose", "research")
    assert done.code == 0, done.out + done.err
    ((started, ended),) = rows(tmp_path, "SELECT started, ended FROM session")
    assert [started - begun_ms, ended - begun_ms] == pytest.approx([0, 10_000], abs=WITHIN_MS)
    found = rows(
        tmp_path, "SELECT at, value, source, flags FROM vital WHERE kind = 'heart_rate' ORDER BY at"
    )
    assert [at - begun_ms for at, *_ in found] == pytest.approx(
        [1000 * second for second in range(10)], abs=WITHIN_MS
    )
    assert [value for _, value, *_ in found] == [60.0 + second for second in range(10)]
    assert {source for *_, source, _ in found} == {"ble:A0"}
    assert [flags for *_, flags in found] == [
        "contact_lost imported" if second == 4 else "imported" for second in range(10)
    ]
    ((at, kind, label),) = rows(tmp_path, "SELECT at, kind, label FROM marker")
    assert (kind, label) == ("stimulus_start", "joy")
    assert at - begun_ms == pytest.approx(2000, abs=WITHIN_MS)
    ((count, frames, emotion),) = rows(
        tmp_path, "SELECT count(*), sum(frames), min(emotion) FROM expression"
    )
    assert (frames, emotion) == (10, EMOTIONS[3].value)
    assert count in {10, 11}
