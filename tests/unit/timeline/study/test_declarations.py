"""Stretches whose faces are declared to be the participant's afterwards, with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Attribution, Emotion, ExpressionRow
from edge_agent.core.study import DECLARED_FROM, DECLARED_UNTIL, MarkerKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.export.text_formats import CSV
from edge_agent.timeline.read.faces_in_view import UnknownStretch, unknown_stretches
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.declarations import (
    Declaration,
    declarations,
    declare,
    last_declaration,
    take_declaration_back,
)
from edge_agent.timeline.study.marker_changes import correct_marker, marker_changes, remove_marker
from edge_agent.timeline.study.past import PastMarker
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write.inserts import write_expressions
from edge_agent.timeline.write.open_minutes import OpenMinutes
from tests.support.timeline import (
    START_MS,
    Row,
    expression,
    instant,
    query,
    row,
    session_row,
    timeline,
)

SUMS = "SELECT 'minute', at, rows, count_anger FROM expression_minute UNION ALL SELECT 'hour', at, "
SUMS += "rows, count_anger FROM expression_hour ORDER BY 1, 2"


def unknown(second: int) -> Row:
    return row(second, Emotion.ANGER, primary=False, attribution="unknown", track=2)


@pytest.fixture
def path(path: Path) -> Path:
    """A session whose face is not known from 20 s to 40 s, and from 70 s to 75 s."""
    known = [row(at, Emotion.NEUTRAL, attribution="seat") for at in (*range(1, 21), *range(41, 71))]
    other = [unknown(at) for at in (*range(21, 41), *range(71, 76))]
    return timeline(path, session=[session_row(0, 100)], expression=[*known, *other])


def span(first: float, last: float) -> tuple[int, int]:
    return instant(first).wall_ms, instant(last).wall_ms


def seen(path: Path) -> tuple[int, float]:
    """How many rows count as the participant's, and for how long it is not known."""
    reader = Reader(path)
    trend = reader.trend(*span(0, 100), 100)
    view = reader.faces_in_view(reader.session_list())[1]
    return sum(trend.rows), view.not_known_s


def left(path: Path) -> list[UnknownStretch]:
    with Reader(path).connect() as connection:
        return unknown_stretches(connection, *span(0, 100))


def test_declared_stretch_counts_until_it_is_taken_back(path: Path) -> None:
    sums = query(path, SUMS)
    assert seen(path) == (50, 25.0)

    made = declare(path, 1, span(20, 40), reason=" she turned away ", actor="ada")

    assert declarations(path, 1) == [Declaration(made.id, 1, *span(20, 40), "she turned away")]
    assert seen(path) == (70, 5.0)
    assert sum(anger for name, _, _, anger in query(path, SUMS) if name == "minute") == 20
    assert query(path, "SELECT count(*) FROM expression WHERE attribution = 'unknown'") == [(25,)]

    take_declaration_back(path, 1, made.id, actor="bob")

    assert (declarations(path, 1), seen(path), query(path, SUMS)) == ([], (50, 25.0), sums)
    gone = [(one.label, one.reason, one.actor) for one in marker_changes(path, 1)]
    assert gone == [
        ("afterwards: she turned away", "taken back", "bob"),
        ("afterwards, until here", "taken back", "bob"),
    ]
    trail = "SELECT actor, action, detail FROM audit WHERE actor IN ('ada', 'bob') ORDER BY id"
    assert query(path, trail) == [
        ("ada", "declare_afterwards", "session 1"),
        ("bob", "declaration_take_back", "session 1"),
    ]


def test_rows_written_after_their_declaration_are_added_and_subtracted(path: Path) -> None:
    sums = query(path, SUMS)
    made = declare(path, 1, span(20, 60), reason="x", actor="ada")
    shown = expression(anger=0.9)
    late = [
        ExpressionRow(
            *(instant(at), 2, 9, shown, shown, Emotion.ANGER, 99.0, 1.0, False),
            attribution=Attribution.UNKNOWN,
        )
        for at in (50.5, 60.5)
    ]
    with write_transaction(path) as connection:
        rows = [(one, None) for one in late]
        write_expressions(connection, rows, 1000, simulated=False, open_minutes=OpenMinutes())
    assert sum(anger for name, _, _, anger in query(path, SUMS) if name == "minute") == 21

    take_declaration_back(path, 1, made.id, actor="bob")

    assert query(path, SUMS) == sums


def test_unknown_stretches_lack_what_was_declared(path: Path) -> None:
    every = [UnknownStretch(*span(20, 40), 1), UnknownStretch(*span(70, 75), 1)]
    assert left(path) == every

    declare(path, 1, span(30, 40), reason="x", actor="ada")

    assert left(path) == [UnknownStretch(*span(20, 30), 1), every[1]]


def test_export_gives_declared_rows_as_they_count(path: Path, tmp_path: Path) -> None:
    declare(path, 1, span(20, 40), reason="she turned away", actor="ada")

    CSV.export(path, tmp_path / "out")

    faces = (tmp_path / "out" / "expression.csv").read_text(encoding="utf-8")
    assert (faces.count(",declared\n"), faces.count(",unknown\n")) == (20, 5)
    markers = (tmp_path / "out" / "marker.csv").read_text(encoding="utf-8")
    assert "declared,afterwards: she turned away\n" in markers


@pytest.mark.parametrize(
    ("stretch", "reason", "problem"),
    [
        ((90, 101), "x", "lies outside session 1"),
        ((40, 30), "x", "does not follow its start"),
        ((20, 30), " ", "Give a reason of 1 to 68 characters"),
        ((20, 30), "x" * 69, "Give a reason of 1 to 68 characters"),
        ((42, 60), "x", "Between 0:42 and 1:00 there is no face that still needs an owner"),
        ((60, 80), "x", "Of session 1, 1:10 to 1:15 is declared already: first"),
    ],
)
def test_refused_declaration_changes_nothing(
    path: Path, stretch: tuple[float, float], reason: str, problem: str
) -> None:
    declare(path, 1, span(70, 75), reason="first", actor="ada")
    with pytest.raises(StudyError, match=problem):
        declare(path, 1, span(*stretch), reason=reason, actor="ada")
    assert [one.reason for one in declarations(path, 1)] == ["first"]


def test_markers_of_a_declaration_are_not_left_out_alone(path: Path) -> None:
    made = declare(path, 1, span(20, 40), reason="x", actor="ada")
    with pytest.raises(StudyError, match="is of a declaration. Take the declaration back"):
        remove_marker(path, 1, made.id + 1, reason="y", actor="ada")
    with pytest.raises(StudyError, match="has no declaration with number 99"):
        take_declaration_back(path, 1, 99, actor="ada")


@pytest.mark.parametrize("label", [DECLARED_UNTIL, f" {DECLARED_FROM}y"])
def test_no_other_marker_is_made_one_of_a_declaration(path: Path, label: str) -> None:
    declare(path, 1, span(20, 40), reason="x", actor="ada")
    timeline(path, marker=[{"session": 1, "at": 30, "kind": "note", "label": "hm"}])
    (number,) = (one[0] for one in query(path, "SELECT id FROM marker WHERE kind = 'note'"))
    wanted = PastMarker(instant(30).wall_ms, MarkerKind.DECLARED, label, 1)
    with pytest.raises(StudyError, match="Leave the name out"):
        correct_marker(path, number, wanted, actor="ada")
    assert [one.end_ms for one in declarations(path, 1)] == [instant(40).wall_ms]


def test_declaration_that_an_import_brought_is_not_taken_back(path: Path) -> None:
    made = declare(path, 1, span(20, 40), reason="x", actor="ada")
    with write_transaction(path) as connection:
        connection.execute("UPDATE marker SET import = 1")

    with pytest.raises(StudyError, match="came with an import"):
        take_declaration_back(path, 1, made.id, actor="ada")

    assert [one.imported for one in declarations(path, 1)] == [True]


def test_reason_of_a_declaration_is_erased_with_its_person(path: Path) -> None:
    made = declare(path, 1, span(20, 40), reason="Mr Smith turned", actor="ada")
    take_declaration_back(path, 1, made.id, actor="ada")
    erase_participant(path, "P01", actor="ada")
    assert b"Smith" not in path.read_bytes()


def test_erasure_keeps_the_minute_that_a_declaration_shares_with_others(path: Path) -> None:
    path = timeline(
        path,
        session=[session_row(101, 130, participant="P02")],
        expression=[row(at, Emotion.NEUTRAL, attribution="seat") for at in range(102, 119)],
    )
    declare(path, 1, span(70, 75), reason="x", actor="ada")
    erase_participant(path, "P01", actor="ada")
    rows = "SELECT (SELECT count(*) FROM expression), (SELECT sum(rows) FROM expression_minute)"
    assert query(path, rows) == [(17, 17)]


def test_press_of_a_clock_that_is_ahead_hides_none_after_it(path: Path) -> None:
    def press(second: float) -> Row:
        kind = MarkerKind.DECLARED
        at = {"at": second, "boot_ms": instant(second).boot_ms}
        return {"session": 1, "kind": kind, "label": "participant", **at}

    path = timeline(path, session=[session_row(200, None)])
    path = timeline(path, marker=[press(260) | {"session": 2}, press(210) | {"session": 2}])

    last = last_declaration(path)

    assert last is not None
    assert last.at.wall_ms == START_MS + 210_000
