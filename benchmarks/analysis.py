"""How long the Analysis page's answer takes over a year at 1 Hz with 200 sessions.

    python benchmarks/analysis.py [--json] [--keep FOLDER]

A year of recording: 200 sessions of a quarter of an hour, two for each of 100 participants, with three stimuli of four
minutes and what each participant reported after it; within the sessions an expression and a heart rate a second and a
cuff's reading a minute, outside them a row a minute (what is read is found by time in an index, so that what lies
between only makes the index deeper). Times are medians of five calls, in milliseconds of this process's CPU and on the
clock; the pictures of the page are part of none.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from dashboard.analysis import analyse
from dashboard.analysis_answer import answer_of
from dashboard.analysis_model import AnalysisModel
from dashboard.analysis_schema import AnalysisQuery, StateBy
from edge_agent.clock import Instant
from edge_agent.domain import Emotion, MarkerKind, Purpose
from edge_agent.store.protocol_runs import SelfReport, insert_reports
from edge_agent.store.reader import Reader
from edge_agent.store.schema import DATABASE_NAME, connect, migrate, transaction
from edge_agent.store.study_rows import close_session, insert_consent, insert_marker, insert_participant, insert_session

START = Instant(boot_ms=1_000_000, wall_ms=1_790_000_400_000)
YEAR_S, SESSION_S, STIMULUS_S, PAUSE_S = 365 * 86_400, 900, 240, 45
SESSIONS, PEOPLE = 200, 100
STATES = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL)
EXPRESSION = (
    "INSERT INTO expression (at, interval_ms, track, frames, emotion, face_size, quality, is_primary, simulated, "
    "neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, smoothed_neutral, smoothed_happiness, "
    "smoothed_surprise, smoothed_sadness, smoothed_anger, smoothed_disgust, smoothed_fear, smoothed_contempt) "
    "VALUES (?, 1000, 1, 10, ?, 120, 0.8, 1, 0, 400, 200, 50, 50, 200, 50, 25, 25, 400, 200, 50, 50, 200, 50, 25, 25)"
)
VITAL = "INSERT INTO vital (at, kind, source, value) VALUES (?, ?, ?, ?)"


def write_year(path: Path) -> None:
    """Write the timeline."""
    migrate(path)
    rng = random.Random(1)
    apart = YEAR_S // SESSIONS
    with closing(connect(path, readonly=False)) as connection, transaction(connection):
        for number in range(SESSIONS):
            start = START.shifted(number * apart)
            code, order = f"P-{number % PEOPLE:03d}", rng.sample(STATES, 3)
            if number < PEOPLE:
                insert_participant(connection, code, start)
                insert_consent(connection, code, "1", start)
            session = insert_session(connection, code, Purpose.RESEARCH, "films", start)
            for place, state in enumerate(order):
                begin = start.shifted(PAUSE_S + place * (STIMULUS_S + PAUSE_S))
                end = begin.shifted(STIMULUS_S)
                insert_marker(connection, session, MarkerKind.STIMULUS_START, state.value, begin)
                insert_marker(connection, session, MarkerKind.STIMULUS_END, state.value, end)
                said = state if rng.random() < 0.8 else rng.choice(STATES)
                insert_reports(connection, session.id, [SelfReport(end.shifted(5), state.value, "emotion", said.value)])
            close_session(connection, start.shifted(SESSION_S))
            connection.executemany(EXPRESSION, _faces(rng, start.wall_ms, order, apart))
            connection.executemany(VITAL, _readings(rng, start.wall_ms, order, apart, rng.gauss(0, 7)))


def _seconds(apart: int) -> Iterable[int]:
    """Return when there is a row: every second of a session, and every minute to the next one."""
    return (*range(SESSION_S), *range(SESSION_S, apart, 60))


def _shown(order: list[Emotion], second: int) -> Emotion:
    place, within = divmod(second - PAUSE_S, STIMULUS_S + PAUSE_S)
    return order[place] if 0 <= place < len(order) and within < STIMULUS_S else Emotion.NEUTRAL


def _faces(rng: random.Random, start_ms: int, order: list[Emotion], apart: int) -> Iterator[tuple[int, str | None]]:
    for second in _seconds(apart):
        shown = _shown(order, second // 5 * 5)
        yield start_ms + 1000 * second + 400, None if rng.random() < 0.1 else shown.value


def _readings(
    rng: random.Random, start_ms: int, order: list[Emotion], apart: int, level: float
) -> Iterator[tuple[int, str, str, float]]:
    for second in _seconds(apart):
        rise = 3.0 if _shown(order, second - 5) is Emotion.ANGER else 0.0
        at = start_ms + 1000 * second + 500
        yield at, "heart_rate", "strap", round(70 + level + rise + rng.gauss(0, 3))
        if second % 60 == 0 and second < SESSION_S:
            yield at, "systolic", "cuff", round(120 + level + rng.gauss(0, 5))
            yield at, "diastolic", "cuff", round(80 + level + rng.gauss(0, 4))


def median_ms(call: Callable[[], object]) -> tuple[float, float]:
    """Return the median times of a call: of this process's CPU, and on the clock."""
    cpu, wall = [], []
    for _ in range(5):
        began, began_cpu = time.perf_counter(), time.process_time()
        call()
        cpu.append(1000 * (time.process_time() - began_cpu))
        wall.append(1000 * (time.perf_counter() - began))
    return statistics.median(cpu), statistics.median(wall)


def _answer(reader: Reader, asked: AnalysisQuery) -> AnalysisModel:
    return answer_of(analyse(reader, asked))


def measure(path: Path) -> dict[str, float]:
    """Return all figures."""
    reader, figures = Reader(path), {}
    for by in StateBy:
        asked = AnalysisQuery(state=by)
        cpu, wall = median_ms(partial(_answer, reader, asked))
        figures[f"analysis_year_{by.value}_cpu_ms"], figures[f"analysis_year_{by.value}_ms"] = cpu, wall
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--keep", type=Path, help="folder of the database; one that is there is used again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = (asked.keep or Path(name)) / DATABASE_NAME
        if not path.exists():
            write_year(path)
        figures = measure(path)
    if asked.json:
        print(json.dumps({figure: round(value, 1) for figure, value in figures.items()}))
        return
    for figure, value in figures.items():
        print(f"{figure:34} {value:10.1f}")


if __name__ == "__main__":
    main()
