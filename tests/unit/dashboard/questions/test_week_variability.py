"""Variability of the heart over a week: by the rules of live, and in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from dashboard.questions.week.report import report_of
from dashboard.questions.week.variability import five_minutes, variability_of
from dashboard.questions.week.words import say, weeks_in_words
from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.variability import LiveVariability
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.observed import Beats
from tests.support.timeline import START_MS, reading, session_row, timeline

LENGTH_MS = 300_000


def beats_of(values: list[float], flags: list[str] | None = None, source: str = "strap") -> Beats:
    at = START_MS + np.round(1000 * np.cumsum(values)).astype(np.int64)
    told = tuple(flags or [""] * len(values))
    return Beats("P01", "", at, np.array(values), told, simulated=False, session=1, source=source)


def test_rmssd_of_five_minutes_is_that_of_live() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.8, 0.05, 370)
    values[rng.random(370) < 0.04] = 1.7  # missed beats
    flags = ["contact_lost" if rng.random() < 0.03 else "" for _ in values]
    beats = beats_of(values.tolist(), flags)
    inside = beats.at_ms < beats.at_ms[0] + LENGTH_MS
    live = LiveVariability()
    for at, value, flag in zip(beats.at_ms[inside], values[inside], flags, strict=False):
        marks = frozenset({VitalFlag(flag)}) if flag else frozenset()
        when = Instant(int(at) - START_MS, int(at))
        live.add(VitalReading(when, VitalKind.RR_INTERVAL, float(value), "strap", marks))
    now = live.now(int(beats.at_ms[inside][-1]))
    assert now is not None and now.rmssd_ms is not None
    ((first, less), *_) = five_minutes(
        Beats("P01", "", beats.at_ms[inside], values[inside], tuple(np.array(flags)[inside]), False)
    )
    assert first == pytest.approx(now.rmssd_ms) and np.isnan(less)


def test_stretches_with_few_good_beats_are_not_counted() -> None:
    steady = [0.8, 0.84] * 183
    assert len(five_minutes(beats_of(steady))) == 1
    lost = ["contact_lost" if n % 4 == 0 else "" for n in range(len(steady))]
    assert not len(five_minutes(beats_of(steady, lost)))
    assert variability_of([beats_of(steady, lost)]) is None


def test_week_counts_one_of_two_sources_of_a_session() -> None:
    many, few = [0.8, 0.84] * 366, [0.8, 0.9] * 180
    week = variability_of([beats_of(few, source="camera"), beats_of(many)])
    assert week is not None
    assert (week.stretches, round(week.median_ms, 1)) == (2, 40.0)


def test_errors_that_beats_state_are_no_variability_of_a_week() -> None:
    rng = np.random.default_rng(5)
    error_ms = 15.0
    values = 0.8 + rng.normal(0, 0.03 / np.sqrt(2), 3700)
    worse = values + rng.normal(0, error_ms / 1000, 3700)
    plain, stated = beats_of(values.tolist()), beats_of(worse.tolist())
    of_normal = error_ms / 1000 / np.sqrt(np.pi / 2)
    week = variability_of([replace(stated, errors=np.full(3700, of_normal))])
    true = variability_of([plain])
    assert week is not None and week.without_errors_ms is not None and true is not None
    assert week.median_ms > 1.15 * true.median_ms
    assert week.without_errors_ms == pytest.approx(true.median_ms, rel=0.05)
    assert f"{week.without_errors_ms:.0f} ms without the errors that the sensor states." in say(
        "variability", week
    )
    assert true.without_errors_ms is None and "without the errors" not in say("variability", true)


def test_week_tells_the_variability_of_its_heart_in_words(tmp_path: Path) -> None:
    values = [0.8, 0.84] * 366
    sessions = [session_row(0, 700, participant="P01")]
    readings = [
        replace(reading(float(at), value, VitalKind.RR_INTERVAL))
        for at, value in zip(np.cumsum(values), values, strict=True)
    ]
    path = timeline(tmp_path / "affect-edge.db", session=sessions, vital=readings)
    last = datetime.fromtimestamp(START_MS / 1000, UTC).date()
    (week,) = weeks_in_words(path, "P01", last, UTC)
    expected = "Heart-rate variability (RMSSD): 40 ms, the median of 2 stretches of five minutes"
    assert week.model.variability_sentence.startswith(expected)
    assert expected in " ".join(report_of(week.model).split())
