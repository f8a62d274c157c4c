"""Heart-rate variability: the artefact rule, the measures, and where intervals may not be
joined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.analysis.heart_variability import variability_by_state
from dashboard.statistics import (
    ArtefactError,
    Corrections,
    NoVariationError,
    TooShortError,
    corrected,
    heart_variability,
    ln_rmssd,
)
from dashboard.statistics.distributions import Values
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.store.read.beats import Beats

SECONDS = [0.8, 0.81, 0.79, 0.8, 0.82, 0.79] * 3  # 14 s
STEADY = [0.8, 0.82, 0.8, 0.78] * 25  # 80 s


def beats(
    values: Sequence[float],
    *,
    start_s: float = 0.0,
    state: str = "anger",
    code: str = "a",
    lost: int | None = None,
) -> Beats:
    """Intervals of one participant, each measured at its end.

    The one at place ``lost`` without contact.
    """
    at = np.round(1000 * (start_s + np.cumsum(values))).astype(np.int64)
    flags = tuple("simulated contact_lost" if place == lost else "" for place in range(len(values)))
    return Beats(code, state, at, np.array(values), flags, simulated=False)


RHYTHM = np.round(800 + 40 * np.sin(np.arange(200) * 0.9) + 7 * np.cos(np.arange(200) * 2.3)) / 1000


def rmssd(values: Values) -> float:
    return 1000 * math.sqrt(float(np.mean(np.diff(values) ** 2)))


def test_a_missed_beat_is_inserted_and_touches_no_measure() -> None:
    missed = np.concatenate([RHYTHM[:100], [RHYTHM[100] + RHYTHM[101]], RHYTHM[102:]])
    found = corrected([missed])
    assert found.corrections == Corrections(ectopic=0, missed=1, extra=0, misplaced=0)
    assert len(found.intervals) == 200
    assert list(np.flatnonzero(~found.measured)) == [100, 101]


def test_an_extra_beat_is_deleted_and_its_interval_is_whole_again() -> None:
    parts = np.array([0.45, 0.55]) * RHYTHM[100]
    found = corrected([np.concatenate([RHYTHM[:100], parts, RHYTHM[101:]])])
    assert found.corrections == Corrections(ectopic=0, missed=0, extra=1, misplaced=0)
    assert found.intervals == pytest.approx(RHYTHM)


@pytest.mark.parametrize("early", [0.25, -0.25])
def test_a_beat_that_comes_early_or_late_takes_both_of_its_intervals(early: float) -> None:
    moved = RHYTHM.copy()
    moved[100] -= early
    moved[101] += early
    found = corrected([moved])
    assert found.corrections == Corrections(ectopic=1, missed=0, extra=0, misplaced=0)
    assert list(np.flatnonzero(~found.measured)) == [100, 101]
    assert found.intervals[100] == pytest.approx(RHYTHM[100], abs=0.06)


def test_a_rhythm_without_artefacts_is_left_as_it_is() -> None:
    found = heart_variability([RHYTHM])
    assert (found.n, found.successive, found.share_corrected) == (200, 199, 0.0)
    assert found.rmssd_ms == pytest.approx(rmssd(RHYTHM))
    assert found.sdnn_ms == pytest.approx(float(np.std(1000 * RHYTHM, ddof=1)))
    assert found.ln_rmssd == ln_rmssd(found.rmssd_ms) == pytest.approx(math.log(rmssd(RHYTHM)))


def test_runs_are_never_joined() -> None:
    apart = heart_variability([[0.8, 0.81] * 40, [0.9, 0.91] * 40])
    assert (apart.n, apart.successive) == (160, 158)
    assert apart.rmssd_ms == pytest.approx(10.0)


def test_five_minutes_are_no_longer_ultra_short() -> None:
    assert heart_variability([STEADY]).ultra_short
    assert not heart_variability([STEADY * 4]).ultra_short


def test_less_than_a_minute_gives_no_number_but_says_how_much_is_needed() -> None:
    with pytest.raises(
        TooShortError, match="at least 60 s of intervals between beats; there are 14"
    ):
        heart_variability([SECONDS])
    with pytest.raises(TooShortError, match="there are 0"):
        heart_variability([])


def test_too_many_corrected_beats_give_no_number_and_no_sensor_is_blamed() -> None:
    rng = np.random.default_rng(2)
    fibrillation = rng.uniform(0.4, 1.3, 300)
    with pytest.raises(ArtefactError, match="of 300 beats do not fit the rhythm") as refused:
        heart_variability([fibrillation])
    assert "with up to 20% of them" in str(refused.value)
    assert "sensor" not in str(refused.value)
    assert "the heart's own rhythm" in str(refused.value)


def test_values_that_are_not_finite_are_refused_by_name() -> None:
    with pytest.raises(StatisticsError, match="nan is not a finite number"):
        heart_variability([[0.8, math.nan]])


def test_beats_like_a_clock_have_no_logarithm() -> None:
    with pytest.raises(NoVariationError, match="do not differ at all"):
        _ = heart_variability([[0.8] * 100]).ln_rmssd


def test_each_participant_and_state_has_its_own_measures_or_the_reason_why_not() -> None:
    calm = beats(STEADY)
    brief = beats(SECONDS, state="neutral", start_s=100)
    other = beats(STEADY, state="Neutral", code="b")
    found = variability_by_state([calm, brief, other])
    assert [(one.participant, one.state) for one in found] == [
        ("a", Emotion.NEUTRAL),
        ("a", Emotion.ANGER),
        ("b", Emotion.NEUTRAL),
    ]
    assert found[0].variability is None and "there are 14" in found[0].reason
    assert found[1].variability == heart_variability([STEADY]) and found[1].reason == ""


def test_other_states_are_passed_over() -> None:
    assert variability_by_state([beats(STEADY, state="surprise")]) == ()


def test_a_pause_ends_a_run() -> None:
    values = np.array(STEADY * 2)
    pause = np.repeat([0, 10_000], 100)
    (found,) = variability_by_state(
        [replace(beats(values.tolist()), at_ms=beats(values.tolist()).at_ms + pause)]
    )
    assert found.variability is not None
    assert (found.variability.n, found.variability.successive) == (200, 198)


def test_runs_end_with_their_time_of_one_state_and_are_taken_together() -> None:
    (found,) = variability_by_state([beats(STEADY), beats(STEADY, start_s=80.0)])
    assert found.variability is not None
    assert (found.variability.n, found.variability.successive) == (200, 198)


def test_lost_contact_ends_a_run_and_is_counted() -> None:
    (found,) = variability_by_state([beats(STEADY * 2, lost=99)])
    assert found.contact_lost == 1
    assert found.variability is not None
    assert (found.variability.n, found.variability.successive) == (199, 197)


@given(st.lists(st.floats(0.2, 2.2), max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_intervals_are_corrected_without_losing_time(values: list[float]) -> None:
    found = corrected([values])
    assert len(found.intervals) == len(found.measured) == len(found.run)
    inserted = found.corrections.missed - found.corrections.extra
    assert len(found.intervals) == len(values) + inserted


def beats_at(intervals: Values) -> Values:
    return np.concatenate([[0.0], np.cumsum(intervals)])


def rhythm(rng: np.random.Generator, breath_hz: float, depth_s: tuple[float, float]) -> Values:
    """400 intervals of a heart that follows breath, blood pressure waves and chance; 1/1024 s."""
    level = rng.uniform(0.7, 1.05)
    depth = rng.uniform(*depth_s)
    waves = rng.uniform(0.005, 0.04)
    noise = rng.uniform(0.003, 0.015)
    phases = rng.uniform(0, 2 * math.pi, 2)
    now = 0.0
    drift = 0.0
    found = []
    for _ in range(400):
        drift = 0.98 * drift + rng.normal(0, 0.004)
        breath = depth * math.sin(2 * math.pi * breath_hz * now + phases[0])
        slow = waves * math.sin(2 * math.pi * 0.095 * now + phases[1])
        found.append(level + breath + slow + drift + rng.normal(0, noise))
        now += found[-1]
    return np.round(np.array(found) * 1024) / 1024


def none(rng: np.random.Generator, intervals: Values, share: float) -> Values:
    return intervals


def with_ectopic(rng: np.random.Generator, intervals: Values, share: float) -> Values:
    """Beats 20 to 40 % early, half of them with a full pause after them, half with less than half
    of one; two beats or more between them.
    """
    found = intervals.copy()
    places = rng.choice(np.arange(3, len(found) - 4, 3), round(share * len(found)), replace=False)
    for place in places:
        early = rng.uniform(0.2, 0.4) * found[place]
        found[place] -= early
        found[place + 1] += early * (1.0 if rng.random() < 0.5 else rng.uniform(0, 0.5))
    return found


def with_missed(rng: np.random.Generator, intervals: Values, share: float) -> Values:
    at = beats_at(intervals)
    gone = rng.choice(np.arange(3, len(at) - 3, 3), round(share * len(intervals)), replace=False)
    return np.diff(np.delete(at, gone))


def with_extra(rng: np.random.Generator, intervals: Values, share: float) -> Values:
    at = beats_at(intervals)
    count = round(share * len(intervals))
    places = rng.choice(np.arange(3, len(intervals) - 3, 3), count, replace=False)
    more = at[places] + intervals[places] * rng.uniform(0.3, 0.7, count)
    return np.diff(np.sort(np.concatenate([at, more])))


REST = (0.25, (0.01, 0.06))
SLOW = (0.1, (0.1, 0.2))
SLOWEST = (0.1, (0.2, 0.2))
DEEP = (0.25, (0.08, 0.12))


@pytest.mark.parametrize("breath", [REST, SLOW, SLOWEST, DEEP], ids=["rest", "slow", "0.2", "deep"])
@pytest.mark.parametrize(
    ("spoilt", "share"),
    [
        (none, 0.0),
        (with_ectopic, 0.02),
        (with_ectopic, 0.06),
        (with_missed, 0.02),
        (with_missed, 0.06),
        (with_extra, 0.02),
        (with_extra, 0.06),
    ],
)
def test_rmssd_of_spoilt_recordings_is_near_the_truth_and_none_is_refused(
    spoilt: Callable[[np.random.Generator, Values, float], Values],
    share: float,
    breath: tuple[float, tuple[float, float]],
) -> None:
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(6):
        truth = rhythm(rng, *breath)
        found = heart_variability([spoilt(rng, truth, share)])
        errors.append(found.rmssd_ms / rmssd(truth) - 1)
    # The known limit (docs/statistics.md): early beats drown in a breath of ± 0.2 s.
    hardest = breath == SLOWEST and spoilt is with_ectopic and share > 0.02
    bound = 0.15 if hardest else 0.05
    assert abs(float(np.mean(errors))) <= bound
    assert float(np.std(errors)) <= 0.08
