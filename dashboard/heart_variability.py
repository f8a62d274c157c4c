"""Heart-rate variability of each participant in each state, from the readings of intervals between beats. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dashboard.states import STATES, state_of
from dashboard.statistics import ArtefactError, HeartVariability, TooShortError, heart_variability
from edge_agent.domain import Emotion, VitalFlag, VitalKind
from edge_agent.store.results import StateReading

BREAK_S = 3.0
"""Seconds without an interval after which a beat counts as missing.

A strap speaks every second, and no interval that is taken for a beat is longer than two.
"""


@dataclass(frozen=True, slots=True)
class StateVariability:
    """One participant's heart-rate variability in one state.

    Attributes:
        participant: pseudonymous code.
        state: anger, happiness or neutral.
        variability: the measures; ``None`` where there are too few intervals or too many artefacts.
        reason: why there are none; empty where there are.
        contact_lost: intervals that the sensor itself said were without contact; left out before anything else.
        simulated: whether any interval is simulated.
    """

    participant: str
    state: Emotion
    variability: HeartVariability | None
    reason: str
    contact_lost: int
    simulated: bool


def variability_by_state(readings: Iterable[StateReading]) -> tuple[StateVariability, ...]:
    """Compute the variability of every participant in every state, sessions taken together.

    Readings of other kinds and of states that no test uses are passed over. The intervals of one participant and state
    are cut into runs where the session changes, contact was lost, or more than three seconds pass.

    Args:
        readings: in order of session and time, as the reader gives them.

    Raises:
        StatisticsError: a value is not finite.
    """
    grouped: defaultdict[tuple[str, Emotion], list[StateReading]] = defaultdict(list)
    for reading in readings:
        state = state_of(reading.state)
        if reading.kind is VitalKind.RR_INTERVAL and state is not None:
            grouped[reading.participant, state].append(reading)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][0], STATES.index(item[0][1])))
    return tuple(_variability(code, state, group) for (code, state), group in ordered)


def _variability(code: str, state: Emotion, group: Sequence[StateReading]) -> StateVariability:
    lost = sum(VitalFlag.CONTACT_LOST in reading.flags for reading in group)
    simulated = any(reading.simulated for reading in group)
    try:
        found = heart_variability(_runs(group))
    except (TooShortError, ArtefactError) as error:
        return StateVariability(code, state, None, str(error), lost, simulated)
    return StateVariability(code, state, found, "", lost, simulated)


def _runs(group: Sequence[StateReading]) -> list[list[float]]:
    """Cut the intervals of one participant and state where a beat may be missing."""
    runs: list[list[float]] = [[]]
    for before, reading in pairwise([None, *group]):
        assert reading is not None, "only the place before the first is empty"
        if before is None or _is_break(before, reading):
            runs.append([])
        if VitalFlag.CONTACT_LOST not in reading.flags:
            runs[-1].append(reading.value)
    return [run for run in runs if run]


def _is_break(before: StateReading, reading: StateReading) -> bool:
    return (
        before.session != reading.session
        or VitalFlag.CONTACT_LOST in before.flags
        or reading.at_ms - before.at_ms > 1000 * BREAK_S
    )
