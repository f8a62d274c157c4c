"""The words of an analysis, as macros in the folder ``texts``, a file a subject."""

from __future__ import annotations

from pathlib import Path

from dashboard.analysis.query import DEFAULT_BOUND, DOUBTS, MEASURE_UNITS, AnalysisQuery
from dashboard.analysis.rendering import numbers
from dashboard.statistics import ALPHA, MINIMUM, MINIMUM_S
from edge_agent.timeline.read.measured import FACE

TEXTS = Path(__file__).parent / "texts"
_NAMES: dict[str, object] = {
    "ALPHA": ALPHA,
    "DEFAULT_BOUND": DEFAULT_BOUND,
    "LARGE_FACTOR": numbers.LARGE_FACTOR,
    "DOUBTS": DOUBTS,
    "FACE": FACE,
    "MINIMUM": MINIMUM,
    "MEASURE_UNITS": MEASURE_UNITS,
    "MINIMUM_S": MINIMUM_S,
    "common_order": numbers.later("notices", "common_order"),
    "differing": numbers.later("notices", "differing"),
    "uneven_in_people": numbers.later("notices", "uneven_people"),
    "uneven_in_readings": numbers.later("notices", "uneven_readings"),
    "why_model_differs": numbers.later("decision", "why_model_differs"),
    "bounds": numbers.bounds_text,
}
_MACROS = numbers.macros_of(TEXTS, **_NAMES)
say = _MACROS.say
sentences = _MACROS.sentences


def declared_method(query: AnalysisQuery) -> tuple[str, ...]:
    """Return what a question declares, in the sentences of the method, before there are numbers."""
    return sentences("method", "declared", query)
