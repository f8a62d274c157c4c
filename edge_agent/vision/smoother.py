"""Smooths the expression of each track, and decides when it is uncertain or there is no face."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    EMOTIONS,
    NO_FACE,
    Emotion,
    Expression,
    Observation,
    face_state,
)

SPEECH_S = 0.8
"""Least time constant while somebody speaks, seconds."""
COMES_IN_SPEECH = 0.6
"""Probability from which a label comes while somebody speaks: a mean over more time is surer."""
GOES_IN_SPEECH = 0.3
"""Probability below which it goes. Chosen with the others on made-up speech (``python -m
benchmarks speech --half A``): longer smoothing follows fewer smiles within 1.5 s."""


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A smoothed expression.

    Attributes:
        expression: the smoothed probabilities.
        emotion: the label with hysteresis; ``None`` is *uncertain*.
    """

    expression: Expression
    emotion: Emotion | None


@dataclass(frozen=True, slots=True)
class _State:
    """A track: time of its last reading, its smoothed expression, and since when it has its label.

    ``first`` is true while the label is that of the first reading.
    """

    at: Instant
    smoothed: Smoothed
    since: Instant
    first: bool = False


class Smoother:
    """Exponential smoothing by the time that has passed, with labels that do not flicker.

    Frame rate and dropped frames do not change the result.

    After a gap of Δt a new value weighs 1 − exp(−Δt / τ). This bridges short gaps; after a long one
    the track starts again with its next frame. A label, *uncertain* included, stays for at least
    ``dwell_s``. A new label needs a lead of ``hysteresis``: over the present label, or, after
    *uncertain*, over the threshold (at most half of the way to 1, so that every threshold can be
    reached). The label of a first reading may be wrong. It is decided again after ``dwell_s``, at
    the middle between the two thresholds, so that one frame does not decide the seconds after it.

    While somebody speaks, the mouth of a moment says little: the time constant is ``SPEECH_S`` at
    least, a label comes at ``COMES_IN_SPEECH``, and it stays down to ``GOES_IN_SPEECH`` unless
    another one comes.

    Args:
        time_constant_s: τ; 0 is no smoothing.
        hysteresis: lead that another category needs over the present label.
        uncertain_below: if no category reaches this probability, the label is ``None``.
        dwell_s: least time between two changes of a label.
        hold_s: time without a readable frame after which a face that is still visible becomes
            uncertain.
        reset_after_s: gap in a track after which its past is forgotten.

    Attributes:
        time_constant_s: τ.

    Example::

        smoother = Smoother(0.6, hysteresis=0.1, uncertain_below=0.4)
        smoother.update(track, expression, frame.at).emotion  # Emotion.NEUTRAL
    """

    def __init__(
        self,
        time_constant_s: float,
        hysteresis: float,
        uncertain_below: float,
        *,
        dwell_s: float = 0.5,
        hold_s: float = 1.0,
        reset_after_s: float = 2.0,
    ) -> None:
        self.time_constant_s = time_constant_s
        self._hysteresis = hysteresis
        self._uncertain_below = uncertain_below
        self._dwell_s = dwell_s
        self._hold_s = hold_s
        self._reset_after_s = reset_after_s
        self._states: dict[int, _State] = {}

    def update(self, track: int, raw: Expression, at: Instant, *, speaks: bool = False) -> Smoothed:
        """Take in the expression of ``track`` in one frame and return the smoothed one."""
        before = self._before(track, at)
        if before is None:
            smoothed = Smoothed(raw, label_of(raw, self._uncertain_below))
            self._states[track] = _State(at, smoothed, at, first=True)
        else:
            seconds = at.seconds_since(before.at)
            expression = self._blend(before.smoothed.expression, raw, seconds, speaks=speaks)
            smoothed = self._choose_label(track, expression, before, at, speaks=speaks)
        return smoothed

    def hold(self, track: int, raw: Expression, at: Instant) -> Smoothed:
        """Return the smoothed state of ``track`` for a rejected frame, without updating it.

        After ``hold_s`` without a readable frame it is uncertain. If there was none at all, it is
        ``raw``, also uncertain.
        """
        before = self._before(track, at)
        if before is None:
            return Smoothed(raw, None)
        # The time of the last good frame stays, so that the track is still forgotten on time.
        if at.seconds_since(before.at) > self._hold_s and before.smoothed.emotion is not None:
            before = _State(before.at, replace(before.smoothed, emotion=None), at)
            self._states[track] = before
        return before.smoothed

    def _before(self, track: int, at: Instant) -> _State | None:
        """Forget old tracks, and return the state of ``track``."""
        # At every call, so that tracks that never come back do not pile up.
        self._states = {
            number: state
            for number, state in self._states.items()
            if at.seconds_since(state.at) <= self._reset_after_s
        }
        return self._states.get(track)

    def _blend(
        self, old: Expression, new: Expression, seconds: float, *, speaks: bool
    ) -> Expression:
        """Move from ``old`` towards ``new`` by as much as ``seconds`` allow."""
        if self.time_constant_s == 0:
            return new
        time_constant_s = max(self.time_constant_s, SPEECH_S) if speaks else self.time_constant_s
        # The exact step of a first-order low-pass over any gap; a fixed weight per frame would
        # smooth more at low frame rates.
        share = -math.expm1(-max(seconds, 0.0) / time_constant_s)
        pairs = zip(old.probabilities, new.probabilities, strict=True)
        return Expression(tuple(o + share * (n - o) for o, n in pairs))

    def _choose_label(
        self, track: int, expression: Expression, before: _State, at: Instant, *, speaks: bool
    ) -> Smoothed:
        """Return the expression with its label, and store since when the label holds."""
        present = before.smoothed.emotion
        # Within its least time a label stays; the probabilities are blended on.
        if at.seconds_since(before.since) < self._dwell_s:
            smoothed = Smoothed(expression, present)
            self._states[track] = _State(at, smoothed, before.since, before.first)
            return smoothed
        if speaks:
            wanted = self._label_in_speech(expression, present)
        else:
            wanted = label_of(expression, self._threshold(before), present, self._hysteresis)
        # A new label holds from now on; one that stays, since it came.
        since = at
        if wanted is present:
            since = before.since
        smoothed = Smoothed(expression, wanted)
        self._states[track] = _State(at, smoothed, since)
        return smoothed

    def _label_in_speech(self, expression: Expression, present: Emotion | None) -> Emotion | None:
        """Return the label of a speaking face, which stays until another one is clear."""
        wanted = label_of(
            expression, min(COMES_IN_SPEECH, self._uncertain_below), present, self._hysteresis
        )
        if wanted is not None or present is None:
            return wanted
        held = expression.probabilities[EMOTIONS.index(present)]
        return present if held >= min(GOES_IN_SPEECH, self._uncertain_below) else None

    def _threshold(self, before: _State) -> float:
        """Return the probability that a label needs, given the state before."""
        # Threshold and full hysteresis may add up to more than 1, which no probability reaches.
        lead = min(self._hysteresis, (1 - self._uncertain_below) / 2)
        if before.first:
            return self._uncertain_below + lead / 2
        if before.smoothed.emotion is None:
            return self._uncertain_below + lead
        return self._uncertain_below


class StateHolder:
    """Keeps the participant's state (one of ``FACE_STATES``) over frames that miss the face.

    A face that is missed for less than ``no_face_after_s`` keeps its state: detectors miss a face
    for a frame or two, and people reach for their glasses.

    Args:
        no_face_after_s: seconds without the participant's face after which the state is *no face*.

    Example:
        >>> holder = StateHolder()
        >>> holder.update(None, Instant(0, 0))
        'no_face'
    """

    def __init__(self, no_face_after_s: float = 0.5) -> None:
        self._no_face_after_s = no_face_after_s
        self._state = NO_FACE
        self._seen: Instant | None = None

    def update(self, participant: Observation | None, at: Instant) -> str:
        """Take in one frame and return the state.

        Args:
            participant: the participant's face; ``None`` when it is not seen.
            at: when the frame was taken; not before that of the last call.
        """
        if participant is not None:
            self._state = face_state(participant)
            self._seen = at
        elif self._seen is None or at.seconds_since(self._seen) > self._no_face_after_s:
            self._state = NO_FACE
        return self._state


def label_of(
    expression: Expression,
    uncertain_below: float,
    present: Emotion | None = None,
    hysteresis: float = 0.0,
) -> Emotion | None:
    """Return the label of an expression, or ``None`` when no category reaches ``uncertain_below``.

    Args:
        expression: the probabilities.
        uncertain_below: least probability of a label.
        present: the label until now, kept while it reaches ``uncertain_below`` and no other leads
            by ``hysteresis``.
        hysteresis: that lead.
    """
    if expression.confidence < uncertain_below:
        return None
    if present is not None:
        held = expression.probabilities[EMOTIONS.index(present)]
        if held >= uncertain_below and expression.confidence - held < hysteresis:
            return present
    return expression.dominant
