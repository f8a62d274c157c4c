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

from edge_agent.core.csv_cells import cell
from edge_agent.core.expression import Emotion
from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.export.table_schemas import FILES
from edge_agent.timeline.export.text_formats import CSV
from edge_agent.timeline.read.matching import OBSERVED, Matching
from edge_agent.timeline.read.observed import read_face_labels
from edge_agent.timeline.study.rows import select_sessions
from tests.support.timeline import row, session_row, timeline

VIEWS = {"expression": "expression_view", "vital": "vital_view", "episode": "episode"}
# two hours, so that full hours lie within
seconds = st.integers(0, 14_400).map(lambda half: half / 2)
marks = st.tuples(
    st.integers(0, 600),
    st.sampled_from(list(MarkerKind)),
    st.sampled_from(["anger", "=cmd", "calm, cool"]),
)


Spans = list[tuple[float, float]]
Marks = list[tuple[int, MarkerKind, str]]
spans = st.lists(seconds, max_size=6, unique=True).map(
    lambda edges: list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a row; copying it is quicker than making one."""
    return timeline(tmp_path_factory.mktemp("empty"))


def study(path: Path, sessions: Spans, found: Marks) -> Path:
    for number, (start, end) in enumerate(sessions):
        within = [  # an end without a start, too
            {"at": start + offset, "kind": kind, "label": label}
            for offset, kind, label in found
            if start + offset <= end
        ]
        held = session_row(start, end, participant=f"P-{number}")
        timeline(path, session=[held], marker=within)
    return path


def text_of(value: object) -> str:
    """What a value of a view is in a cell, with the 15 digits that SQLite gives real numbers."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return approximately(repr(value))
    text = str(value)
    return f"'{text}" if cell(text).lstrip('"').startswith("'") else text


def in_view(connection: sqlite3.Connection, name: str) -> list[list[str]]:
    columns = [column.name for column in FILES[name] if column.name != "observed"]
    order = "start_ms" if name == "episode" else "at_ms"
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM {VIEWS[name]} ORDER BY {order}")
    return [[text_of(value) for value in found] for found in rows]


@given(spans, st.lists(marks, max_size=5), st.lists(seconds, max_size=40, unique=True))
@settings(max_examples=25, deadline=None)
def test_csv_rows_have_the_session_and_condition_of_the_views(
    empty: Path, sessions: Spans, found: Marks, times: list[float]
) -> None:
    with TemporaryDirectory() as name:
        path = study(Path(shutil.copy(empty, name)), sessions, found)
        labels = (Emotion.ANGER, None, Emotion.HAPPINESS)
        flags = ("", "manual", "simulated estimated")
        timeline(
            path,
            expression=[row(at, labels[int(at) % 3]) for at in times],
            vital=[{"at": t, "value": 60 + t / 7, "flags": flags[int(t) % 3]} for t in times],
        )
        CSV.export(path, Path(name) / "out")
        with closing(connect(path, readonly=True)) as connection:
            for table in VIEWS:
                text = (Path(name) / "out" / f"{table}.csv").read_bytes().decode()
                rows = list(csv.DictReader(io.StringIO(text, newline="")))
                observed = [one.pop("observed", None) for one in rows]
                shown = [[approximately(value) for value in one.values()] for one in rows]
                assert shown == in_view(connection, table)
                if table == "vital":
                    assert observed == [expected_match(connection, one) for one in rows]


def approximately(value: str) -> str:
    digits = value.replace(".", "").replace("e-", "")
    return f"{float(value):.14g}" if "." in value and digits.isdigit() else value


def expected_match(connection: sqlite3.Connection, one: dict[str, str]) -> str:
    """What the function that the tests use says was observed before a reading."""
    if not one["session"]:
        return ""
    (session,) = [found for found in select_sessions(connection) if found.id == int(one["session"])]
    by = Matching()
    steps = (
        read_face_labels(connection, [session])[session.id]
        .steps(by.window_ms, by.share)
        .later(by.lag_ms(VitalKind(one["kind"])))
    )
    return OBSERVED[int(steps.at(np.array([int(one["at_ms"])]))[0])]
