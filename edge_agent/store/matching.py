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
        until = reading.at_ms - round(lag_s.get(reading.kind, DEFAULT_LAG_S[reading.kind]) * 1000)
        in_window = _between(labels.get(reading.session), until - round(window_s * 1000), until)
        if not in_window:
            unmatched += 1
            continue
        state = _dominant(in_window, share)
        if state is None:
            ambiguous += 1
        else:
            matched.append(replace(reading, state=state.value))
    return matched, MatchCounts(len(matched), unmatched, ambiguous)


def _between(labels: Labels | None, after: int, until: int) -> Sequence[Emotion | None]:
    """Return the labels at times in (after, until]."""
    if labels is None:
        return ()
    return labels.emotions[bisect_right(labels.at_ms, after) : bisect_right(labels.at_ms, until)]


def _dominant(emotions: Sequence[Emotion | None], share: float) -> Emotion | None:
    """Return the one emotion that holds at least ``share`` of the rows."""
    counted = Counter(e for e in emotions if e is not None).most_common(2)
    if not counted or counted[0][1] < share * len(emotions):
        return None
    if len(counted) == 2 and counted[0][1] == counted[1][1]:
        return None
    return counted[0][0]
