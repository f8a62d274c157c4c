"""What a participant can be asked about themselves."""

from __future__ import annotations

from enum import StrEnum

from edge_agent.core.expression import EMOTIONS
from edge_agent.store.database.tables import NONE_OF_THESE

FELT = (*(emotion.value for emotion in EMOTIONS), NONE_OF_THESE)
"""The answers to which emotion was felt."""


class Scale(StrEnum):
    """What a participant is asked about themselves.

    Valence and arousal have nine points, as the Self-Assessment Manikin (Bradley & Lang 1994,
    Journal of Behavior Therapy and Experimental Psychiatry 25:49–59); ``emotion`` offers the eight
    categories and "none of these".
    """

    VALENCE = "valence"
    AROUSAL = "arousal"
    EMOTION = "emotion"
