"""Tables for a terminal."""

from __future__ import annotations

from affect_edge.options import table_lines
from edge_agent.core.columns import aligned


def test_columns_of_numbers_stand_to_the_right_of_a_width_that_fits_all() -> None:
    rows = [("state", "n", "test"), ("neutral", "12", "t"), ("anger", "7", "")]
    assert aligned(rows, {1}) == ["state     n  test", "neutral  12  t", "anger     7"]


def test_table_of_values_sets_only_columns_of_plain_numbers_to_the_right() -> None:
    rows = [(1, "a", 1), (None, "b\nc", "odd"), (12.5, b"\x00", None)]
    assert table_lines(("number", "text", "both"), rows) == [
        "number  text  both",
        "------  ----  ----",
        "     1  a     1",
        "        b c   odd",
        "  12.5  00",
    ]


def test_table_without_rows_has_its_heads() -> None:
    assert table_lines(("id", "at"), []) == ["id  at", "--  --"]
