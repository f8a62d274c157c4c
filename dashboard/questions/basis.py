"""Data that the figures of an answer are made of, and the sentence below them that says so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboard.analysis.query import Sample, SampleQuery, chosen_sessions
from dashboard.languages.figures import period
from dashboard.languages.macros import Macros
from edge_agent.core.clock import utc_at
from edge_agent.core.study import Session
from edge_agent.timeline.read.reader import Reader

_MACROS = Macros(Path(__file__).parent)


def faces_read_by(reader: Reader, *spans: tuple[int, int]) -> tuple[str, ...]:
    """Name the models that classified faces within ranges, for the caption of a figure."""
    models = reader.models_in(spans)
    return tuple(dict.fromkeys(f"{name} {version}" for name, version, _ in models))


def read_by_text(models: Sequence[str]) -> str:
    """Say which models read the faces."""
    return _MACROS.say("basis", "read_by", models)


def simulated_text(sessions: Sequence[Session]) -> str:
    """Say in the caption of a figure how much of it is simulated, where something is."""
    return _MACROS.say("basis", "simulated", sum(one.simulated for one in sessions), len(sessions))


@dataclass(frozen=True, slots=True)
class Basis:
    """The data that a figure is made of.

    Attributes:
        sessions: that are in it.
        people: how many are in it.
        is_example: whether they are those of the example study.
        simulated: whether any value is simulated.
        of_faces: whether faces were read for it.
    """

    sessions: Sequence[Session]
    people: int
    is_example: bool
    simulated: bool
    of_faces: bool


def basis_in(
    reader: Reader,
    sample: Sample,
    question: SampleQuery,
    people: Collection[str],
    simulated: bool,
    *,
    of_faces: bool,
) -> Basis:
    """Return what the figures of an answer about some people are made of."""
    chosen = chosen_sessions(reader.session_list(), sample, question.session)
    own = [
        one
        for one in chosen
        if one.participant in people and one.left_out != "whole" and not one.has_made_up_times
    ]
    return Basis(own, len(people), sample is Sample.EXAMPLE, simulated, of_faces)


def figure_source(reader: Reader, basis: Basis) -> str:
    """Say below a figure that is taken from a page whose the data are, from when, and who read the
    faces.
    """
    own = basis.sessions
    if not own:
        return ""
    first = min(one.start_ms for one in own)
    last = max(one.start_ms if one.end_ms is None else one.end_ms for one in own)
    text = _MACROS.say("basis", "source", basis, period(utc_at(first), utc_at(last)))
    if basis.simulated:
        text += " " + simulated_text(own)
    models = faces_read_by(reader, (first, last)) if basis.of_faces else ()
    if models:
        text += " " + read_by_text(models)
    return text
