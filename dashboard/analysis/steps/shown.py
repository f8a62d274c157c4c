"""Sums of what the faces in the stimuli showed, and the question of a check of the stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashboard.analysis.choices import settlings_of
from dashboard.analysis.query import AnalysisQuery, Outcome, StateBy, same_label
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.measures import ExpressionKind, probability_of
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.stimuli import PieceSums, SessionStimulus

if TYPE_CHECKING:
    from edge_agent.timeline.read.matching import Integers

OWN = "own"
"""Stands, in a check of the stimuli, for the one that is called after the measure's emotion."""


def question_of_check(
    query: AnalysisQuery, stimuli: Sequence[SessionStimulus]
) -> AnalysisQuery | None:
    """Return what the check of the stimuli asks; ``None`` by other states than conditions, or
    where no stimulus is called after an emotion, or none neutral.
    """
    labels = {same_label(one.condition) for one in stimuli}
    emotions = [one for one in EMOTIONS if one in labels and one is not Emotion.NEUTRAL]
    if query.state is not StateBy.CONDITION or not emotions or Emotion.NEUTRAL not in labels:
        return None
    return query.model_copy(
        update={
            "vital": tuple(probability_of(one) for one in emotions),
            "states": (Emotion.NEUTRAL, OWN),
            "family": (),
            "sensitivity": False,
            "outcome": Outcome.LEVEL,
            "settling_other": None,
        }
    )


def read_shown(
    reader: Reader, check: AnalysisQuery | None, stimuli: Sequence[SessionStimulus]
) -> tuple[PieceSums, Integers]:
    """Return what the faces in the stimuli showed, with the sums that a check of them asks for.

    Raises:
        StoreError: the database cannot be read.
    """
    if check is None:
        return reader.shown_sums(stimuli)
    kinds = [kind for kind in check.vital if isinstance(kind, ExpressionKind)]
    (choice,) = settlings_of(check)
    return reader.shown_sums(stimuli, kinds, {choice.settling_ms(kind) for kind in kinds})
