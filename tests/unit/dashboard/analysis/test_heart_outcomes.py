"""Variability and change from baseline as tested outcomes: within sessions, each said in words."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.means import find_baselines
from dashboard.analysis.request import AnalysisQuery, Design, HeartMeasure, Outcome
from dashboard.analysis.say.cautions import warnings_of
from dashboard.analysis.say.tests import heart_sentence
from dashboard.statistics.distributions import Values
from dashboard.statistics.heart import (
    HIGH_HZ,
    LOW_HZ,
    NoBreathError,
    TooShortError,
    breaths_per_minute,
    spectrum,
)
from dashboard.statistics.t_tests import paired_t
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader
from tests.support.studies import HEART, add_session, make_study

RR = VitalKind.RR_INTERVAL


def waves(*parts: tuple[float, float], beats: int = 400, level: float = 0.8) -> Values:
    """Intervals that follow waves of (amplitude in s, frequency in Hz) in time."""
    now = 0.0
    found = []
    for _ in range(beats):
        found.append(level + sum(a * math.sin(2 * math.pi * f * now) for a, f in parts))
        now += found[-1]
    return np.array(found)


def test_a_wave_has_half_its_squared_amplitude_in_its_band_and_nothing_in_the_other() -> None:
    low = spectrum([waves((0.03, 0.1))])
    assert low.power(LOW_HZ) == pytest.approx(450, rel=0.05)
    assert low.power(HIGH_HZ) < 10
    high = spectrum([waves((0.03, 0.25))])
    assert high.power(HIGH_HZ) == pytest.approx(450, rel=0.1)
    assert high.power(LOW_HZ) < 10


def test_a_band_says_how_long_the_recording_must_be() -> None:
    minute = waves((0.03, 0.1), beats=100)
    with pytest.raises(TooShortError, match=r"at least 120 s .* the longest time has 80"):
        spectrum([minute, minute])
    assert spectrum([minute], least_s=60).seconds == pytest.approx(80, abs=1)


@pytest.mark.parametrize("breaths", [10.5, 15.0, 20.0])
def test_the_breath_is_read_from_the_rhythm_to_half_a_breath(breaths: float) -> None:
    found = spectrum([waves((0.03, breaths / 60), (0.01, 0.08))])
    assert breaths_per_minute(found) == pytest.approx(breaths, abs=0.5)


def test_no_breath_is_made_up_where_none_stands_out() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(NoBreathError, match="stands out"):
        breaths_per_minute(spectrum([0.8 + rng.normal(0, 0.02, 400)]))
    with pytest.raises(NoBreathError):
        breaths_per_minute(spectrum([waves((0.1, 0.1), (0.01, 0.2))]))


def beat_study(folder: Path) -> Path:
    """Four people; in anger the breath moves the heart half as far; their levels differ."""
    rng = np.random.default_rng(6)
    path = folder / "affect-edge.db"
    for number in range(4):
        depth = 0.03 + 0.005 * number
        noise = [rng.normal(0, 0.004, 100) for _ in range(2)]
        states = {
            "anger": {RR: list(waves((depth / 2, 0.25), beats=100) + noise[0])},
            "neutral": {RR: list(waves((depth, 0.25), beats=100) + noise[1])},
        }
        add_session(path, f"P-{number}", states)
    return path


def test_variability_is_tested_within_sessions_in_a_family_of_its_own(tmp_path: Path) -> None:
    path = beat_study(tmp_path)
    query = AnalysisQuery(heart_measure=(HeartMeasure.LN_RMSSD, HeartMeasure.LN_LF))
    found = analyse(Reader(path), query)
    assert [(one.measure, one.first) for one in found.heart_tests][:2] == [
        (HeartMeasure.LN_RMSSD, Emotion.ANGER),
        (HeartMeasure.LN_RMSSD, Emotion.HAPPINESS),
    ]
    test = found.heart_tests[0]
    values = {(one.participant, one.state): one.variability for one in found.variability}
    by_hand = [
        [one.ln_rmssd for (_, of), one in values.items() if of is state and one is not None]
        for state in (Emotion.ANGER, Emotion.NEUTRAL)
    ]
    expected = paired_t(*by_hand)
    assert test.comparison.tests is not None
    assert test.comparison.tests.t.t == pytest.approx(expected.t)
    assert test.adjusted_p == pytest.approx(expected.p)  # the only test that could be computed
    text = heart_sentence(test, query)
    assert text.startswith("RMSSD, anger and neutral: a difference, 0.5")
    assert "times (95 % CI" in text and "n = 4" in text
    low = found.heart_tests[3]
    assert low.comparison.tests is None
    assert low.left_out == {"too short": 8}
    assert "8 too short" in heart_sentence(low, query)


def resting_study(folder: Path) -> Path:
    """Two groups whose levels differ, and whose change from rest does not; one has no baseline."""
    people = {}
    for number in range(8):
        level = 60.0 + 5 * number
        state = "anger" if number < 4 else "neutral"
        people[f"P-{number}"] = {
            "baseline": {HEART: [level - 1, level + 1]},
            state: {HEART: [level + 3 + number % 2]},
        }
    people["Q"] = {"anger": {HEART: [150.0]}}
    return make_study(folder, people)


def difference(analysis: Analysis) -> float:
    difference = analysis.family[0].comparison.difference
    assert difference is not None
    return difference


def test_a_change_takes_the_baseline_of_its_session_away(tmp_path: Path) -> None:
    reader = Reader(resting_study(tmp_path))
    query = AnalysisQuery(vital=(HEART,), design=Design.INDEPENDENT, outcome=Outcome.CHANGE)
    found = analyse(reader, query)
    assert {mean.participant: mean.mean for mean in found.means} == {
        f"P-{number}": 3.0 + number % 2 for number in range(8)
    }
    assert difference(found) == pytest.approx(0.0)
    levels = analyse(reader, query.model_copy(update={"outcome": Outcome.LEVEL}))
    assert abs(difference(levels)) > 3
    (warning,) = [text for text in warnings_of(found) if "baseline" in text]
    assert "1 session lacks a baseline" in warning
    assert len(find_baselines(reader, query, reader.session_list())) == 8
