"""Heart-rate variability of each participant in each state, from the readings of intervals between
beats. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from dashboard.analysis.states import TESTED_STATES, tested_state
from dashboard.statistics import ArtefactError, HeartVariability, TooShortError, heart_variability
from dashboard.statistics.distributions import Values
from edge_agent.core.readings import VitalFlag
from edge_agent.core.texts import text_of
from edge_agent.store.read.beats import Beats

BREAK_S = 3.0
"""Seconds without an interval after which a beat counts as missing.

A strap speaks every second, and no interval that is taken for a beat is longer than two.
"""

LATE = 0.5
"""Share of an interval by which its end may be later than the end before and the interval itself
say, before a beat counts as missing.
"""

_PACKETS = 10
"""Intervals on each side whose least delay tells how late a source is."""


@dataclass(frozen=True, slots=True)
class StateVariability:
    """One participant's heart-rate variability in one state.

    Attributes:
        participant: pseudonymous code.
        state: one of those that are compared.
        variability: the measures; ``None`` where there are too few intervals or too many artefacts.
        reason: why there are none; empty where there are.
        contact_lost: intervals that the sensor itself said were without contact; left out before
            anything else.
        simulated: whether any interval is simulated.
        many_artefacts: whether there are no measures because too many beats were corrected.
    """

    participant: str
    state: str
    variability: HeartVariability | None
    reason: str
    contact_lost: int
    simulated: bool
    many_artefacts: bool = False


def variability_by_state(
    parts: Iterable[Beats], states: tuple[str, ...] = TESTED_STATES
) -> tuple[StateVariability, ...]:
    """Compute the variability of every participant in every state, sessions taken together.

    States that no test uses are passed over. The intervals of one participant and state are cut
    into runs where a part ends, contact was lost, or a beat is missing: more than three seconds
    pass, or more than the interval lasted.

    Args:
        parts: intervals between beats, each an unbroken time of one state.
        states: those that are compared.

    Raises:
        StatisticsError: a value is not finite.
    """
    grouped: defaultdict[tuple[str, str], list[Beats]] = defaultdict(list)
    for part in parts:
        state = tested_state(part.state, states)
        if state is not None and len(part.at_ms):
            grouped[part.participant, state].append(part)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][0], states.index(item[0][1])))
    return tuple(_variability(code, state, group) for (code, state), group in ordered)


def _variability(code: str, state: str, group: Sequence[Beats]) -> StateVariability:
    lost = np.concatenate([part.flagged(VitalFlag.CONTACT_LOST) for part in group])
    simulated = any(part.simulated for part in group)
    try:
        variability = heart_variability(runs_of(group, lost))
    except (TooShortError, ArtefactError) as error:
        many = isinstance(error, ArtefactError)
        return StateVariability(code, state, None, text_of(error), int(lost.sum()), simulated, many)
    return StateVariability(code, state, variability, "", int(lost.sum()), simulated)


def runs_of(group: Sequence[Beats], lost: npt.NDArray[np.bool_] | None = None) -> list[Values]:
    """Cut the intervals of one participant and state where a beat may be missing.

    Args:
        group: times of one state.
        lost: which intervals were without contact; ``None``: by their flags.
    """
    if lost is None:
        lost = np.concatenate([one.flagged(VitalFlag.CONTACT_LOST) for one in group])
    values = np.concatenate([part.values for part in group])
    at = np.concatenate([part.at_ms for part in group])
    part = np.repeat(np.arange(len(group)), [len(one.at_ms) for one in group])
    late = np.concatenate([_comes_late(one) for one in group])[1:]
    breaks = (np.diff(part) != 0) | (np.diff(at) > 1000 * BREAK_S) | late | lost[:-1] | lost[1:]
    cuts = np.flatnonzero(breaks) + 1
    first = [0, *cuts.tolist()]  # an interval without contact is a run of its own
    return [
        run for run, start in zip(np.split(values, cuts), first, strict=True) if not lost[start]
    ]


def _comes_late(beats: Beats) -> npt.NDArray[np.bool_]:
    """Tell of each interval whether a beat is missing before it.

    A strap's packet carries the time at which it came: its beats seem late by up to a second, and
    the next ones are not. A missing beat makes all that follow late.
    """
    seconds = beats.at_ms / 1000
    late = seconds - np.cumsum(beats.values)
    padded = np.concatenate([np.full(_PACKETS, np.inf), late, np.full(_PACKETS - 1, np.inf)])
    least = sliding_window_view(padded, _PACKETS).min(axis=1)
    before = least[: len(late)]
    after = least[_PACKETS:]
    allowed = LATE * beats.values
    own = np.diff(late, prepend=late[0])
    is_late: npt.NDArray[np.bool_] = (own > allowed) & (after - before > allowed)
    return is_late
