"""Which emotion was observed before a vital reading. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_agent.domain import Emotion, VitalKind
from edge_agent.store.results import MatchCounts, StateReading

# Heart rate follows an expression by seconds; a cuff has inflated for most of a minute before it gives its value.
DEFAULT_LAG_S: Mapping[VitalKind, float] = {
    VitalKind.HEART_RATE: 5.0,
    VitalKind.RR_INTERVAL: 5.0,
    VitalKind.SYSTOLIC: 45.0,
    VitalKind.DIASTOLIC: 45.0,
    VitalKind.MEAN_ARTERIAL: 45.0,
}
DEFAULT_WINDOW_S = 10.0
DEFAULT_SHARE = 0.6
UNMATCHED = "unmatched"
AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Labels:
    """The smoothed labels of the primary face in one session: times in rising order, and the label at each."""

    at_ms: Sequence[int]
    emotions: Sequence[Emotion | None]


def match_observed(
    readings: Sequence[StateReading],
    labels: Mapping[int, Labels],
    *,
    window_s: float,
    lag_s: Mapping[VitalKind, float],
    share: float,
) -> tuple[list[StateReading], MatchCounts]:
    """Give each reading the emotion that was observed before it.

    The rows of the reading's own session in (t − lag − window, t − lag] are looked at; the emotion that holds at least
    ``share`` of them, uncertain ones counted, becomes the state. Two emotions that hold it equally are ambiguous.

    Args:
        readings: readings whose state is not known yet.
        labels: for each session its labels.
        window_s: length of the window in seconds.
        lag_s: for each kind how many seconds the body follows the face.
        share: the least share of rows, above 0 and at most 1.

    Returns:
        The matched readings in the order given, and how many were matched and not.
    """
    matched: list[StateReading] = []
    unmatched = ambiguous = 0
    for reading in readings:
        found = observed_before(
            labels.get(reading.session), reading.at_ms, reading.kind, window_s=window_s, lag_s=lag_s, share=share
        )
        if found == UNMATCHED:
            unmatched += 1
        elif found == AMBIGUOUS:
            ambiguous += 1
        else:
            matched.append(replace(reading, state=found))
    return matched, MatchCounts(len(matched), unmatched, ambiguous)


def observed_before(
    labels: Labels | None,
    at_ms: int,
    kind: VitalKind,
    *,
    window_s: float = DEFAULT_WINDOW_S,
    lag_s: Mapping[VitalKind, float] = DEFAULT_LAG_S,
    share: float = DEFAULT_SHARE,
) -> str:
    """Return the name of the emotion that was observed before one reading, ``unmatched`` or ``ambiguous``.

    Unmatched: no face was read in the window. Ambiguous: faces were there, but no category holds the share needed, or
    two hold it equally. The one place that decides; arguments as in ``match_observed``.
    """
    until = at_ms - round(lag_s.get(kind, DEFAULT_LAG_S[kind]) * 1000)
    in_window = _between(labels, until - round(window_s * 1000), until)
    if not in_window:
        return UNMATCHED
    state = _dominant(in_window, share)
    return AMBIGUOUS if state is None else state.value


def _between(labels: Labels | None, after: int, until: int) -> Sequence[Emotion | None]:
    """Return the labels at times in (after, until]."""
    if labels is None:
        return ()
    return labels.emotions[bisect_right(labels.at_ms, after) : bisect_right(labels.at_ms, until)]


def _dominant(emotions: Sequence[Emotion | None], share: float) -> Emotion | None:
    """Return the one emotion that holds at least ``share`` of the rows."""
    first = emotions[0]
    if first is not None and emotions.count(first) == len(emotions):  # most windows hold one emotion; this is quick
        return first
    counted = Counter(e for e in emotions if e is not None).most_common(2)
    # A quotient, for 0.55 * 20 is more than 11 in binary, and 11 / 20 is 0.55.
    if not counted or counted[0][1] / len(emotions) < share:
        return None
    if len(counted) == 2 and counted[0][1] == counted[1][1]:
        return None
    return counted[0][0]
