"""Means of two sessions beside each other, as rows and in words."""

from __future__ import annotations

from dashboard.charts.session import description, side_by_side
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.sessions import ConditionSummary, MeanReading, SessionSummary

KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC)


def session(**heart: float | None) -> SessionSummary:
    """Return a session with a mean heart rate for each condition."""
    anger = dict.fromkeys(EMOTIONS, 0.0) | {Emotion.ANGER: 0.8}
    conditions = tuple(
        ConditionSummary(
            label,
            0,
            1,
            10,
            anger if rate is not None else None,
            {} if rate is None else {VitalKind.HEART_RATE: MeanReading(rate, 9)},
        )
        for label, rate in heart.items()
    )
    return SessionSummary(1, False, None, "", None, conditions)


def test_every_condition_of_either_session_has_a_row() -> None:
    rows = side_by_side(session(calm=70.04, film=90), session(calm=65, stroop=None), KINDS)
    assert [row.label for row in rows] == ["calm", "film", "stroop"]
    heart, pressure = rows[0].pairs
    assert (heart.shown(heart.first), heart.shown(heart.second)) == ("70.0", "65.0")
    assert (heart.difference, pressure.difference) == ("−5.0", "–")
    assert rows[1].pairs[0].shown(None) == rows[1].pairs[0].difference == "–"
    assert rows[0].expressions == (("anger", 0.8), ("anger", 0.8))
    assert rows[2].expressions == (None, None)
    assert list(description(rows)) == ["calm: heart rate 70.0 and 65.0 /min."]
