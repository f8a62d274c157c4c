"""The words of an analysis, as macros in the folder ``texts``, a file a subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dashboard.analysis import notices
from dashboard.analysis.decision import why_model_differs
from dashboard.analysis.question import DOUBTS, MEASURE_UNITS
from dashboard.analysis.rendering import numbers
from dashboard.languages.macros import Macros
from dashboard.statistics import ALPHA, MINIMUM
from dashboard.statistics.heart import MINIMUM_S
from edge_agent.core.measures import measure_of
from edge_agent.store.read.measured import FACE

TEXTS = Path(__file__).parent / "texts"


_NAMES = {
    "ALPHA": ALPHA,
    "LARGE_FACTOR": numbers.LARGE_FACTOR,
    "DOUBTS": DOUBTS,
    "FACE": FACE,
    "MINIMUM": MINIMUM,
    "MEASURE_UNITS": MEASURE_UNITS,
    "MINIMUM_S": MINIMUM_S,
    "common_order": notices.common_order,
    "differing": notices.differing,
    "uneven_in_people": notices.uneven_people,
    "uneven_in_readings": notices.uneven_readings,
    "pair": numbers.pair_text,
    "why_model_differs": why_model_differs,
    "bounds": numbers.bounds_text,
    "lags": numbers.lags_text,
    "settling": numbers.settling_text,
}
_FILTERS: dict[str, Callable[..., object]] = {
    "brackets": numbers.brackets,
    "conclusion": numbers.conclusion_name,
    "correction": numbers.correction_name,
    "ends": numbers.ends_text,
    "factor": numbers.factor_text,
    "flag": numbers.flag_name,
    "how_many": numbers.how_many,
    "measure": measure_of,
    "measure_name": numbers.measure_name,
    "ratio": numbers.ratio,
    "shift": numbers.shift_text,
    "since_start": numbers.since_start,
    "source": numbers.source_name,
    "spans": numbers.spans_text,
    "states": numbers.states_text,
}
_MACROS = Macros(TEXTS, filters=_FILTERS, names=_NAMES)
say = _MACROS.say
sentences = _MACROS.sentences


def macros_of(*folders: Path) -> Macros:
    """Return the macros of folders, which may import those of an analysis."""
    return Macros(*folders, TEXTS, filters=_FILTERS, names=_NAMES)
