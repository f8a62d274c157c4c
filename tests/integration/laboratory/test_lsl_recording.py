"""LabRecorder records the agent's streams; its file says what the database says."""

from __future__ import annotations

import math
import signal
from bisect import bisect_left
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core import clock
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.lsl.streams import FLAGS
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from tests.support.appliance import Appliance
from tests.support.broker import wait_until
from tests.support.commands import affect_edge
from tests.support.laboratory.lab_recorder import lab_recorder, read_xdf
from tests.support.timeline import query

pylsl: Any = pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)
pytest.importorskip("labrecorder", reason="labrecorder has no wheel for this Python")
pytest.importorskip("pyxdf", reason="pyxdf is not installed")

WITHIN_S = 0.005
Streams = dict[str, tuple[list[float], list[Any], dict[str, Any]]]


def replayed(file: Path) -> Path:
    """A recording of a strap: a heart rate each second, and its beats."""
    rows = ["at,kind,value,unit,source"]
    for beat in range(120):
        ms = 800 * beat
        at = f"2026-03-01T10:{ms // 60_000:02d}:{ms % 60_000 / 1000:06.3f}Z"
        rows.append(f"{at},rr_interval,{0.75 + 0.001 * beat:.3f},s,strap")
        rows.append(f"{at},heart_rate,{70 + beat % 20},,strap")
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def settings(device: str, folder: Path) -> dict[str, dict[str, Any]]:
    return {
        "device": {"name": device},
        "camera": {"source": "demo"},
        "mqtt": {"enabled": False},
        "record": {"batch_seconds": 0.3, "interval": 0.0},
        "lsl": {"enabled": True, "simulated": True},
        "vitals.replay": {"file": str(replayed(folder / "strap.csv")), "loop": True},
        "vitals.simulated": {"enabled": True, "pressure_seconds": 2.0},
    }


def without_partner(rows: list[float], stamps: list[float]) -> list[float]:
    """Times of rows that no stamp is near to; both in order."""
    lonely = []
    for row in rows:
        place = bisect_left(stamps, row)
        near = stamps[max(0, place - 1) : place + 1]
        if not any(abs(stamp - row) <= WITHIN_S for stamp in near):
            lonely.append(row)
    return lonely


@pytest.mark.deep
def test_labrecorder_gets_every_sample_though_the_agent_was_killed(tmp_path: Path) -> None:
    device = f"rec-{tmp_path.stat().st_ino}"
    database = tmp_path / "data" / "affect-edge.db"
    database.parent.mkdir()
    migrate(database)
    record(tmp_path, device, database)
    streams = read_xdf(tmp_path / "lab.xdf")
    shift_s = float(pylsl.local_clock()) - clock.boot_seconds()
    assert_vitals(database, streams, shift_s)
    assert_expressions(database, streams, shift_s)
    assert_events(database, streams, shift_s)
    again = affect_edge("import-vitals", tmp_path / "lab.xdf", "--data", database.parent)
    assert "0 readings imported" in again.out, again.out + again.err


def record(folder: Path, device: str, database: Path) -> None:
    """A session in which the recorder hangs and the agent is killed."""
    study = Study(database)
    study.create_participant("P01")
    study.give_consent("P01", "1")
    configuration = settings(device, folder)

    def rows(table: str) -> int:
        return int(query(database, f"SELECT count(*) FROM {table}")[0][0])

    with lab_recorder(folder / "lab.xdf", device) as recording:
        with Appliance(folder, configuration) as agent:
            wait_until(lambda: rows("vital") > 10 and rows("expression") > 20, "rows")
            kinds = query(database, "SELECT DISTINCT kind, source FROM vital")
            # expressions, markers and sessions have one each
            wait_until(lambda: recording.opened() >= len(kinds) + 3, "the recorder")
            # somebody who opens a stream and never reads holds nobody up
            (found,) = pylsl.resolve_byprop(
                "source_id", f"affect-edge/{device}/expression (simulated)", timeout=60
            )
            lazy = pylsl.StreamInlet(found, max_buflen=1, recover=False)
            lazy.open_stream(timeout=60)
            study.start_session(NewSession("P01", Purpose.RESEARCH, "films"))
            study.add_marker(MarkerKind.STIMULUS_START, "anger")
            recording.process.send_signal(signal.SIGSTOP)  # a recorder that hangs for a while
            before = rows("vital")
            wait_until(lambda: rows("vital") > before + 10, "rows while it hangs")
            recording.process.send_signal(signal.SIGCONT)
            agent.stop(signal.SIGKILL)
        study.add_marker(MarkerKind.NOTE, "while the agent was away")
        before = rows("vital")
        with Appliance(folder, configuration) as agent:
            wait_until(lambda: rows("vital") > before + 10, "rows after the restart")
            study.add_marker(MarkerKind.STIMULUS_END, "")
            study.end_session()
            before = rows("vital")
            wait_until(lambda: rows("vital") > before + 10, "rows at the end")
            assert agent.stop() == 0, agent.said
        recording.end()


def assert_vitals(database: Path, streams: Streams, shift_s: float) -> None:
    for kind, source in query(database, "SELECT DISTINCT kind, source FROM vital"):
        nature = "simulated" if source == "simulated" else "replayed"
        stamps, samples, info = streams[f"AffectEdge {kind} {source} ({nature})"]
        found = query(
            database,
            f"SELECT boot_ms, value FROM vital WHERE kind = '{kind}' AND source = '{source}' "
            "ORDER BY boot_ms",
        )
        known = sorted(zip(stamps, (sample[0] for sample in samples), strict=True))
        recorded = [at / 1000 + shift_s for at, _ in found]
        assert without_partner(recorded, [stamp for stamp, _ in known]) == []
        values = [value for _, value in found]
        assert not [value for value in values if value not in {value for _, value in known}]
        assert all(int(sample[1]) & 1 << FLAGS.index("simulated") for sample in samples)
        assert info["desc"][0]["source"][0]["nature"] == [nature]


def assert_expressions(database: Path, streams: Streams, shift_s: float) -> None:
    stamps, samples, _ = streams["AffectEdge expression (simulated)"]
    seen = [stamp for stamp, sample in zip(stamps, samples, strict=True) if sample[-1] == 0]
    found = query(database, "SELECT boot_ms FROM expression WHERE is_primary ORDER BY boot_ms")
    assert len(found) > 20
    assert without_partner([at / 1000 + shift_s for (at,) in found], sorted(seen)) == []
    assert not any(math.isnan(sample[0]) for sample in samples if sample[-1] == 0)


def assert_events(database: Path, streams: Streams, shift_s: float) -> None:
    stamps, samples, _ = streams["AffectEdge markers"]
    assert [text for (text,) in samples] == [
        "stimulus_start/anger",
        "note/while the agent was away",
        "stimulus_end/anger",
    ]
    marked = [at / 1000 + shift_s for (at,) in query(database, "SELECT boot_ms FROM marker")]
    assert stamps == pytest.approx(marked, abs=WITHIN_S)
    assert [text for (text,) in streams["AffectEdge sessions"][1]] == [
        "session_start/1",
        "session_end/1",
    ]
