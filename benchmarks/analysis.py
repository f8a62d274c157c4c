"""How long the Analysis page's answer takes over a year at 1 Hz with 200 sessions.

    python -m benchmarks.analysis [--json] [--keep FOLDER]

A year of recording: 200 sessions of a quarter of an hour, two for each of 100 participants, with
three stimuli of four minutes and what each participant reported after it; within the sessions an
expression and a heart rate a second and a cuff's reading a minute, outside them a row a minute.
Times are medians of five calls, in milliseconds of this process's CPU, without the pictures of the
page.
``sensitivity`` is the question by observed emotion with eight other windows and lags; ``beats`` the
one by condition after a strap's 200,000 intervals between beats have been added.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from benchmarks._command import benchmark, median_ms
from benchmarks._sessions import write_session
from dashboard.analysis.analyse import analyse
from dashboard.analysis.query import AnalysisQuery, StateBy
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import AnalysisModel
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.protocol_runs import SelfReport, insert_reports
from edge_agent.timeline.study.rows import select_sessions
from edge_agent.timeline.write.inserts import write_vitals

START = Instant(boot_ms=1_000_000, wall_ms=1_790_000_400_000)
YEAR_S = 365 * 86_400
SESSION_S = 900
STIMULUS_S = 240
PAUSE_S = 45
SESSIONS = 200
PEOPLE = 100
STATES = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL)
# probabilities, raw and smoothed
_OTHERS = "400, 200, 50, 50, 200, 50, 25, 25, 400, 200, 50, 50, 200, 50, 25, 25"
INTO_EXPRESSION = (
    "INSERT INTO expression (neutral, happiness, surprise, sadness, anger, disgust, fear, "
    "contempt, smoothed_neutral, smoothed_happiness, smoothed_surprise, smoothed_sadness, "
    "smoothed_anger, smoothed_disgust, smoothed_fear, smoothed_contempt, interval_ms, track, "
    "frames, face_size, quality, is_primary, simulated, at, emotion) "
)
_ROW = f"{_OTHERS}, 1000, 1, 10, 120, 0.8, 1, 0"
EXPRESSION = f"{INTO_EXPRESSION} VALUES ({_ROW}, ?, ?)"
VITAL = "INSERT INTO vital (at, kind, source, value) VALUES (?, ?, ?, ?)"
_TIMES = (
    "WITH RECURSIVE row(at) AS (SELECT :first UNION ALL SELECT at + :step FROM row WHERE at "
    "+ :step < :last) "
)
BETWEEN_SESSIONS = (
    f"{_TIMES} {INTO_EXPRESSION} SELECT {_ROW}, at + 400, 'neutral' FROM row",
    (
        f"{_TIMES} INSERT INTO vital (at, kind, source, value) "
        "SELECT at + 500, 'heart_rate', 'strap', 70 FROM row"
    ),
)


def write_year(path: Path) -> None:
    """Write the timeline, with a row a minute outside the sessions."""
    migrate(path)
    rng = random.Random(1)
    with closing(connect(path, readonly=False)) as connection:
        for number in range(SESSIONS):
            with transaction(connection):
                _write_session(connection, rng, number)


def _write_session(connection: sqlite3.Connection, rng: random.Random, number: int) -> None:
    """Write a session, and what is recorded from its end to the next one."""
    apart = YEAR_S // SESSIONS
    start = START.shift(number * apart)
    code = f"P-{number % PEOPLE:03d}"
    order = rng.sample(STATES, 3)
    begins = [PAUSE_S + place * (STIMULUS_S + PAUSE_S) for place in range(len(order))]
    stimuli = [
        (state.value, begin, begin + STIMULUS_S) for state, begin in zip(order, begins, strict=True)
    ]
    session = write_session(connection, code, start, stimuli, SESSION_S)
    reports = []
    for state, begin in zip(order, begins, strict=True):
        reported = state if rng.random() < 0.8 else rng.choice(STATES)
        at = start.shift(begin + STIMULUS_S + 5)
        reports.append(SelfReport(at, state.value, "emotion", reported.value))
    insert_reports(connection, session, reports)
    connection.executemany(EXPRESSION, _faces(rng, start.wall_ms, order))
    connection.executemany(VITAL, _readings(rng, start.wall_ms, order, rng.gauss(0, 7)))
    rest = (start.wall_ms + 1000 * SESSION_S, start.wall_ms + 1000 * apart)
    for query in BETWEEN_SESSIONS:
        connection.execute(query, {"first": rest[0], "last": rest[1], "step": 60_000})


def add_beats(path: Path) -> None:
    """Add the intervals between beats that a strap says in the sessions."""
    rng = random.Random(2)
    with closing(connect(path, readonly=False)) as connection, transaction(connection):
        for session in select_sessions(connection):
            at = 0.0
            readings = []
            while at < SESSION_S:
                at += (beat := round(1024 * rng.gauss(0.85, 0.04)) / 1024)
                instant = Instant(0, session.start_ms + round(1000 * at))
                readings.append((VitalReading(instant, VitalKind.RR_INTERVAL, beat, "strap"), None))
            write_vitals(connection, readings)


def _shown(order: list[Emotion], second: int) -> Emotion:
    place, within = divmod(second - PAUSE_S, STIMULUS_S + PAUSE_S)
    if 0 <= place < len(order) and within < STIMULUS_S:
        return order[place]
    return Emotion.NEUTRAL


def _faces(
    rng: random.Random, start_ms: int, order: list[Emotion]
) -> Iterator[tuple[int, str | None]]:
    """Yield one observation a second: a tenth is uncertain, and some show another emotion."""
    misread = Emotion.NEUTRAL
    until = 0
    for second in range(SESSION_S):
        if rng.random() < 0.01:
            misread = rng.choice(EMOTIONS)
            until = second + rng.randint(3, 15)
        if second < until:
            shown = misread
        else:
            shown = _shown(order, second // 5 * 5)
        yield start_ms + 1000 * second + 400, None if rng.random() < 0.1 else shown.value


def _readings(
    rng: random.Random, start_ms: int, order: list[Emotion], level: float
) -> Iterator[tuple[int, str, str, float]]:
    for second in range(SESSION_S):
        rise = 3.0 if _shown(order, second - 5) is Emotion.ANGER else 0.0
        at = start_ms + 1000 * second + 500
        yield at, "heart_rate", "strap", round(70 + level + rise + rng.gauss(0, 3))
        if second % 60 == 0:
            yield at, "systolic", "cuff", round(120 + level + rng.gauss(0, 5))
            yield at, "diastolic", "cuff", round(80 + level + rng.gauss(0, 4))


def _answer(reader: Reader, query: AnalysisQuery) -> AnalysisModel:
    return response_of(analyse(reader, query))


def measure(path: Path) -> dict[str, float]:
    """Return all figures; the database has intervals between beats afterwards."""
    reader = Reader(path)
    figures = {}
    questions = {by.value: AnalysisQuery(state=by, sensitivity=False) for by in StateBy}
    questions["sensitivity"] = AnalysisQuery(state=StateBy.OBSERVED, sensitivity=True)
    questions["beats"] = AnalysisQuery(sensitivity=False)
    for name, query in questions.items():
        if name == "beats" and VitalKind.RR_INTERVAL not in reader.recorded_kinds():
            add_beats(path)
        figures[f"analysis_year_{name}_cpu_ms"] = median_ms(partial(_answer, reader, query))
    return figures


def measure_kept(folder: Path, keep: Path | None) -> dict[str, float]:
    """Measure over the database of a folder, which is written where it is missing."""
    path = (keep or folder) / DATABASE_NAME
    if not path.exists():
        write_year(path)
    return measure(path)


if __name__ == "__main__":
    keep = (None, "folder of the database; one that is there is used again")
    benchmark(__doc__, measure_kept, keep=keep)
