"""Heart-rate variability: the artefact rule, the measures, and where intervals may not be
joined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulated.ectopic import KINDS, SPOILT, errors, ours
from dashboard.analysis.heart import variability_by_state
from dashboard.statistics.distributions import Values
from dashboard.statistics.heart import (
    ArtefactError,
    Corrections,
    TooShortError,
    corrected,
    heart_variability,
    ln_rmssd,
)
from dashboard.statistics.samples import NoVariationError
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.store.read.observed import Beats

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


def test_neighbours_with_a_missing_beat_between_them_are_no_pair() -> None:
    values = np.tile(RHYTHM, 2)
    whole = beats(values.tolist())
    there = np.ones(len(values), dtype=bool)
    there[7::20] = False  # a hole of one beat, which is far below three seconds
    (found,) = variability_by_state(
        [
            replace(
                whole,
                at_ms=whole.at_ms[there],
                values=values[there],
                flags=("",) * int(there.sum()),
            )
        ]
    )
    pairs = there[1:] & there[:-1]
    true = 1000 * math.sqrt(float(np.mean(np.diff(values)[pairs] ** 2)))  # by hand
    assert found.variability is not None
    assert found.variability.successive == pairs.sum()
    assert found.variability.rmssd_ms == pytest.approx(true)


@pytest.mark.parametrize("mean", [0.6, 0.75, 0.9, 1.05])
def test_beats_that_carry_the_time_of_their_packet_stay_neighbours(mean: float) -> None:
    values = RHYTHM - 0.8 + mean
    part = beats(values.tolist())
    packets = 1000 * np.ceil(part.at_ms / 1000).astype(np.int64)
    (found,) = variability_by_state([replace(part, at_ms=packets)])
    assert found.variability is not None
    assert found.variability.successive >= 0.97 * (len(values) - 1)
    assert found.variability.rmssd_ms == pytest.approx(rmssd(values), rel=0.01)


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


@pytest.mark.parametrize("kind", ["deep", "shallow", "fast heart", "slow heart", "drifting"])
def test_true_beats_of_a_clean_rhythm_are_left_alone(kind: str) -> None:
    off = errors(ours, kind, "nothing", people=40)
    assert abs(float(np.mean(off))) <= 0.01
    assert float(np.max(np.abs(off))) <= 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoiling", [one for one in SPOILT if one[-2:] in ("_2", "_6")])
def test_rmssd_of_spoilt_recordings_is_near_the_truth_and_none_is_refused(
    spoiling: str, kind: str
) -> None:
    off = errors(ours, kind, spoiling, people=6)
    assert not np.isnan(off).any()
    assert abs(float(np.median(off))) <= 0.05


def test_an_early_beat_in_a_deep_slow_breath_is_found_beside_the_breath() -> None:
    breath = 0.9 + 0.2 * np.sin(2 * math.pi * np.arange(300) / 11)
    early = breath.copy()
    early[153] -= 0.18
    early[154] += 0.07
    found = corrected([early])
    assert found.corrections.total == 1
    assert list(np.flatnonzero(~found.measured)) == [153, 154]
    assert heart_variability([early]).rmssd_ms == pytest.approx(rmssd(breath), rel=0.005)
