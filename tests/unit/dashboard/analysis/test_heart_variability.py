"""Heart-rate variability: the artefact rule, the measures, and where intervals may not be
joined.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.analysis.heart_variability import variability_by_state
from dashboard.statistics import ArtefactError, NoVariationError, TooShortError, heart_variability
from dashboard.statistics.variability import accepted
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.store.read.beats import Beats

# One missed beat (1520), one extra beat (400 and 410): milliseconds.
BEATS = (
    812, 835, 790, 1520, 805, 798, 840, 861, 400, 410, 822, 815, 803, 790, 776, 801, 820, 845,
    850, 833,
)  # fmt: skip
SECONDS = [beat / 1000 for beat in BEATS]
STEADY = [0.8, 0.85, 0.8, 0.75] * 25  # 80 s


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


def test_missed_and_extra_beats_are_rejected_and_nothing_else() -> None:
    assert [beat for beat, kept in zip(BEATS, accepted(SECONDS), strict=True) if not kept] == [
        1520,
        400,
        410,
    ]


@pytest.mark.parametrize("beat", [0.29, 2.01, 0.0, -1.0])
def test_what_is_no_beat_is_rejected(beat: float) -> None:
    assert list(accepted([0.8, beat, 0.8])) == [True, False, True]


def test_a_lone_interval_has_nothing_that_vouches_for_it() -> None:
    assert list(accepted([0.8])) == [False]
    assert list(accepted([])) == []


def test_the_measures_equal_r() -> None:
    found = heart_variability([SECONDS * 5])
    # R 4.2.2: x <- rep(BEATS, 5); ok <- !(x %in% c(1520, 400, 410)); sd(x[ok]);
    # d <- diff(x)[ok[-1] & ok[-length(ok)]]; sqrt(mean(d^2))
    assert (found.n, found.successive, found.rejected) == (85, 74, 15)
    assert found.rmssd_ms == pytest.approx(22.726041735704285, rel=1e-9)
    assert found.sdnn_ms == pytest.approx(23.240612092201189, rel=1e-9)
    assert found.seconds == pytest.approx(69.48)
    assert found.share_rejected == pytest.approx(0.15)
    assert found.ultra_short
    assert found.ln_rmssd == pytest.approx(math.log(found.rmssd_ms))


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


def test_too_many_artefacts_give_no_number() -> None:
    with pytest.raises(ArtefactError, match="40 of 140 intervals between beats are artefacts"):
        heart_variability([[*STEADY, *([0.2] * 40)]])


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


@given(st.lists(st.floats(0.2, 2.2), max_size=40))
def test_an_interval_is_held_against_the_median_of_its_neighbours(values: list[float]) -> None:
    possible = [value for value in values if 0.3 <= value <= 2.0]
    expected = []
    for place, value in enumerate(possible):
        around = possible[max(0, place - 5) : place] + possible[place + 1 : place + 6]
        usual = statistics.median(around) if around else 0.0
        expected.append(abs(value - usual) <= 0.2 * usual)
    kept = iter(expected)
    assert list(accepted(values)) == [0.3 <= value <= 2.0 and next(kept) for value in values]
