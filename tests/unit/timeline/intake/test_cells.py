"""Cells of tables of other laboratories: what is taken, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.intake import cells
from edge_agent.timeline.intake.cells import CellError


@pytest.mark.parametrize(
    ("read", "column", "value", "said"),
    [
        (lambda row: cells.needed(row, "code"), "code", "", "is missing"),
        (lambda row: cells.integer(row, "n"), "n", "7.5", "is no whole number"),
        (lambda row: cells.integer(row, "n"), "n", "٧", "is no whole number"),
        (lambda row: cells.bounded(row, "n", 0, 7), "n", "8", "is not between 0 and 7"),
        (lambda row: cells.number(row, "share", 1.0), "share", "-1", "is no number from 0 on"),
        (lambda row: cells.number(row, "share", 1.0), "share", "nan", "is no number from 0 on"),
        (lambda row: cells.boolean(row, "flag"), "flag", "yes", "is neither 0 nor 1"),
        (lambda row: cells.member(VitalKind, row, "kind"), "kind", "pulse", "is not one of"),
        (cells.moment, "at", "yesterday", "is not a time"),
        (lambda row: cells.optional_moment(row, "ended"), "ended", "16:20", "is not a time"),
        (
            lambda row: cells.label(row, "label", "The label", empty_allowed=False),
            "label",
            "",
            "cannot be taken",
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_by_column_and_value(
    read: Callable[[cells.Cells], object], column: str, value: str, said: str
) -> None:
    with pytest.raises(CellError) as refused:
        read({column: value})
    assert column in str(refused.value)
    assert said in str(refused.value)
    assert value in str(refused.value)


def test_probabilities_are_in_per_mille_and_add_up() -> None:
    assert cells.probabilities({"a": "860", "b": "139"}, "ab") == [860, 139], "rounded"
    assert cells.probabilities({"a": "860"}, "ab", [0, 140]) == [860, 140]
    for a, b, said in (
        ("0.86", "0.14", "is no whole number. Probabilities are whole numbers in per mille"),
        ("1", "0", "in a to b, 1 together, are not 1000. Probabilities are whole numbers in per"),
        ("86", "14", "100 together, are not 1000"),
        ("1860", "0", "is not between 0 and 1000. Probabilities"),
    ):
        with pytest.raises(CellError, match=said) as refused:
            cells.probabilities({"a": a, "b": b}, "ab")
        assert refused.value.column == "a"
