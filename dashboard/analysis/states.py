"""What is compared: three states, pairs of them, vital signs, and by which design.

Pure and quick to load.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind

TESTED_STATES = (Emotion.NEUTRAL, Emotion.HAPPINESS, Emotion.ANGER)
PAIRS = (
    (Emotion.ANGER, Emotion.NEUTRAL),
    (Emotion.HAPPINESS, Emotion.NEUTRAL),
    (Emotion.ANGER, Emotion.HAPPINESS),
)
VITALS = tuple(kind for kind in VitalKind if kind.spec.tested_by_default)
"""What is tested where nothing else is asked."""


class Design(StrEnum):
    """Which participants are compared."""

    AUTO = "auto"
    PAIRED = "paired"
    INDEPENDENT = "independent"


@lru_cache(maxsize=256)
def tested_state(label: str) -> Emotion | None:
    """Return which of the three states a label names, whatever its case, or ``None``."""
    name = label.strip().casefold()
    return next((state for state in TESTED_STATES if state.value == name), None)
