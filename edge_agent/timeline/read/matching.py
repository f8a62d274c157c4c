"""Match vital readings to the emotion that was observed before them. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_agent.core.expression import EMOTIONS
from edge_agent.core.measures import MEASURES, Measure
from edge_agent.core.process import Later

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]
    Reals = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int32]
else:
    np = Later("numpy")

DEFAULT_LAG_S: Mapping[Measure, float] = {kind: kind.spec.lag_s for kind in MEASURES}
DEFAULT_WINDOW_S = 10.0
DEFAULT_SHARE = 0.6
UNMATCHED = "unmatched"
AMBIGUOUS = "ambiguous"
OBSERVED = (*(emotion.value for emotion in EMOTIONS), AMBIGUOUS, UNMATCHED)
"""The possible results: an emotion, ambiguous (none held the share), unmatched (no face)."""

UNCERTAIN_CATEGORY = len(EMOTIONS)
"""The category of a row whose label was uncertain; the others are places in ``EMOTIONS``."""

_MIXED = 0.2
_AMBIGUOUS = OBSERVED.index(AMBIGUOUS)
_UNMATCHED = OBSERVED.index(UNMATCHED)


@dataclass(frozen=True, slots=True)
class Matching:
    """The parameters by which readings are matched to the emotion observed before them.

    Attributes:
        window_s: length of the window in seconds, above 0.
        lag_s: for each kind how many seconds the body follows the face; kinds left out have the
            default.
        share: the least share of the window's rows that one emotion must hold, above 0 and at most
            1.

    Raises:
        ValueError: a window or share that is not allowed.
    """

    window_s: float = DEFAULT_WINDOW_S
    lag_s: Mapping[Measure, float] = field(default_factory=lambda: DEFAULT_LAG_S)
    share: float = DEFAULT_SHARE

    def __post_init__(self) -> None:
        if self.window_s <= 0 or not 0 < self.share <= 1:
            raise ValueError(
                f"window_s {self.window_s} must be above 0, and share {self.share} "
                "above 0 and at most 1"
            )

    @property
    def window_ms(self) -> int:
        """Length of the window in milliseconds."""
        return round(1000 * self.window_s)

    def lag_ms(self, kind: Measure) -> int:
        """Return by how many milliseconds a kind follows the face."""
        return round(1000 * self.lag_s.get(kind, DEFAULT_LAG_S[kind]))


@dataclass(frozen=True, slots=True)
class Steps:
    """The observed emotion as a step function of time.

    Its value at an instant is the emotion observed in the window that ends there.

    Attributes:
        starts_ms: when each step begins, rising; it lasts to the next one, the last for ever.
        states: what was observed then, an index into ``OBSERVED``; unmatched before the first.
    """

    starts_ms: Integers
    states: Integers

    def at(self, instants_ms: Integers) -> Integers:
        """Return the observed emotions in the windows that end at these instants.

        The values are indexes into ``OBSERVED``.
        """
        if not len(self.starts_ms):
            return np.full(len(instants_ms), _UNMATCHED)
        # The step that began last at or before the instant.
        places = np.searchsorted(self.starts_ms, instants_ms, side="right") - 1
        return np.where(places < 0, _UNMATCHED, self.states[places])

    def later(self, by_ms: int) -> Steps:
        """Return the steps shifted later by a lag.

        They apply to a kind of reading that follows the face by this lag.
        """
        return Steps(self.starts_ms + by_ms, self.states)


@dataclass(frozen=True, slots=True)
class FaceLabels:
    """The labels of the participant's face in one session, row by row.

    Attributes:
        at_ms: times of the rows, rising.
        categories: label of each row: an index into ``EMOTIONS``, or ``UNCERTAIN_CATEGORY``.
    """

    at_ms: Integers
    categories: Integers

    def steps(self, window_ms: int, share: float) -> Steps:
        """Return the observed emotion as a step function of time.

        The window of an instant t holds its rows in (t − window, t].

        The observed emotion is the one that holds at least ``share`` of them, uncertain rows
        included in the total; see ``dominant``.
        """
        # Rows enter the window when they come and leave it a window later: in between nothing
        # changes.
        # NumPy's ``stable`` merges two runs that are sorted already, which is quick.
        changes = np.sort(np.concatenate([self.at_ms, self.at_ms + window_ms]), kind="stable")
        states = dominant(self._count_rows(changes - window_ms, changes), share)
        # -1 is no state, so that the first step always counts as new.
        new = np.diff(states, prepend=-1) != 0
        return Steps(changes[new], states[new])

    def without(self, stretches: Iterable[tuple[int, int]]) -> FaceLabels:
        """Return the labels without the rows in half-open stretches of time."""
        used = np.ones(len(self.at_ms), dtype=np.bool_)
        edges = np.array(list(stretches), dtype=np.int64).reshape(-1, 2)
        for first, last in np.searchsorted(self.at_ms, edges).tolist():
            used[first:last] = False
        return FaceLabels(self.at_ms[used], self.categories[used])

    def held_in(self, start_ms: int, end_ms: int) -> Integers:
        """Count the rows of each category in [start, end), the uncertain ones last."""
        first, last = np.searchsorted(self.at_ms, (start_ms, end_ms))
        return np.bincount(self.categories[first:last], minlength=UNCERTAIN_CATEGORY + 1)

    def held_before(self, window_ms: int) -> Counts:
        """Count the rows of each category in the windows that end at each row."""
        return self._count_rows(self.at_ms - window_ms, self.at_ms)

    def stretches_ms(self) -> list[int]:
        """Return how long each stretch of one emotion lasted, to the first row of the next."""
        if not len(self.at_ms):
            return []
        new = np.flatnonzero(np.diff(self.categories, prepend=-1) != 0)
        # The last stretch ends with the last row: nobody knows what came after it.
        ends = np.append(self.at_ms[new[1:]], self.at_ms[-1])
        certain = self.categories[new] != UNCERTAIN_CATEGORY
        return [int(length) for length in (ends - self.at_ms[new])[certain]]

    def _count_rows(self, after_ms: Integers, until_ms: Integers) -> Counts:
        """Count for each span (after, until] the rows of each category."""
        # One column more than rows, of zeros: the count before the first row.
        counts = np.zeros((UNCERTAIN_CATEGORY + 1, len(self.at_ms) + 1), dtype=np.int32)
        counts[self.categories, np.arange(1, len(self.at_ms) + 1)] = 1
        np.cumsum(counts, axis=1, out=counts)
        first, last = (
            np.searchsorted(self.at_ms, edge, side="right") for edge in (after_ms, until_ms)
        )
        return counts.take(last, axis=1) - counts.take(first, axis=1)


@dataclass(frozen=True, slots=True)
class Mixture:
    """The number of windows that contain a second emotion beside the observed one.

    Attributes:
        windows: number of windows in which one emotion was observed; one window ends at each row.
        mixed: number of these in which a second emotion holds a fifth of the rows or more.
        stretch_ms: time-weighted median length of the stretches of one emotion; 0 where no emotion
            was seen.
        window_ms: length of a window.
    """

    windows: int
    mixed: int
    stretch_ms: int
    window_ms: int


def mixture(shown: Iterable[FaceLabels], window_ms: int, share: float) -> Mixture:
    """Count the windows of all sessions that contain a second emotion.

    Args:
        shown: what the faces showed, by session.
        window_ms: length of the window.
        share: the least share of the window's rows that one emotion must hold.
    """
    windows = 0
    mixed = 0
    lengths: list[int] = []
    for labels in shown:
        held = labels.held_before(window_ms)
        observed = dominant(held, share) < UNCERTAIN_CATEGORY
        # Uncertain rows are no second emotion.
        many = held[:UNCERTAIN_CATEGORY] >= _MIXED * held.sum(axis=0, dtype=held.dtype)
        windows += int(observed.sum())
        mixed += int((observed & (many.sum(axis=0, dtype=np.int8) > 1)).sum())
        lengths += labels.stretches_ms()
    lengths.sort()
    passed = np.cumsum(lengths)
    # Weighted by time: a plain median would be that of the many short stretches.
    typical = lengths[int(np.searchsorted(passed, passed[-1] / 2))] if lengths else 0
    return Mixture(windows, mixed, typical, window_ms)


def dominant(held: Counts | Integers, share: float) -> Integers:
    """Return the observed emotion of each span from the number of rows of each category.

    No other function decides this.

    Args:
        held: a line for each category, the uncertain rows last; a column for each span of time.
        share: the least share of all rows of a span, uncertain ones counted, that one emotion must
            hold.

    Returns:
        For each span a place in ``OBSERVED``: the emotion; ambiguous where none holds the share, or
        two hold it equally; unmatched where there is no row.
    """
    # In small numbers: sums along so few lines cost most where they are made wide.
    rows = held.sum(axis=0, dtype=held.dtype)
    certain = held[:UNCERTAIN_CATEGORY]
    most = certain.max(axis=0)
    leads = certain == most
    leaders = leads.sum(axis=0, dtype=np.int8)
    # The place of a single leader; several are no winner, whatever their sum says.
    places = np.arange(len(certain), dtype=np.int8)
    leader = (leads * places[:, np.newaxis]).sum(axis=0, dtype=np.int8).astype(np.int64)
    # A quotient, for 0.55 * 20 is more than 11 in binary, and 11 / 20 is 0.55.
    holds = (most / np.maximum(rows, 1) >= share) & (leaders == 1)
    return np.where(rows == 0, _UNMATCHED, np.where(holds, leader, _AMBIGUOUS))
