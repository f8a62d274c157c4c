"""A strap's log that stamps packets, from the file to the variability of the heart rate."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.query import AnalysisQuery, StateBy
from dashboard.statistics.distributions import Values
from edge_agent.core.clock import iso_utc
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.write.reading_imports import import_readings
from edge_agent.vitals.csv_readings import read_readings
from tests.support.studies import add_session
from tests.support.timeline import START_MS

STATES = {"anger": 0.66, "happiness": 0.78, "neutral": 0.94}
PEOPLE = ("P-1", "P-2", "P-3")


def rhythm(mean: float, person: int) -> Values:
    """Four minutes of beats in steps of a millisecond, with a breath and a slow wave."""
    beat = np.arange(round(240 / mean))
    breath = (0.03 + 0.01 * person) * np.sin(beat * 1.3 + person)
    beats: Values = np.round(
        mean + breath + 0.02 * np.sin(beat / 9) + 0.012 * np.cos(beat * 2.9), 3
    )
    return beats


def rmssd(beats: Values) -> float:
    """Task Force of the ESC and the NASPE 1996, by hand: 1 / (n - 1) Σ (x - x before)²."""
    return 1000 * math.sqrt(float(np.mean(np.diff(beats) ** 2)))


def test_a_study_from_a_log_of_packets_has_the_variability_of_its_beats(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    lines = ["at,kind,value,unit,source"]
    own = {}
    count = 0
    for person, code in enumerate(PEOPLE):
        add_session(path, code, {state: {} for state in STATES})
        for place, (state, mean) in enumerate(STATES.items()):
            beats = rhythm(mean, person)
            begin_ms = START_MS + 3_600_000 * person + 300_000 * place + 20_000
            packets = begin_ms + 975 * np.ceil(np.cumsum(beats) / 0.975).astype(int)
            lines += [
                f"{iso_utc(at)},rr_interval,{1000 * value:.0f},ms,strap"
                for at, value in zip(packets.tolist(), beats, strict=True)
            ]
            own[code, state] = rmssd(beats)
            count += len(beats)
    log = tmp_path / "strap.csv"
    log.write_text("\n".join(lines) + "\n")
    readings = read_readings(log)
    assert import_readings(path, readings)[:2] == (count, 0)
    assert import_readings(path, readings)[:2] == (0, count)
    found = analyse(Reader(path), AnalysisQuery(state=StateBy.CONDITION)).answer.variability
    assert len(found) == 9
    for one in found:
        assert one.rmssd_ms == pytest.approx(own[one.participant, one.state], rel=0.03)
