"""The shift of the neutral logit that a baseline gives, and the baselines that give none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_agent.core.expression import EMOTIONS, Emotion, Expression
from edge_agent.core.own_neutral import (
    MOST_SHIFT,
    BaselineRefusal,
    Calibration,
    NeutralShift,
    SeenSecond,
    calibrate,
    logits_of,
)
from tests.support.timeline import expression

TEMPERATURE = 0.7369


def seconds(logits: dict[str, float], count: int = 20) -> list[SeenSecond]:
    values = tuple(logits.get(emotion, -9.0) for emotion in EMOTIONS)
    return [SeenSecond(1000 * number, values) for number in range(count)]


@pytest.mark.parametrize(
    ("rival", "shift"),
    [(-4.0, -2.0), (-2.0, 0.0), (-0.5, 1.5), (-8.0, -MOST_SHIFT)],
    ids=["leads by more", "leads by the margin", "leads by less", "is cut"],
)
def test_baseline_neutral_wins_by_the_margin_after_the_shift(rival: float, shift: float) -> None:
    found = calibrate(seconds({"neutral": 0.0, "sadness": rival}), 20.0)
    assert (found.seconds, found.refusal) == (20, None)
    assert found.shift == pytest.approx(shift)
    assert found.logits[:4] == (0.0, -9.0, -9.0, rival)


def test_baseline_with_two_sad_seconds_shifts_by_the_mean_of_all_seconds() -> None:
    calm = seconds({"neutral": 0.0, "sadness": -3.0}, 18)
    sad = seconds({"neutral": 0.0, "sadness": -1.0}, 2)
    assert calibrate([*calm, *sad], 20.0).shift == pytest.approx(2.0 - 2.8)


@pytest.mark.parametrize(
    ("seen", "length_s", "refusal"),
    [
        (seconds({"neutral": 0.0}, 9), 9.0, BaselineRefusal.SHORT),
        ([], 20.0, BaselineRefusal.FEW_FACES),
        (seconds({"neutral": 0.0}, 9), 20.0, BaselineRefusal.FEW_FACES),
        (
            [*seconds({"neutral": 0.0}, 9), *(SeenSecond(at, None, 5) for at in range(9))],
            20.0,
            BaselineRefusal.TURNED_AWAY,
        ),
        (seconds({"neutral": -3.0, "happiness": 0.0}), 20.0, BaselineRefusal.SMILING),
        (seconds({"neutral": 0.0, "happiness": -0.4}), 20.0, BaselineRefusal.SMILING),
        (
            [replace(one, smile=0.3) for one in seconds({"neutral": 0.0, "happiness": -2.0})],
            20.0,
            BaselineRefusal.SMILING,
        ),
        (seconds({"neutral": 0.0, "anger": -0.4}), 20.0, BaselineRefusal.NOT_NEUTRAL),
        (seconds({"neutral": 0.0, "sadness": -0.4}), 20.0, BaselineRefusal.NOT_NEUTRAL),
        (seconds({"neutral": 0.0, "surprise": -0.4}), 20.0, BaselineRefusal.NOT_NEUTRAL),
        (
            [
                *seconds({"neutral": 0.0, "sadness": -6.0}, 10),
                *seconds({"neutral": -1.0, "sadness": 0.0}, 10),
            ],
            20.0,
            BaselineRefusal.RESTLESS,
        ),
    ],
)
def test_baseline_that_is_no_neutral_face_is_refused_with_its_reason(
    seen: list[SeenSecond], length_s: float, refusal: BaselineRefusal
) -> None:
    found = calibrate(seen, length_s)
    assert (found.refusal, found.shift) == (refusal, 0.0)


def test_shift_moves_neutral_alone_and_leaves_the_others_in_proportion() -> None:
    seen = expression(neutral=0.9, sadness=0.06)
    before = logits_of(seen, TEMPERATURE)
    shown = NeutralShift(-1.5, TEMPERATURE).applied(seen)
    after = logits_of(shown, TEMPERATURE)
    assert sum(shown.probabilities) == pytest.approx(1.0)
    moved = [b - a for a, b in zip(before, after, strict=True)]
    # All others move by the same constant; neutral by 1.5 less.
    assert moved[1:] == pytest.approx([moved[1]] * 7)
    assert moved[0] - moved[1] == pytest.approx(-1.5)
    assert NeutralShift(0.0, TEMPERATURE).applied(seen).probabilities == pytest.approx(
        seen.probabilities
    )


def test_shift_reads_a_faint_expression_of_person_who_rests_far_on_neutral() -> None:
    rest = Expression((0.985, 0.002, 0.002, 0.005, 0.002, 0.002, 0.001, 0.001))
    faint = Expression((0.70, 0.01, 0.01, 0.23, 0.02, 0.01, 0.01, 0.01))
    found = calibrate([SeenSecond(at, logits_of(rest, TEMPERATURE)) for at in range(20)], 20.0)
    assert isinstance(found, Calibration)
    shift = NeutralShift(found.shift, TEMPERATURE)
    assert faint.dominant is Emotion.NEUTRAL
    assert shift.applied(faint).dominant is Emotion.SADNESS
    assert shift.applied(rest).dominant is Emotion.NEUTRAL
