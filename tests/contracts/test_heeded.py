"""Each reader that concludes heeds what is recorded about a reading, or not, as the matrix
states: a recording with it and one without it are made, and their answers compared.
"""

from __future__ import annotations

import ast
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboard.analysis.conclusions import Concluding, Open, RecordedRow, Used
from dashboard.analysis.heeded import HEEDED, cell_of
from dashboard.analysis.preregistration import PreregistrationDocument
from dashboard.analysis.rendering.answer import response_of
from dashboard.questions.comparison.question import COMPARISON
from dashboard.questions.entry import Inquiry
from dashboard.questions.register import QUESTIONS
from edge_agent.core.movements import NAMES as MOVEMENTS
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import MADE_UP, AttributeUse
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import NAMES, SMOOTHED
from edge_agent.timeline.database.tables import TIMELINE, RowOwner
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.study.exclusions import leave_out
from edge_agent.timeline.study.people import agree_to_attributes
from edge_agent.timeline.study.preregistrations import fingerprint
from edge_agent.timeline.write.rollups import ROLLUPS, add_expressions, roll_up_vitals
from tests.support.analyses import analysed
from tests.support.timeline import (
    START_MS,
    Row,
    copied,
    expression,
    instant,
    reading,
    row,
    second_of,
    session_row,
    timeline,
)

ROOT = Path(__file__).parents[2]
PEOPLE, APART_S, LASTS_S = 6, 600, 65
STATES = ("neutral", "anger")
ASKED = ("heart_rate", "valence")
Change = Callable[[Path], object]
Answers = Mapping[Concluding, object]
BY_NAME = {one.name: one for one in HEEDED}
SCHEMA = ROOT / "edge_agent/timeline/database/schema.sql"
PLANNING = Concluding.PLANNING
READERS_OF = {
    COMPARISON.name: (*tuple(Concluding)[:4], Concluding.CHOICES),
    "responses": (Concluding.CURVES, Concluding.WINDOWS),
    "coupling": (Concluding.COUPLING,),
    "week": (Concluding.WEEK,),
    "sensors": (Concluding.SENSORS,),
}
OTHERS: Mapping[str, tuple[Mapping[str, Any], Callable[[Any], Answers]]] = {
    "responses": (
        {"vital": ASKED, "prefer_source": ["strap"]},
        lambda curves: {
            Concluding.CURVES: (plain(*curves.tests), curves.simulated),
            Concluding.WINDOWS: (plain(*curves.windows), curves.simulated),
        },
    ),
    "coupling": (
        {"prefer_source": ["strap"], "lag": 5},
        lambda together: {Concluding.COUPLING: plain(together)},
    ),
    "week": (
        {"participant": "P0", "to": date(2026, 9, 21), "zone": "UTC"},
        lambda of_week: {Concluding.WEEK: plain(of_week)},
    ),
    "sensors": ({}, lambda compared: {Concluding.SENSORS: plain(compared)}),
}
"""What each question beside the comparison is asked, and what it concludes."""
THERE = [reader for one in QUESTIONS for reader in READERS_OF.get(one.name, ())] + [PLANNING]
"""The readers of the questions that there are: one may be taken out."""
OPEN_CELLS = 0
"""How many cells should be used and are not: a number that only becomes less."""


# --- The study ------------------------------------------------------------------------------------


def shown(person: int) -> list[tuple[float, float, str]]:
    """Return the conditions of a person, who met them in an order of their own."""
    order = STATES if person % 2 else STATES[::-1]
    begins = [APART_S * person + 20 + 85 * place for place in (0, 1)]
    return [(at, at + LASTS_S, label) for at, label in zip(begins, order, strict=True)]


def study(folder: Path) -> Path:
    """Write people of two groups with a strap, a watch and a face, whose heart is higher in anger
    and follows the face; windows of their curves were declared before.
    """
    sessions: list[Row] = []
    faces: list[Row] = []
    readings: list[VitalReading] = []
    for person in range(PEOPLE):
        start, rng = APART_S * person, np.random.default_rng(person)
        sessions.append(session_row(start, start + 195, *shown(person), participant=f"P{person}"))
        happy = rng.uniform(0.1, 0.8, 195).round(2).tolist()
        for second in range(195):
            at = start + second
            is_anger = any(a <= at < b and label == "anger" for a, b, label in shown(person))
            heart = 70 + person + 4 * is_anger + 5 * happy[max(0, second - 5)] + rng.normal(0, 1)
            level = 5 + (0.3 + 0.3 * is_anger) * max(0, np.sin(second * (1 + person / 9)))
            readings += [
                reading(at + 0.5, round(heart, 1)),
                reading(at + 0.6, round(heart + rng.normal(1, 1), 1), source="watch"),
                reading(at + 0.4, round(1 + rng.normal(0, 0.03), 3), VitalKind.RR_INTERVAL),
                *(
                    reading(at + part / 4, round(level, 3), VitalKind.SKIN_CONDUCTANCE)
                    for part in range(4)
                ),
            ]
            faces.append(row(at + 0.8, shown=expression(happiness=happy[second])))
    windows = [f"{vital}: anger - neutral, 5 to 30 s" for vital in ASKED]
    plan = PreregistrationDocument.model_validate(
        {"people": PEOPLE, "stopping": "then", "windows": windows}
    ).model_dump_json()
    frozen = {"at": -60.0, "document": plan, "sha256": fingerprint(START_MS - 60_000, plan)}
    path = timeline(
        folder, session=sessions, vital=readings, expression=faces, preregistration=[frozen]
    )
    for person in range(PEOPLE):
        values = {"arm": "ab"[person % 2]}
        agree_to_attributes(path, f"P{person}", AttributeUse.HERE, actor=None, values=values)
    return path


def rounded(value: Any) -> Any:
    """Return an answer without the last digits of its numbers, which follow the order of sums."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, Mapping):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    return value


def plain(*models: Any) -> object:
    return rounded([one.model_dump(mode="json") for one in models])


def answers(path: Path) -> Answers:
    """Return what each reader concludes; of the whole page of an analysis its warnings, too."""
    asked = {"vital": ASKED, "states": STATES, "group": "arm", "prefer_source": ["strap"]}
    answer = response_of(analysed(path, **asked, heart_measure=["ln_rmssd", "sdnn"]))
    page = (answer.warning_codes, answer.sample)
    others = {
        reader: concluded
        for one in QUESTIONS
        if one.name in OTHERS
        for asked_of, conclude in [OTHERS[one.name]]
        for reader, concluded in conclude(
            one.answer(Inquiry((("", path),), one.query.model_validate(asked_of)))
        ).items()
    }
    return {
        Concluding.COMPARISON: (plain(*answer.comparisons), page),
        Concluding.HEART: (plain(*answer.heart_tests), page),
        Concluding.SKIN: (plain(*answer.skin_tests), page),
        Concluding.GROUPS: (plain(*answer.groups), page),
        Concluding.CHOICES: plain(*answer.neighbours),
    } | others


@pytest.fixture(scope="module")
def plain_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answers]:
    path = study(tmp_path_factory.mktemp("heeded"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return path, answers(path)


# --- What is recorded -----------------------------------------------------------------------------


def spans(person: int) -> str:
    ends = [(at, end) for at, end, label in shown(person) if label == "anger"]
    return " OR ".join(
        f"(at >= {instant(at).wall_ms} AND at < {instant(end).wall_ms})" for at, end in ends
    )


SOME = f"({' OR '.join(map(spans, range(PEOPLE)))}) AND (at / 1000) % 3 = 0"
OF_STRAP = "source = 'strap' AND kind IN ('heart_rate', 'rr_interval', 'skin_conductance')"


def sql(text: str) -> Change:
    """Return a change of rows, after which the sums by minute and hour are those of the rows."""

    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            assert connection.execute(text).rowcount, text
            connection.execute("DELETE FROM vital_minute")
            connection.execute("DELETE FROM vital_hour")
            every = connection.execute("SELECT at, kind, value, source, flags FROM vital")
            of_rows = [
                reading(second_of(at), value, VitalKind(kind), source, flags_of(flags))
                for at, kind, value, source, flags in every
            ]
            roll_up_vitals(connection, of_rows)
            for rollup, length in ROLLUPS:
                connection.execute(f"DELETE FROM expression_{rollup}")
                add_expressions(connection, rollup, length, "id > ?", (0,))

    return change


def moving(path: Path) -> None:
    """Let each wearer move in anger."""
    readings = []
    for person in range(PEOPLE):
        for at, end, label in shown(person):
            for second in range(int(at) + 5, int(end), 5):
                mg = 4 + second % 3 + (50 + person) * (label == "anger")
                readings.append(reading(second, mg, VitalKind.BODY_MOTION))
    timeline(path, vital=readings)


def without_stretches(path: Path) -> None:
    for person in range(PEOPLE):
        span = (instant(APART_S * person + 40).wall_ms, instant(APART_S * person + 50).wall_ms)
        leave_out(path, person + 1, span, reason="coughed", actor="ada")


def of_all(table: str, **columns: object) -> Change:
    """Return a change that adds rows of a table to each session."""

    def change(path: Path) -> None:
        timeline(
            path,
            **{
                table: [
                    {
                        name: APART_S * person + one if isinstance(one, float) else one
                        for name, one in columns.items()
                    }
                    for person in range(PEOPLE)
                ]
            },
        )

    return change


CHANGES: Mapping[str, Change] = {
    **{
        flag: sql(f"UPDATE vital SET flags = '{flag}' WHERE {OF_STRAP} AND {SOME}")
        for flag in VitalFlag
    },
    "vital.error": sql("UPDATE vital SET error = 0.03 WHERE kind = 'rr_interval' AND " + SOME),
    "vital.device_time": sql("UPDATE vital SET device_time = '2020-01-01T00:00:00' WHERE " + SOME),
    "vital.boot_ms": sql("UPDATE vital SET boot_ms = 5 WHERE " + SOME),
    "vital.import": sql("UPDATE vital SET import = 1 WHERE " + SOME),
    **{
        f"expression.{column}": sql(f"UPDATE expression SET {column} = {value} WHERE {SOME}")
        for column, value in {
            "boot_ms": 5,
            "frames": 1,
            "face_size": 40,
            "quality": 0.1,
            "is_primary": 0,
            "simulated": 1,
            "import": 1,
            "interval_ms": 500,
            "track": 2,
        }.items()
    },
    "expression.attribution": sql(
        f"UPDATE expression SET attribution = 'unknown', is_primary = 0 WHERE {SOME}"
    ),
    "gap": of_all("gap", started=100.0, ended=130.0, source="strap"),
    "unfit": of_all("unfit", at=100.0),
    "exclusion": without_stretches,
    "source changed": sql(f"UPDATE vital SET source = 'other' WHERE {OF_STRAP} AND {SOME}"),
    "motion": moving,
    "session.simulated": sql("UPDATE session SET simulated = 1"),
    "session.origin": sql(f"UPDATE session SET origin = 'import: x.csv ({MADE_UP})'"),
    "vital_change": of_all(
        "vital_change",
        at=30.0,
        kind="heart_rate",
        source="strap",
        value=99.0,
        flags="",
        changed=50.0,
        actor="ada",
    ),
}


# --- The matrix -----------------------------------------------------------------------------------


def columns_about(table: str, *measured: str) -> set[str]:
    """Return the columns of a table that are neither its key nor what was measured."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA.read_text("utf-8"))
        every = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    return {f"{table}.{name}" for name in every if name not in measured}


def must_have_rows() -> Iterator[str]:
    """Yield what says something of readings by the registers of the project."""
    yield from VitalFlag
    yield from columns_about("vital", "at", "kind", "source", "value", "flags")
    shown_in = (*NAMES, *SMOOTHED, "emotion")
    yield from columns_about("expression", "id", "at", *shown_in)
    # Rows of movements say of themselves what those of expressions do.
    of_face = columns_about("movement", "id", "at", "source", *MOVEMENTS)
    yield from (one.replace("movement", "expression") for one in of_face)
    for table in TIMELINE:
        is_value = table.name in {"vital", "expression", "movement"}
        is_sum = table.name.endswith(("_minute", "_hour", "_day"))
        if (table.is_comment or table.whose is RowOwner.TIME) and not (is_value or is_sum):
            yield table.name


def test_whatever_is_recorded_about_a_reading_has_a_row() -> None:
    assert len(BY_NAME) == len(HEEDED), "a row stands twice"
    assert not set(must_have_rows()) - BY_NAME.keys()


def test_every_question_has_its_columns() -> None:
    assert {one.name for one in QUESTIONS} <= READERS_OF.keys()
    assert {one for own in READERS_OF.values() for one in own} | {PLANNING} == set(Concluding)


@pytest.mark.parametrize("recorded", HEEDED, ids=lambda one: one.name)
def test_each_cell_of_a_row_is_used_or_says_why_not(recorded: RecordedRow) -> None:
    for reader in THERE:
        cell = cell_of(recorded, reader)
        assert cell, f"{recorded.name} × {reader}: used, or why not?"
        if cell == Used():
            assert recorded.name in CHANGES, "make a recording with it, or name a test"
        elif isinstance(cell, Used):
            file, _, test = cell.test.partition("::")
            assert test in functions(ROOT / file), f"there is no {cell.test}"


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))


def test_cells_that_should_be_used_and_are_not_get_fewer() -> None:
    cells = [cell_of(one, reader) for one in HEEDED for reader in Concluding]
    assert sum(isinstance(one, Open) for one in cells) <= OPEN_CELLS


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_recorded_changes_the_answers_that_use_it(
    name: str, plain_study: tuple[Path, Answers], tmp_path: Path
) -> None:
    path, before = plain_study
    CHANGES[name](other := copied(path, tmp_path))
    after = answers(other)
    for reader, answer in before.items():
        cell = cell_of(BY_NAME[name], reader)
        if cell == Used():
            assert after[reader] != answer, f"{name} is not used by {reader}"
        elif not isinstance(cell, Used):
            assert after[reader] == answer, f"{name} is used by {reader}: say so"


def test_planning_reads_no_recording() -> None:
    source = (ROOT / "dashboard/analysis/planning.py").read_text("utf-8")
    assert "edge_agent.timeline" not in source
