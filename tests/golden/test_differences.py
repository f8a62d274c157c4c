"""What the comparison of two shapes calls broken, what an addition, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.golden.differences import differences
from tests.golden.shapes import value_shape

OLD: dict[str, Any] = {
    "GET /a": {"request": {"query day?": "text"}, "answers": {"n": "integer"}},
    "columns": ["at", "kind", "value"],
    "none": [],
}


def changed(**values: Any) -> dict[str, Any]:
    return OLD | values


def asked(**fields: str) -> dict[str, Any]:
    request = {f"query {name}": shape for name, shape in fields.items()}
    answers = {"n": "integer"}
    return {"GET /a": {"request": {"query day?": "text"} | request, "answers": answers}}


@pytest.mark.parametrize(
    ("present", "line"),
    [
        (changed(columns=["at", "kind"]), "- columns › value"),
        (
            changed(columns=["at", "value", "kind"]),
            "! columns: another order: at, value, kind; it was: at, kind, value",
        ),
        ({"columns": OLD["columns"], "none": []}, "- GET /a, with 2 entries"),
        (OLD | asked(zone="text"), "+ GET /a › request › query zone: text"),
        ({"GET /a": {"answers": {"n": "text"}}}, "! GET /a › answers › n: text; it was: integer"),
    ],
)
def test_difference_that_others_rely_on_is_reported_as_broken(
    present: dict[str, Any], line: str
) -> None:
    assert line in differences(OLD, present).broken


@pytest.mark.parametrize(
    ("present", "line"),
    [
        (changed(columns=["at", "unit", "kind", "value"]), "+ columns › unit"),
        (changed(none=["one"]), "+ none › one"),
        (OLD | asked(**{"zone?": "text"}), "+ GET /a › request › query zone?: text"),
        (changed(**{"GET /b": {"request": {"body": "text"}}}), "+ GET /b › request › body: text"),
    ],
)
def test_difference_that_breaks_nobody_is_reported_as_added(
    present: dict[str, Any], line: str
) -> None:
    found = differences(OLD, present)
    assert (found.broken, found.added) == ((), (line,))


def test_a_list_has_the_shape_that_all_of_its_elements_fit() -> None:
    rows = [{"at": 1, "who": None}, {"at": 1, "who": {"name": "P"}, "note": "x"}]
    fields = {"at": "integer", "who": {"any of": ["null", {"name": "text"}]}, "note?": "text"}
    assert value_shape(rows) == [fields]
