"""The labels that stimuli of a study have, and the questions about them. Quick to load."""

from __future__ import annotations

from collections.abc import Iterable

from dashboard.analysis.query import (
    AnalysisQuery,
    Sample,
    StateBy,
    chosen_sessions,
    same_label,
    usual_states,
)
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


def about_sessions(
    reader: Reader, query: AnalysisQuery, sessions: Iterable[Session]
) -> AnalysisQuery:
    """Return a question with the states that it compares of sessions where it names none itself.

    Raises:
        StoreError: the database cannot be read.
    """
    named = "states" in query.model_fields_set or any(":" in one for one in query.family)
    if named or query.state is not StateBy.CONDITION:
        return query
    states = usual_states(marked_labels(reader, sessions))
    return query if states == query.states else query.model_copy(update={"states": states})


def question_of_export(
    reader: Reader, sessions: tuple[int, ...] | None, query: AnalysisQuery | None = None
) -> AnalysisQuery:
    """Return the question about the sessions that are exported.

    Args:
        reader: of the study.
        sessions: numbers of those that are chosen; ``None``: all that were measured.
        query: what is asked; ``None``: the usual question.

    Raises:
        StatisticsError: a session is chosen that does not exist.
        StoreError: the database cannot be read.
    """
    sample = Sample.MEASURED if sessions is None else Sample.SELECTED
    exported = chosen_sessions(reader.session_list(), sample, sessions or ())
    return about_sessions(reader, query or AnalysisQuery(), exported)
