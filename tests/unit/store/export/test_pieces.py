"""An export writes what the views show, however sessions, markers and rows lie."""

from __future__ import annotations

import csv
import io
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.expression import Emotion
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import connect, write_transaction
from edge_agent.store.export.columns import FILES
from edge_agent.store.export.rows import cell, recorded
from edge_agent.store.export.text_formats import CSV
from edge_agent.store.read.matching import OBSERVED, Matching
from edge_agent.store.read.observed import read_face_labels
from edge_agent.store.study.rows import (
    NewSession,
    close_session,
    insert_consent,
    insert_participant,
    insert_session,
    select_sessions,
)
from tests.support.timeline import add, database, instant, reading, row

VIEWS = {"expression": "expression_view", "vital": "vital_view", "episode": "episode"}
# two hours, so that full hours lie within
seconds = st.integers(0, 14_400).map(lambda half: half / 2)
marks = st.tuples(
    st.integers(0, 600),
    st.sampled_from(list(MarkerKind)),
    st.sampled_from(["anger", "=cmd", "calm, cool"]),
)


@st.composite
def timelines(
    draw: st.DrawFn,
) -> tuple[list[tuple[float, float]], list[tuple[int, MarkerKind, str]], list[float]]:
    """Sessions that do not overlap, markers in each, and times of rows and readings."""
    edges = sorted(draw(st.lists(seconds, max_size=6, unique=True)))
    times = draw(st.lists(seconds, max_size=40, unique=True))
    return (
        list(zip(edges[::2], edges[1::2], strict=False)),
        draw(st.lists(marks, max_size=5)),
        times,
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a row; copying it is quicker than making one."""
    return database(tmp_path_factory.mktemp("empty"))


def study(
    path: Path, sessions: list[tuple[float, float]], found: list[tuple[int, MarkerKind, str]]
) -> Path:
    with write_transaction(path) as connection:
        for number, (start, end) in enumerate(sessions):
            code = f"P-{number}"
            insert_participant(connection, code, instant(start))
            insert_consent(connection, code, "1", instant(start))
            session = insert_session(
                connection, NewSession(code, Purpose.RESEARCH, "films", instant(start))
            )
            for offset, kind, label in found:
                if start + offset <= end:
                    connection.execute(  # by hand: an end without a start, too
                        "INSERT INTO marker (session, at, kind, label) VALUES (?, ?, ?, ?)",
                        (session.id, instant(start + offset).wall_ms, kind, label),
                    )
            close_session(connection, instant(end))
    return path


def text_of(value: object) -> str:
    """What a value of a view is in a cell."""
    return (
        ""
        if value is None
        else repr(value)
        if isinstance(value, int | float)
        else recorded_cell(str(value))
    )


def recorded_cell(text: str) -> str:
    return f"'{text}" if cell(text).lstrip('"').startswith("'") else text


def in_view(connection: sqlite3.Connection, name: str) -> list[list[str]]:
    columns = [column.name for column in FILES[name] if column.name != "observed"]
    order = "start_ms" if name == "episode" else "at_ms"
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM {VIEWS[name]} ORDER BY {order}")
    return [[text_of(value) for value in found] for found in rows]


@given(timelines())
@settings(max_examples=25, deadline=None)
def test_every_row_stands_in_the_session_and_condition_that_the_view_gives(
    empty: Path,
    made: tuple[list[tuple[float, float]], list[tuple[int, MarkerKind, str]], list[float]],
) -> None:
    sessions, found, times = made
    with TemporaryDirectory() as name:
        path = study(Path(shutil.copy(empty, name)), sessions, found)
        labels = (Emotion.ANGER, None, Emotion.HAPPINESS)
        add(
            path,
            [row(at, labels[int(at) % 3]) for at in times],
            [reading(at, 60 + at / 7) for at in times],
        )
        CSV.export(path, Path(name) / "out")
        with closing(connect(path, readonly=True)) as connection:
            for table in VIEWS:
                with (Path(name) / "out" / f"{table}.csv").open(
                    encoding="utf-8", newline=""
                ) as file:
                    rows = list(csv.DictReader(file))
                observed = [one.pop("observed", None) for one in rows]
                shown = [[approximately(value) for value in one.values()] for one in rows]
                expected = [
                    [approximately(value) for value in one] for one in in_view(connection, table)
                ]
                assert shown == expected
                if table == "vital":
                    assert observed == [expected_match(connection, one) for one in rows]


def approximately(value: str) -> str:
    """A value with the 15 digits that SQLite gives real numbers."""
    return (
        f"{float(value):.14g}"
        if "." in value and value.replace(".", "").replace("e-", "").isdigit()
        else value
    )


def expected_match(connection: sqlite3.Connection, one: dict[str, str]) -> str:
    """What the function that the tests use says was observed before a reading."""
    if not one["session"]:
        return ""
    (session,) = [found for found in select_sessions(connection) if found.id == int(one["session"])]
    by = Matching()
    steps = (
        read_face_labels(connection, session)
        .steps(by.window_ms, by.share)
        .later(by.lag_ms(VitalKind(one["kind"])))
    )
    return OBSERVED[int(steps.at(np.array([int(one["at_ms"])]))[0])]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49", "'+49"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\r=x", '"\'\r=x"'),
        ("\n=x", '"\'\n=x"'),
        ("'quoted'", "''quoted'"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠SUM(A1)", "'＠SUM(A1)"),
        ('say "no", please', '"say ""no"", please"'),
        ("plain", "plain"),
        ("", ""),
        (None, ""),
    ],
)
def test_no_text_is_a_formula(text: str | None, written: str) -> None:
    assert cell(text) == written


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_what_was_recorded_can_be_had_back_from_any_cell(text: str) -> None:
    ((read,),) = csv.reader(io.StringIO(cell(text) + "\n", newline=""))
    assert recorded(read) == text
    assert read[0] not in "=+-@\t\r\n＝＋－＠"
