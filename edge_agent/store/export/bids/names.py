"""How participants, sessions, tables and columns are called in a BIDS data set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from edge_agent.core.attributes import AGE_BAND, AGE_BANDS, MEDICATION, SEX, SEXES
from edge_agent.store.export.rows.columns import FILES, Column

PROGRAM = "Affect Edge"
"""What ``GeneratedBy`` of a data set says where it is ours."""
TASK = "affect"
NOT_AVAILABLE = "n/a"
MODELS = "Models"
"""The key under which the table of expressions tells the models that were used."""
BEH_TABLES = {
    "expression": "expression",
    "unfit": "unfit",
    "vital": "vital",
    "gap": "gap",
    "self_report": "selfreport",
}
"""The tables of the timeline that stand below ``beh``, and the label of ``acq-`` of each."""
RESAMPLED = "resampled"

# The time is told by onset, the person by the folder, and what is derived is derived again.
_TOLD_OTHERWISE = {"at", "at_ms", "start_at", "start_ms", "end_at", "end_ms", "session"}
_TOLD_OTHERWISE |= {"participant", "observed"}
_ATTRIBUTES: Mapping[str, tuple[str, None, tuple[str, ...]]] = {
    AGE_BAND: ("Age in years, as a band", None, AGE_BANDS),
    SEX: ("Sex as the participant told it", None, SEXES),
    MEDICATION: ("Medication as the participant told it", None, ()),
}
_DERIVED_CONDITION = {"expression", "unfit", "vital"}


def beh_columns(table: str) -> tuple[Column, ...]:
    """Return the columns of a table below ``beh`` that follow onset (of a gap: and duration)."""
    left_out = _TOLD_OTHERWISE | ({"condition"} if table in _DERIVED_CONDITION else set())
    return tuple(column for column in FILES[table] if column.name not in left_out)


def attribute_column(name: str) -> Column:
    """Return the column of an attribute in the table of participants."""
    about = _ATTRIBUTES.get(name)
    if about is not None:
        return Column(name, "string", *about)
    return Column(name, "string", "Field of the study's own, as the experimenter called it")


def subject_labels(codes: Iterable[str]) -> dict[str, str]:
    """Return the label of each participant's code: letters and digits only, and each once.

    Example:
        >>> subject_labels(["P-1", "P1"])
        {'P-1': 'P1', 'P1': 'P1x2'}
    """
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for code in codes:
        plain = re.sub(r"[^A-Za-z0-9]", "", code)
        label = plain
        number = 1
        while label.casefold() in taken:
            number = number + 1
            label = f"{plain}x{number}"
        taken.add(label.casefold())
        labels[code] = label
    return labels


def seconds(milliseconds: int) -> str:
    """Return milliseconds as seconds with all their digits."""
    sign = "-" if milliseconds < 0 else ""
    whole, rest = divmod(abs(milliseconds), 1000)
    return f"{sign}{whole}.{rest:03d}"
