"""Two sensors that measured the same at the same time: one of them counts, never their mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.readings import best_source
from dashboard.analysis.request import AnalysisQuery, StateBy
from dashboard.analysis.say.cautions import cautions_of
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader
from tests.support.studies import HEART, States, add_session

RR = VitalKind.RR_INTERVAL
STRAP: States = {"anger": {HEART: [80.0, 82.0, 81.0]}, "neutral": {HEART: [70.0, 71.0, 72.0]}}
WATCH: States = {"anger": {HEART: [100.0, 100.0]}}  # none in neutral


def two_sensors(folder: Path) -> Path:
    path = folder / "affect-edge.db"
    for code in ("a", "b", "c"):
        add_session(path, code, STRAP, second=("watch", WATCH))
    return path


def means(path: Path, query: AnalysisQuery, prefer: tuple[str, ...] = ()) -> set[tuple[str, float]]:
    found = analyse(Reader(path), query, prefer_sources=prefer)
    return {(str(one.state), one.mean) for one in found.means}


def test_the_sensor_with_more_readings_counts_and_the_other_is_told_of(tmp_path: Path) -> None:
    path = two_sensors(tmp_path)
    query = AnalysisQuery(vital=(HEART,))
    assert means(path, query) == {("anger", 81.0), ("neutral", 71.0)}
    (caution,) = [text for text in cautions_of(analyse(Reader(path), query)) if "watch" in text]
    assert "6 of heart rate by watch" in caution
    assert "in 3 sessions" in caution


def test_the_preferred_sensor_counts_even_where_it_lacks_a_state(tmp_path: Path) -> None:
    path = two_sensors(tmp_path)
    watch = AnalysisQuery(vital=(HEART,), prefer_source=("band", "watch"))
    assert means(path, watch) == {("anger", 100.0)}
    usual = AnalysisQuery(vital=(HEART,))
    assert means(path, usual, prefer=("watch",)) == {("anger", 100.0)}
    asked = AnalysisQuery(vital=(HEART,), prefer_source=("strap",))
    assert means(path, asked, prefer=("watch",)) == {("anger", 81.0), ("neutral", 71.0)}


@pytest.mark.parametrize(
    ("sources", "best"),
    [
        ({"a": (3, 3), "b": (5, 5)}, "b"),
        ({"camera": (0, 90), "strap": (2, 2)}, "strap"),
        ({"b": (0, 4), "a": (0, 4)}, "a"),
    ],
)
def test_readings_without_doubt_decide_before_all_readings(
    sources: dict[str, tuple[int, int]], best: str
) -> None:
    assert best_source(sources, ()) == best


@pytest.mark.parametrize("prefer", [(), ("watch",)])
def test_beats_that_two_sensors_felt_are_not_counted_twice(
    tmp_path: Path, prefer: tuple[str, ...]
) -> None:
    path = tmp_path / "affect-edge.db"
    beats = [0.8, 0.82, 0.8, 0.78] * 25
    felt: States = {"anger": {RR: beats}}
    add_session(path, "a", felt, second=("watch", {"anger": {RR: beats[:-1]}}))
    query = AnalysisQuery(state=StateBy.CONDITION, prefer_source=prefer)
    (found,) = analyse(Reader(path), query).variability
    assert found.state is Emotion.ANGER
    assert found.variability is not None
    assert found.variability.beats == len(beats) - len(prefer)
    expected = 1000 * np.sqrt(np.mean(np.diff(beats[: found.variability.beats]) ** 2))
    assert found.variability.rmssd_ms == pytest.approx(expected)
