"""Smoothing goes by real time; labels have hysteresis and an uncertain state."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Box, Emotion, Expression, Face, Observation
from edge_agent.vision.smoother import Smoother, StateHolder, label_of
from tests.support.timeline import expression

START = Instant(boot_ms=5_000, wall_ms=1_800_000_000_000)
HAPPY = Emotion.HAPPINESS
ANGRY = Emotion.ANGER
NEUTRAL = Emotion.NEUTRAL


def smoother(
    time_constant_s: float = 0.6,
    hysteresis: float = 0.08,
    uncertain_below: float = 0.45,
    dwell_s: float = 0.0,
) -> Smoother:
    return Smoother(
        time_constant_s, hysteresis, uncertain_below, dwell_s=dwell_s, hold_s=1.0, reset_after_s=2.0
    )


def labels(steady: Smoother, step_s: float, shown: list[Expression]) -> list[Emotion | None]:
    return [steady.update(1, raw, START.shift(i * step_s)).emotion for i, raw in enumerate(shown)]


def happiness(e: Expression) -> float:
    return e.as_dict()["happiness"]


@pytest.mark.parametrize("times", [(0.6,), (0.1, 0.2, 0.6), (0.01, 0.59, 0.6)])
def test_after_a_time_constant_63_percent_are_taken_in_at_any_frame_rate(
    times: tuple[float, ...],
) -> None:
    steady = smoother(time_constant_s=0.6)
    first = steady.update(1, expression(anger=1.0), START)
    assert (first.expression, first.emotion) == (expression(anger=1.0), ANGRY)
    other = steady.update(2, expression(happiness=1.0), START)
    assert other.emotion is HAPPY, "tracks do not mix"
    for seconds in times:
        smoothed = steady.update(1, expression(happiness=1.0), START.shift(seconds))
    assert happiness(smoothed.expression) == pytest.approx(1 - math.exp(-1), abs=1e-12)


def test_a_short_gap_is_held_over_and_a_long_one_starts_the_track_anew() -> None:
    steady = smoother(time_constant_s=5.0)
    steady.update(1, expression(anger=1.0), START)
    held, anew = (
        steady.update(1, expression(happiness=1.0), START.shift(seconds)).expression
        for seconds in (2.0, 4.1)
    )
    assert happiness(held) < 0.5
    assert happiness(anew) == 1.0


def test_when_no_category_reaches_the_threshold_the_face_is_uncertain() -> None:
    assert smoother().update(1, expression(happiness=0.44), START).emotion is None
    assert smoother().update(1, expression(happiness=0.45), START).emotion is HAPPY


def test_another_label_needs_a_lead_and_then_stays_in_turn() -> None:
    steady = smoother(time_constant_s=0, uncertain_below=0.3)
    shares = [(0.5, 0.4), (0.44, 0.50), (0.41, 0.50), (0.48, 0.45), (0.55, 0.40)]
    shown = [expression(happiness=h, anger=a) for h, a in shares]
    assert labels(steady, 0.1, shown) == [HAPPY, HAPPY, ANGRY, ANGRY, HAPPY]


def test_probability_around_the_threshold_does_not_make_a_label_flicker() -> None:
    shown = [expression(happiness=p) for p in (0.5, 0.44, 0.47, 0.44, 0.52, 0.54, 0.46, 0.44)]
    steady = smoother(time_constant_s=0)
    assert labels(steady, 0.1, shown) == [HAPPY, None, None, None, None, HAPPY, HAPPY, None]


@pytest.mark.parametrize("fps", [2, 15, 30])
def test_however_wildly_an_expression_changes_a_label_stays_for_least_time(fps: int) -> None:
    shown = [expression(happiness=0.9) if i % 3 else expression(anger=0.9) for i in range(6 * fps)]
    found = labels(smoother(time_constant_s=0, dwell_s=0.5), 1 / fps, shown)
    changes = [i / fps for i in range(1, len(found)) if found[i] is not found[i - 1]]
    assert all(later - earlier >= 0.5 - 1e-3 for earlier, later in pairwise(changes))


@pytest.mark.parametrize(
    ("uncertain_below", "hysteresis"), [(0.61, 0.5), (0.61, 0.4), (0.95, 0.08)]
)
def test_a_sure_expression_gets_label_back_whatever_threshold_and_lead_are(
    uncertain_below: float, hysteresis: float
) -> None:
    steady = smoother(0.6, hysteresis, uncertain_below)
    shown = [expression(happiness=0.3)] + [expression(happiness=1.0)] * 100
    assert labels(steady, 0.1, shown)[-1] is HAPPY


@pytest.mark.parametrize(("first", "later"), [(0.46, 0.47), (0.44, 0.51)])
def test_label_of_the_first_frame_is_decided_again_later(first: float, later: float) -> None:
    steady = smoother(time_constant_s=0, dwell_s=0.5)  # labels come at 0.53 and go below 0.45
    shown = [expression(happiness=first)] + [expression(happiness=later)] * 9
    found = labels(steady, 0.1, shown)
    assert found[:5] == [found[0]] * 5
    assert found[0] is not found[5]
    assert found[5:] == [found[5]] * 5


expressions = st.lists(st.floats(0.001, 1), min_size=8, max_size=8).map(
    lambda weights: Expression(tuple(w / sum(weights) for w in weights))
)


@given(st.lists(st.tuples(st.floats(0, 3), expressions, st.booleans()), min_size=1, max_size=20))
def test_smoothed_probabilities_stay_within_the_observed_ones(
    frames: list[tuple[float, Expression, bool]],
) -> None:
    steady = smoother(dwell_s=0.5)
    seconds = 0.0
    seen = list[Expression]()
    for pause, raw, is_fit in frames:
        seconds += pause
        seen.append(raw)
        found = (steady.update if is_fit else steady.hold)(
            1, raw, START.shift(seconds)
        ).expression.probabilities
        assert sum(found) == pytest.approx(1)
        for index, p in enumerate(found):
            values = [e.probabilities[index] for e in seen]
            assert min(values) - 1e-9 <= p <= max(values) + 1e-9


def test_an_unreadable_frame_changes_nothing() -> None:
    steady = smoother()
    assert steady.hold(1, expression(anger=1.0), START).emotion is None, "never read so far"
    before = steady.update(1, expression(happiness=0.9), START)
    assert steady.hold(1, expression(anger=1.0), START.shift(0.5)) == before
    held = steady.hold(1, expression(anger=1.0), START.shift(1.1))
    assert (held.expression, held.emotion) == (before.expression, None)
    after = steady.update(1, expression(happiness=0.9), START.shift(1.5))
    assert happiness(after.expression) == pytest.approx(0.9)
    assert after.emotion is HAPPY


def test_label_below_threshold_gives_way_to_one_above_it_even_without_lead() -> None:
    assert (
        label_of(expression(happiness=0.44, anger=0.46), 0.45, present=HAPPY, hysteresis=0.08)
        is ANGRY
    )


def participant(emotion: Emotion | None) -> Observation:
    shown = expression(happiness=0.9)
    return Observation(1, Face(Box(0, 0, 10, 10), 0.9, ()), shown, shown, emotion, True, 1.0)


def test_a_face_that_is_missed_for_moment_keeps_state_and_there_is_no_face() -> None:
    holder = StateHolder(no_face_after_s=0.5)
    shown = [None, participant(HAPPY), *[None] * 3, participant(None), participant(ANGRY), None]
    states = [holder.update(seen, START.shift(i * 0.25)) for i, seen in enumerate(shown)]
    assert states == [*("no_face", *["happiness"] * 3), *("no_face", "uncertain", *["anger"] * 2)]


@pytest.mark.parametrize(
    ("speaks", "emotion"), [(True, Emotion.NEUTRAL), (False, None)], ids=["speaks", "is silent"]
)
def test_label_of_a_speaking_face_stays_while_its_mouth_looks_like_others(
    speaks: bool, emotion: Emotion | None
) -> None:
    steady = smoother(0.6, uncertain_below=0.69)
    said = []
    for number in range(60):
        shown = expression(neutral=0.95)
        if number >= 15 and number % 8 < 3:
            shown = expression(happiness=0.95)
        smoothed = steady.update(1, shown, Instant(0, 0).shift(number / 15), speaks=speaks)
        said.append(smoothed.emotion)
    assert said[-1] is emotion


def test_smile_of_a_speaking_face_is_named_within_a_second_and_a_half() -> None:
    steady = smoother(0.6, uncertain_below=0.69)
    steady.update(1, expression(neutral=0.95), Instant(0, 0), speaks=True)
    said = [
        steady.update(
            1, expression(happiness=0.95), Instant(0, 0).shift(number / 15), speaks=True
        ).emotion
        for number in range(1, 24)
    ]
    assert said[0] is Emotion.NEUTRAL
    assert said[-1] is Emotion.HAPPINESS
