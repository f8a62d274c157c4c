"""The labels that stimuli of a study have, and the question about them. Quick to load."""

from __future__ import annotations

from collections.abc import Iterable

from dashboard.analysis.query import MOST_STATES, AnalysisQuery, Sample, chosen_sessions, same_label
from edge_agent.core.study import Session
from edge_agent.timeline.read.reader import Reader


def marked_labels(reader: Reader, sessions: Iterable[Session]) -> list[str]:
    """Return the labels of the stimuli of sessions, in order of their first, without baselines.

    A baseline is there to be taken away, not to be compared.
    """
    stimuli = reader.stimuli([one.id for one in sessions])
    labels: dict[str, str] = {}
    for one in sorted(stimuli, key=lambda stimulus: stimulus.start_ms):
        labels.setdefault(same_label(one.condition), one.condition)
    labels.pop("baseline", None)
    return list(labels.values())


def question_of_export(reader: Reader, sessions: tuple[int, ...] | None) -> AnalysisQuery:
    """Return the usual question about the sessions that are exported.

    Args:
        reader: of the study.
        sessions: numbers of those that are chosen; ``None``: all that were measured.

    Raises:
        StatisticsError: a session is chosen that does not exist.
        StoreError: the database cannot be read.
    """
    sample = Sample.MEASURED if sessions is None else Sample.SELECTED
    exported = chosen_sessions(reader.session_list(), sample, sessions or ())
    return usual_question(marked_labels(reader, exported))


def usual_question(labels: list[str]) -> AnalysisQuery:
    """Return the question that nobody asked: about the usual states, or the first labels where none
    of the usual is among them.
    """
    usual = AnalysisQuery()
    if len(labels) < 2 or any(usual.state_of(label) is not None for label in labels):
        return usual
    return AnalysisQuery(states=tuple(labels[:MOST_STATES]))
