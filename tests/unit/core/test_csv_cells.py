"""A cell is no formula, and leads back to the text that was recorded."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.csv_cells import SIGNS, cell, strip_guard, table_text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("\r=x", '"\'\r=x"'),
        ("'quoted'", "''quoted'"),
        ("＠SUM(A1)", "'＠SUM(A1)"),
        ('say "no", please', '"say ""no"", please"'),
        ("plain", "plain"),
        (None, ""),
    ],
)
def test_no_text_is_a_formula(text: str | None, written: str) -> None:
    assert cell(text) == written


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_csv_cell_leads_back_to_the_recorded_text(text: str) -> None:
    ((read,),) = csv.reader(io.StringIO(cell(text) + "\n", newline=""))
    assert strip_guard(read) == text
    assert read[0] not in SIGNS - {"'"}


@pytest.mark.parametrize("text", ["'s avonds", "'", "", "'quoted'", "plain"])
def test_apostrophe_that_protects_nothing_belongs_to_the_text(text: str) -> None:
    assert strip_guard(text) == text


def test_table_text_protects_texts_and_leaves_numbers() -> None:
    text = table_text(("label", "value"), [("+1", -1.5), ("a, b", None), ("", 3)])
    assert text == 'label,value\n\'+1,-1.5\n"a, b",\n,3\n'
