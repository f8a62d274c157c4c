"""What is compared: which states, pairs of them, vital signs, and by which design.

Pure and quick to load.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache

from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind

TESTED_STATES: tuple[str, ...] = (Emotion.NEUTRAL, Emotion.HAPPINESS, Emotion.ANGER)
"""What is compared where nothing else is asked; the others are compared with the first."""

MOST_STATES = 6
"""Six states are fifteen pairs of each vital: more would adjust every effect away."""
VITALS = tuple(kind for kind in VitalKind if kind.spec.tested_by_default)
"""What is tested where nothing else is asked."""


class Design(StrEnum):
    """Which participants are compared."""

    AUTO = "auto"
    PAIRED = "paired"
    INDEPENDENT = "independent"


def pairs_of(states: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return each pair of states, later minus earlier, those with the first state first."""
    return tuple(
        (states[later], states[earlier])
        for earlier in range(len(states))
        for later in range(len(states) - 1, earlier, -1)
    )


PAIRS = pairs_of(TESTED_STATES)


def emotions_of(states: Iterable[str]) -> tuple[str, ...]:
    """Return those of the states that a face can show and a person can report."""
    return tuple(state for state in states if state in tuple(Emotion))


def same_label(label: str) -> str:
    """Return a label as labels are compared: whatever its case, and without space around it."""
    return label.strip().casefold()


@lru_cache(maxsize=1024)
def tested_state(label: str, states: tuple[str, ...]) -> str | None:
    """Return which of the states a label names, whatever its case, or ``None``."""
    name = same_label(label)
    return next((state for state in states if same_label(state) == name), None)
