"""Made timelines: instants, recognitions and readings at known times, and a database of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    EMOTIONS,
    Box,
    Emotion,
    Expression,
    ExpressionRow,
    Face,
    Observation,
    Recognition,
    RejectReason,
)
from edge_agent.core.movements import NAMES, FaceMovements, MovementRow
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database import schema
from edge_agent.store.database.dashboard_file import read_dashboard
from edge_agent.store.database.schema import connect, migrate, write_transaction
from edge_agent.store.write.timeline import write_expressions, write_movements, write_vitals

if TYPE_CHECKING:  # installed machines, where tests make timelines, have no pytest
    import pytest

START_MS = 1_790_000_400_000  # 2026-09-21T14:20:00Z: a full minute


def instant(seconds: float) -> Instant:
    """The moment ``seconds`` after the start of the made timeline."""
    ms = round(seconds * 1000)
    return Instant(boot_ms=1_000_000 + ms, wall_ms=START_MS + ms)


def expression(**named: float) -> Expression:
    """An expression with the named probabilities.

    What is left is spread over the other categories.
    """
    rest = (1 - sum(named.values())) / (len(EMOTIONS) - len(named))
    return Expression(tuple(named.get(e.value, rest) for e in EMOTIONS))


def mostly(emotion: Emotion, probability: float = 0.86) -> Expression:
    """An expression in which one category has ``probability`` and the others share the rest."""
    return expression(**{emotion.value: probability})


def observation(
    emotion: Emotion | None = Emotion.HAPPINESS,
    *,
    track: int = 1,
    primary: bool = True,
    raw: Expression | None = None,
    reject_reason: RejectReason | None = None,
    movements: FaceMovements | None = None,
) -> Observation:
    """A face of 100 × 120 pixels that shows an emotion; ``None`` is uncertain."""
    shown = mostly(emotion or Emotion.NEUTRAL)
    face = Face(Box(10, 20, 100, 120), 0.9, ((30, 40), (80, 40), (55, 70), (35, 100), (75, 100)))
    return Observation(
        *(track, face, raw or shown, shown, emotion, primary, 0.75, reject_reason),
        movements=movements,
        smoothed_movements=movements,
    )


def recognition(seconds: float, *observations: Observation) -> Recognition:
    """What was seen in a frame at a time; without observations no face was."""
    return Recognition(instant(seconds), round(seconds * 1000), 640, 480, observations)


def row(
    seconds: float, emotion: Emotion | None = Emotion.HAPPINESS, *, primary: bool = True
) -> ExpressionRow:
    """A row of one second with 10 frames."""
    shown = mostly(emotion or Emotion.NEUTRAL)
    return ExpressionRow(instant(seconds), 1, 10, shown, shown, emotion, 120.0, 0.75, primary)


def movements(**values: float) -> FaceMovements:
    """A face at rest that looks straight ahead, but for what is named."""
    assert values.keys() <= set(NAMES)
    return FaceMovements(tuple(values.get(name, 0.0) for name in NAMES))


def movement_row(seconds: float, *, primary: bool = True, **values: float) -> MovementRow:
    """Movements of one second, the mean of 5 readings."""
    return MovementRow(instant(seconds), 1, 5, movements(**values).values, primary)


def told_by(row: MovementRow, source: str, unread: str) -> MovementRow:
    """The row as another program tells it, without one movement."""
    at = NAMES.index(unread)
    return replace(row, mean=(*row.mean[:at], None, *row.mean[at + 1 :]), source=source)


def reading(
    seconds: float,
    value: float = 72.0,
    kind: VitalKind = VitalKind.HEART_RATE,
    source: str = "strap",
    flags: Iterable[VitalFlag] = (),
) -> VitalReading:
    """A vital reading at a time."""
    return VitalReading(instant(seconds), kind, value, source, frozenset(flags))


def database(
    folder: Path,
    rows: Sequence[ExpressionRow] = (),
    readings: Sequence[VitalReading] = (),
    simulated: bool = False,
) -> Path:
    """A migrated database with rows of one second and readings in it."""
    path = folder / "affect-edge.db"
    migrate(path)
    add(path, rows, readings, simulated)
    return path


def add(
    path: Path,
    rows: Sequence[ExpressionRow] = (),
    readings: Sequence[VitalReading] = (),
    simulated: bool = False,
) -> None:
    """Write rows and readings at once."""
    with write_transaction(path) as connection:
        write_expressions(connection, [(r, None) for r in rows], 1000, simulated)
        write_vitals(connection, [(r, None) for r in readings])


def add_movements(path: Path, rows: Sequence[MovementRow]) -> None:
    """Write rows of movements at once."""
    with write_transaction(path) as connection:
        write_movements(connection, [(row, None) for row in rows], 1000, False)


def query(path: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """What a query gives, as plain tuples."""
    with closing(connect(path, readonly=True)) as connection:
        return [tuple(found) for found in connection.execute(sql, parameters)]


def query_dashboard(path: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query to the dashboard's own database, as plain tuples."""
    with read_dashboard(path) as connection:
        return [tuple(found) for found in connection.execute(sql, parameters)]


def let_it_be_full(monkeypatch: pytest.MonkeyPatch, is_full: Callable[[Path], bool]) -> None:
    """Open the databases that ``is_full`` picks as on a disk without space."""
    really_open = schema._open

    def small(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
        connection = really_open(path, mode, busy_seconds)
        if is_full(path):
            connection.execute("PRAGMA max_page_count = 1")  # or as many as there are
        return connection

    monkeypatch.setattr(schema, "_open", small)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return as soon as a condition holds; fail when it does not within the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)
