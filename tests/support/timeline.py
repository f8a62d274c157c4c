"""Made timelines: instants, recognitions and readings at known times, and a database of them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from functools import cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    EMOTIONS,
    Box,
    Emotion,
    Expression,
    Face,
    Observation,
    Recognition,
    RejectReason,
)
from edge_agent.core.movements import NAMES, FaceMovements
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database import connection as connection_module
from edge_agent.timeline.database import upgrade as upgrade_module
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.database.dashboard_file import read_dashboard
from edge_agent.timeline.database.schema import DATABASE_NAME, SMOOTHED
from edge_agent.timeline.database.schema import NAMES as EXPRESSIONS
from edge_agent.timeline.database.setting import renew_stream_epoch
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.study.rows import find_participant
from edge_agent.timeline.write.inserts import movement_steps, write_vitals
from edge_agent.timeline.write.rollups import ROLLUPS, add_expressions, per_mille, roll_up_vitals

if TYPE_CHECKING:  # installed machines, where tests make timelines, have no pytest
    import pytest
    from sqlite_utils import Database

Row = dict[str, Any]
"""Column → value."""
Given = Row | VitalReading | float
"""A row; a reading as the recorder writes it; the second of a row that says nothing else."""
START_MS = 1_790_000_400_000  # 2026-09-21T14:20:00Z: a full minute
_FACE: Row = {"interval_ms": 1000, "track": 1, "is_primary": 1}
_SIZE: Row = {"face_size": 120.0, "quality": 0.75}
_FILMS: Row = {"name": "films", "title": "Films", "sha256": "ab" * 32, "order_row": 0}
_RUN: Row = {**_FILMS, "plan": "[]", "state": "running", "saved": 0, "saved_boot_ms": 0}
_MODEL: Row = {"kind": "expression", "name": "tiny", "version": "1.0.0", "sha256": "ab" * 32}
_HOME: Row = {"purpose": "personal", "setting": "home"}
_HOURS: Row = {"weekday": 1, "from_minute": 480, "to_minute": 1260, "since": 0}
DEFAULTS: Mapping[str, Row] = {
    "boot": {"boot_id": "a", "started_ms": 0, "wall_minus_boot_ms": 0, "synchronised": 1},
    "expression": {**_FACE, **_SIZE, "frames": 10, "emotion": "happiness"},
    "movement": {**_FACE, "frames": 5, **dict.fromkeys(NAMES, 0)},
    "unfit": {**_FACE, "frames": 3, "reason": "blurred"},
    "vital": {"kind": "heart_rate", "source": "strap", "value": 72.0},
    "gap": {"source": "camera", "reason": "stalled"},
    "model": {**_MODEL, "since": 0},
    "participant": {"code": "P01", "created": 0},
    "consent": {"participant": "P01", "text_version": "1", "given": 0},
    "session": {"participant": "P01", "purpose": "research", "name": "", "started": 0},
    "marker": {"kind": "stimulus_start"},
    "self_report": {"condition": "anger", "scale": "valence"},
    "exclusion": {"reason": "phone rang", "made": 0, "actor": "ada"},
    "protocol_run": _RUN,
    "standing_session": {"participant": "P01", "text_version": "1", **_HOME, **_HOURS},
    "audit": {"at": 0, "actor": "ada"},
}
"""Table → what its rows have that do not say otherwise."""
_REFERRED_TO = ("boot", "participant", "consent", "session")
_TIMES = frozenset(
    {"at", "started", "ended", "created", "given", "withdrawn", "since", "made", "taken_back"}
    | {"saved"}
)


def instant(seconds: float) -> Instant:
    """The moment ``seconds`` after the start of the made timeline."""
    ms = round(seconds * 1000)
    return Instant(boot_ms=1_000_000 + ms, wall_ms=START_MS + ms)


def second_of(at_ms: int) -> float:
    """Return the seconds from the start of the made timeline to a time."""
    return (at_ms - START_MS) / 1000


def expression(**named: float) -> Expression:
    """An expression with the named probabilities.

    What is left is spread over the other categories.
    """
    rest = (1 - sum(named.values())) / (len(EMOTIONS) - len(named))
    return Expression(tuple(named.get(e.value, rest) for e in EMOTIONS))


@cache
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


def recognition(seconds: float, *observations: Observation, blank: bool = False) -> Recognition:
    """What was seen in a frame at a time; without observations no face was."""
    number = round(seconds * 1000)
    return Recognition(instant(seconds), number, 640, 480, observations, is_blank=blank)


def row(
    seconds: float,
    emotion: Emotion | None = Emotion.HAPPINESS,
    *,
    primary: bool = True,
    shown: Expression | None = None,
    **columns: object,
) -> Row:
    """Return a row of ``expression`` of one second; the face shows its emotion, or as told."""
    named: Row = {"at": seconds, "emotion": emotion, "is_primary": primary}
    return {**named, **(_probabilities(shown) if shown else {}), **columns}


def movements(**values: float) -> FaceMovements:
    """A face at rest that looks straight ahead, but for what is named."""
    assert values.keys() <= set(NAMES)
    return FaceMovements(tuple(values.get(name, 0.0) for name in NAMES))


def movement_row(
    seconds: float, *, primary: bool = True, source: str = "", unread: str = "", **values: float
) -> Row:
    """Return a row of ``movement`` of one second, the mean of 5 readings.

    ``source`` is another program, which does not tell the movement ``unread``.
    """
    told = dict(zip(NAMES, movement_steps(movements(**values).values), strict=True))
    named: Row = {"at": seconds, "is_primary": primary, "source": source}
    return {**named, **told, **({unread: None} if unread else {})}


def session_row(
    start: float, end: float | None, *conditions: tuple[float, float | None, str], **columns: object
) -> Row:
    """Return a row of ``session``, with conditions (begin, end, label)."""
    return {"started": start, "ended": end, "conditions": conditions, **columns}


def reading(
    seconds: float,
    value: float = 72.0,
    kind: VitalKind = VitalKind.HEART_RATE,
    source: str = "strap",
    flags: Iterable[VitalFlag] = (),
) -> VitalReading:
    """A vital reading at a time."""
    return VitalReading(instant(seconds), kind, value, source, frozenset(flags))


def timeline(path: Path, **tables: Iterable[Given]) -> Path:
    """Write plain rows into tables, of a new database where there is none; return its file.

    Times are seconds of the made timeline, or an instant. What a row leaves out has the value of
    ``DEFAULTS`` or of the schema. A participant is named by the code: a session makes its own with
    a consent, if they are not there. Rows that belong to a session belong to the last one unless
    they say otherwise, and its ``conditions`` (begin, end, label) are markers. Rollups are those of
    the rows. A ``VitalReading`` is written as the recorder writes it, judged by its neighbours.

    Args:
        path: a file that ends with ``.db``, or the folder of one.
        tables: rows by the name of their table.

    Raises:
        ValueError: there is no such table or column.
    """
    file = path if path.suffix == ".db" else path / DATABASE_NAME
    is_new = not file.exists()
    if is_new:
        make_empty(file)
    from sqlite_utils import Database  # a test of memory asks what a dashboard loads

    with write_transaction(file) as connection:
        if is_new:
            renew_stream_epoch(connection)
        database = Database(connection, recursive_triggers=False, execute_plugins=False)
        names = database.table_names()
        for name in sorted(tables, key=lambda name: (*_REFERRED_TO, name).index(name)):
            if name not in names:
                raise ValueError(f"There is no table {name!r}. Tables: {', '.join(names)}.")
            is_alone = name in _REFERRED_TO  # each may refer to the one before
            for rows in [[one] for one in tables[name]] if is_alone else [tables[name]]:
                _fill(database, name, rows)
    return file


def make_empty(file: Path) -> None:
    """Write the database that ``migrate`` makes, which a process of tests lets it make once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(0o640)
    file.write_bytes(_empty())


def copied(file: Path, folder: Path) -> Path:
    """Copy a database that nobody has open into a folder; return the copy."""
    assert not file.with_name(f"{file.name}-wal").exists(), "its rows are not all in the file"
    return Path(shutil.copy(file, folder / DATABASE_NAME))


@cache
def _empty() -> bytes:
    """Return a closed database without rows."""
    with TemporaryDirectory() as folder:
        migrate(made := Path(folder, DATABASE_NAME))
        return made.read_bytes()


def _fill(database: Database, name: str, rows: Iterable[Given]) -> None:
    """Write rows into a table, with what they bring."""
    table = database.table(name)
    columns = table.columns_dict
    (last,) = database.execute("SELECT coalesce(max(id), 0) FROM expression").fetchone()
    filled, markers, readings = [], [], []
    for one in rows:
        if isinstance(one, VitalReading):
            readings.append((one, None))
            continue
        given = {**DEFAULTS.get(name, {}), **({"at": one} if isinstance(one, int | float) else one)}
        if name == "session":
            markers += [marker for each in given.pop("conditions", ()) for marker in _both(*each)]
        if unknown := given.keys() - columns:
            raise ValueError(f"{name} has no column {min(unknown)!r}, but {', '.join(columns)}.")
        filled.append(_completed(database, name, columns, given))
    # A column that only some of the rows have would be NULL in the others.
    for _, alike in groupby(filled, key=lambda row: row.keys()):
        table.insert_all(alike)
    if readings:
        write_vitals(database.conn, readings)
    if markers:
        _fill(database, "marker", markers)
    if name == "vital":
        roll_up_vitals(database.conn, [_reading_of(row) for row in filled])
    for rollup, length in ROLLUPS if name == "expression" else ():
        add_expressions(database.conn, rollup, length, "id > ?", (last,))


def _completed(
    database: Database, name: str, columns: Collection[str], given: dict[str, Any]
) -> dict[str, Any]:
    """Return a row as it is stored: with numbers for participant and session, times in UTC ms."""
    if name == "expression" and EXPRESSIONS[0] not in given:
        given |= _probabilities(mostly(Emotion(given["emotion"] or Emotion.NEUTRAL)))
    if name == "session":
        _make_participant(database, given)
    if isinstance(given.get("participant"), str):
        given["participant"] = find_participant(database.conn, given["participant"])
    if name == "marker":
        at = given["at"]
        given.setdefault("boot_ms", (at if isinstance(at, Instant) else instant(at)).boot_ms)
    if "session" in columns and "session" not in given:
        (given["session"],) = database.execute("SELECT max(id) FROM session").fetchone()
    for column in _TIMES & given.keys():
        given[column] = _stored(given[column])
    return given


def _make_participant(database: Database, session: Row) -> None:
    """Make the participant of a session, with a consent, unless they are there."""
    code = session["participant"]
    if not database.execute("SELECT 1 FROM participant WHERE code = ?", [code]).fetchone():
        is_simulated = session.get("simulated", 0)
        made = {"code": code, "created": session["started"], "simulated": is_simulated}
        _fill(database, "participant", [made])
        _fill(database, "consent", [{"participant": code, "given": session["started"]}])


def _both(begin: float, end: float | None, label: str) -> Iterator[Row]:
    """Yield the markers of a condition; a label has no blanks around it."""
    yield {"at": begin, "label": label.strip()}
    if end is not None:
        yield {"at": end, "kind": "stimulus_end", "label": label.strip()}


def _stored(at: Instant | float | None) -> int | None:
    """Return a time in UTC milliseconds."""
    if at is None:
        return None
    return (at if isinstance(at, Instant) else instant(at)).wall_ms


@cache
def _probabilities(shown: Expression) -> Row:
    """Return the columns of ``expression`` for a face that shows this, smoothed or not."""
    return dict(zip((*EXPRESSIONS, *SMOOTHED), per_mille(shown) * 2, strict=True))


def _reading_of(row: Row) -> VitalReading:
    """Return what a row of ``vital`` adds to the rollups."""
    flags = flags_of(row.get("flags", ""))
    at = Instant(0, row["at"])
    return VitalReading(at, VitalKind(row["kind"]), row["value"], row["source"], flags)


def database(
    folder: Path,
    rows: Iterable[Row] = (),
    readings: Iterable[VitalReading] = (),
    simulated: bool = False,
) -> Path:
    """Return a database with rows of one second and readings in it."""
    path = timeline(folder)
    add(path, rows, readings, simulated)
    return path


def add(
    path: Path,
    rows: Iterable[Row] = (),
    readings: Iterable[VitalReading] = (),
    simulated: bool = False,
) -> None:
    """Write rows and readings at once."""
    faces = [{**row, "simulated": simulated} for row in rows]
    timeline(path, expression=faces, vital=readings)


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
    really_open = connection_module.open_connection

    def small(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
        connection = really_open(path, mode, busy_seconds)
        if is_full(path):
            connection.execute("PRAGMA max_page_count = 1")  # or as many as there are
        return connection

    for module in (connection_module, upgrade_module):
        monkeypatch.setattr(module, "open_connection", small)


def wait_for(condition: Callable[[], bool], seconds: float = 240.0) -> None:
    """Return as soon as a condition holds; fail when it does not within the deadline.

    It is asked for less and less often, after a twentieth of what has passed: what is waited for
    needs the processor, too.
    """
    begun = time.monotonic()
    while not condition():
        passed = time.monotonic() - begun
        assert passed < seconds, "the condition did not come true in time"
        time.sleep(min(max(0.005, passed / 20), 0.25))
