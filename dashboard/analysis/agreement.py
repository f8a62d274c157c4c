"""How far three sources agree about each stimulus: its label, the face, and the participant.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dashboard.analysis.states import TESTED_STATES, tested_state
from dashboard.statistics import Agreement, Judgement, NoVariationError, TooFewError, cohens_kappa
from edge_agent.store.read.stimuli import Stimulus


class Source(StrEnum):
    """Who says what emotion belongs to a stimulus."""

    CONDITION = "condition"
    OBSERVED = "observed"
    REPORTED = "reported"


_PAIRS = (
    (Source.CONDITION, Source.OBSERVED),
    (Source.CONDITION, Source.REPORTED),
    (Source.OBSERVED, Source.REPORTED),
)


@dataclass(frozen=True, slots=True)
class SourceAgreement:
    """How far two sources agree; one judgement is one stimulus of one participant.

    Attributes:
        first: gives the rows of the table.
        second: gives the columns.
        agreement: table and kappa; ``None`` where no stimulus has both, or both always said the
            same one thing.
        left_out: stimuli called by one of the states of which one of the two said nothing:
            no face, no emotion that held the share, no report.
    """

    first: Source
    second: Source
    agreement: Agreement | None
    left_out: int


def compare_sources(
    stimuli: Sequence[Stimulus],
    shown: Sequence[str | None],
    states: tuple[str, ...] = TESTED_STATES,
) -> tuple[SourceAgreement, ...]:
    """Compare label, face and self-report of the stimuli called by one of the states, each with
    each.

    Args:
        stimuli: all of them; others are passed over.
        shown: for each the emotion that the face showed, empty for none and ``None`` for no face.
        states: those that are compared; a face shows none that is not an emotion.
    """
    stimulus_labels = [
        (
            stimulus.participant,
            {
                Source.CONDITION: str(label),
                Source.OBSERVED: face,
                Source.REPORTED: stimulus.reported,
            },
        )
        for stimulus, face in zip(stimuli, shown, strict=True)
        if (label := tested_state(stimulus.condition, states)) is not None
    ]
    return tuple(_compared(stimulus_labels, first, second, states) for first, second in _PAIRS)


def _compared(
    stimulus_labels: Sequence[tuple[str, dict[Source, str | None]]],
    first: Source,
    second: Source,
    states: Sequence[str],
) -> SourceAgreement:
    both = [
        Judgement(participant, one, other)
        for participant, labels in stimulus_labels
        if (one := labels[first]) and (other := labels[second])
    ]
    left_out = len(stimulus_labels) - len(both)
    try:
        return SourceAgreement(
            first, second, cohens_kappa(both, [str(state) for state in states]), left_out
        )
    except (TooFewError, NoVariationError):
        return SourceAgreement(first, second, None, left_out)
