"""Steadies the expression of each track over time and says when it is uncertain."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_agent.clock import Instant
from edge_agent.domain import EMOTIONS, Emotion, Expression


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A steadied expression.

    Attributes:
        expression: the smoothed probabilities.
        emotion: the label with hysteresis; ``None`` is *uncertain*.
    """

    expression: Expression
    emotion: Emotion | None


@dataclass(frozen=True, slots=True)
class _State:
    at: Instant
    smoothed: Smoothed


class Smoother:
    """Exponential smoothing by the time that really passed, so that frame rate and dropped frames do not matter.

    After a gap of Δt a new value weighs 1 − exp(−Δt / τ). Short gaps are held over in this way; after a long one the
    track starts anew from its next frame.

    Args:
        time_constant_s: τ; 0 is no smoothing.
        hysteresis: lead that another category needs over the present label.
        uncertain_below: when no category reaches this probability, the label is ``None``.
        reset_after_s: gap in a track after which its past no longer counts.
    """

    def __init__(
        self, time_constant_s: float, hysteresis: float, uncertain_below: float, reset_after_s: float = 2.0
    ) -> None:
        self._time_constant_s = time_constant_s
        self._hysteresis = hysteresis
        self._uncertain_below = uncertain_below
        self._reset_after_s = reset_after_s
        self._states: dict[int, _State] = {}

    def update(self, track: int, raw: Expression, at: Instant) -> Smoothed:
        """Take in the expression of ``track`` in one frame and return what it steadies to."""
        self._states = {
            number: state for number, state in self._states.items() if at.seconds_since(state.at) <= self._reset_after_s
        }
        before = self._states.get(track)
        expression = (
            raw if before is None else self._blend(before.smoothed.expression, raw, at.seconds_since(before.at))
        )
        label = label_of(
            expression, self._uncertain_below, before.smoothed.emotion if before else None, self._hysteresis
        )
        smoothed = Smoothed(expression, label)
        self._states[track] = _State(at, smoothed)
        return smoothed

    def _blend(self, old: Expression, new: Expression, seconds: float) -> Expression:
        """Move from ``old`` towards ``new`` by as much as ``seconds`` allow."""
        if self._time_constant_s == 0:
            return new
        share = -math.expm1(-max(seconds, 0.0) / self._time_constant_s)
        return Expression(tuple(o + share * (n - o) for o, n in zip(old.probabilities, new.probabilities, strict=True)))


def label_of(
    expression: Expression, uncertain_below: float, present: Emotion | None = None, hysteresis: float = 0.0
) -> Emotion | None:
    """Return the label of an expression, or ``None`` when no category reaches ``uncertain_below``.

    Args:
        expression: the probabilities.
        uncertain_below: least probability of a label.
        present: the label until now, kept while it reaches ``uncertain_below`` and no other leads by ``hysteresis``.
        hysteresis: that lead.
    """
    if expression.confidence < uncertain_below:
        return None
    if present is not None:
        held = expression.probabilities[EMOTIONS.index(present)]
        if held >= uncertain_below and expression.confidence - held < hysteresis:
            return present
    return expression.dominant
