"""The timeline as tidy CSV files with a description that programs can read."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import csv
import json
import sqlite3
import tempfile
from collections.abc import Collection, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from edge_agent import __version__, clock
from edge_agent.domain import VitalKind
from edge_agent.errors import StoreError, StudyError
from edge_agent.store.columns import FILES, TITLES
from edge_agent.store.matching import observed_before
from edge_agent.store.reader import session_labels
from edge_agent.store.schema import reading
from edge_agent.store.views import EPISODES, iso

DESCRIPTION = "datapackage.json"
_PACKAGE = "affect-edge-export"
_ALWAYS = (0, 2**62)

# Every query gives the columns of its file in their order, for one range of time.
_BY_TIME = {
    "expression": "FROM expression_view WHERE at_ms >= :start AND at_ms < :end ORDER BY at_ms, track",
    "unfit": "FROM unfit_view WHERE at_ms >= :start AND at_ms < :end ORDER BY at_ms, track, reason",
    "vital": """FROM (SELECT *, observed_before(session, at_ms, kind) AS observed FROM vital_view)
        WHERE at_ms >= :start AND at_ms < :end ORDER BY at_ms, kind, source""",
    "episode": f"FROM ({EPISODES.format(and_where='AND at >= :start AND at < :end')}) ORDER BY start_ms",
    "gap": f"""FROM (SELECT {iso("started")} AS start_at, {iso("ended")} AS end_at, started AS start_ms,
        ended AS end_ms, source, reason, id FROM gap WHERE started < :end AND ended > :start) ORDER BY start_ms, id""",
}
_BY_SESSION = {
    "marker": f"""FROM (SELECT {iso("marker.at")} AS at, marker.at AS at_ms, marker.id, session,
        code AS participant, marker.kind, label
        FROM marker JOIN session ON session.id = marker.session JOIN participant ON participant.id = session.participant
        WHERE session IN (SELECT value FROM json_each(:sessions)) AND marker.at >= :start AND marker.at < :end)
        ORDER BY at_ms, id""",
    "self_report": f"""FROM (SELECT {iso("self_report.at")} AS at, self_report.at AS at_ms, self_report.id, session,
        code AS participant, condition, scale, value
        FROM self_report JOIN session ON session.id = self_report.session
        JOIN participant ON participant.id = session.participant
        WHERE session IN (SELECT value FROM json_each(:sessions)) AND self_report.at >= :start
        AND self_report.at < :end) ORDER BY at_ms, id""",
    "session": f"""FROM (SELECT session.id AS session, code AS participant, purpose, setting, name,
        {iso("started")} AS start_at, started AS start_ms, {iso("ended")} AS end_at, ended AS end_ms, session.simulated
        FROM session JOIN participant ON participant.id = session.participant
        WHERE session.id IN (SELECT value FROM json_each(:sessions))) ORDER BY start_ms""",
    "participant": f"""FROM (SELECT participant.id, code AS participant, {iso("created")} AS created_at,
        text_version AS consent_version, {iso("given")} AS consent_given_at,
        {iso("withdrawn")} AS consent_withdrawn_at, simulated
        FROM participant LEFT JOIN consent ON consent.id =
            (SELECT max(id) FROM consent WHERE consent.participant = participant.id)
        WHERE :everybody OR participant.id IN (SELECT participant FROM session
            WHERE id IN (SELECT value FROM json_each(:sessions)))) ORDER BY participant""",
}


def export_csv(
    database: Path,
    out_dir: Path,
    *,
    sessions: Collection[int] | None = None,
    start_ms: int | None = None,
    end_ms: int | None = None,
) -> list[Path]:
    """Write the timeline, or a part of it, into a folder as CSV files and ``datapackage.json``.

    All files show the same moment of a database that may be written meanwhile. The folder appears when it is complete.

    Args:
        database: the database.
        out_dir: a new or empty folder, or one with an earlier export, which is replaced.
        sessions: only what lies in these sessions; ``None`` is everything.
        start_ms: only what lies from here on, UTC epoch milliseconds.
        end_ms: only what lies before.

    Returns:
        The files written.

    Raises:
        StoreError: the database cannot be read, or the folder cannot be written or holds something else.
        StudyError: there is no such session.
    """
    span = (_ALWAYS[0] if start_ms is None else start_ms, _ALWAYS[1] if end_ms is None else end_ms)
    _check_target(out_dir)
    with reading(database) as connection:
        _teach(connection)
        selected = _sessions(connection, sessions, span)
        ranges = [span] if sessions is None else _clipped(connection, selected, span)
        everybody = sessions is None and span == _ALWAYS
        try:
            out_dir.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}-", dir=out_dir.parent) as name:
                _write_files(connection, Path(name), selected, ranges, span, everybody)
                return _put_in_place(Path(name), out_dir)
        except OSError as error:
            raise StoreError(
                f"{error.filename or out_dir}: cannot be written ({error.strerror or error}). Name another folder, or "
                "free space. Nothing was exported."
            ) from error


def _teach(connection: sqlite3.Connection) -> None:
    """Let queries ask which emotion was observed before a reading, by the same function as the dashboard's tests."""
    labels = lru_cache(maxsize=2)(partial(session_labels, connection))  # readings come in order of time

    def observed(session: int | None, at_ms: int, kind: str) -> str | None:
        return None if session is None else observed_before(labels(session), at_ms, VitalKind(kind))

    connection.create_function("observed_before", 3, observed)


def _check_target(out_dir: Path) -> None:
    """Refuse a folder that holds what we did not write."""
    try:
        if not out_dir.exists():
            return
        if not out_dir.is_dir():
            raise StoreError(f"{out_dir}: is a file. Name a folder for the export.")
        if any(out_dir.iterdir()) and _package_name(out_dir / DESCRIPTION) != _PACKAGE:
            raise StoreError(f"{out_dir}: is not empty and holds no earlier export. Name a new folder for the export.")
    except OSError as error:
        raise StoreError(f"{out_dir}: cannot be read ({error.strerror}). Name another folder.") from error


def _package_name(description: Path) -> str | None:
    """Return the name in a data package's description, ``None`` where there is none."""
    try:
        described = json.loads(description.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return described.get("name") if isinstance(described, dict) else None


def _sessions(connection: sqlite3.Connection, wanted: Collection[int] | None, span: tuple[int, int]) -> list[int]:
    """Return the sessions asked for, or those that overlap the span."""
    if wanted is None:
        rows = connection.execute(
            "SELECT id FROM session WHERE started < ? AND (ended IS NULL OR ended > ?) ORDER BY id", (span[1], span[0])
        )
        return [row["id"] for row in rows]
    known = {row["id"] for row in connection.execute("SELECT id FROM session")}
    for session in wanted:
        if session not in known:
            there = ", ".join(map(str, sorted(known))) or "none"
            raise StudyError(f"There is no session {session}. Sessions: {there}.")
    return sorted(set(wanted))


def _clipped(connection: sqlite3.Connection, sessions: list[int], span: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the parts of the sessions that lie in the span, in order of time."""
    rows = connection.execute(
        "SELECT max(started, :start) AS first, min(coalesce(ended, :end), :end) AS last FROM session "
        "WHERE id IN (SELECT value FROM json_each(:sessions)) ORDER BY started",
        {"start": span[0], "end": span[1], "sessions": json.dumps(sessions)},
    )
    return [(row["first"], row["last"]) for row in rows if row["first"] < row["last"]]


def _write_files(
    connection: sqlite3.Connection,
    folder: Path,
    sessions: list[int],
    ranges: list[tuple[int, int]],
    span: tuple[int, int],
    everybody: bool,
) -> None:
    """Write all files into a folder."""
    for name, query in _BY_TIME.items():
        _write_csv(connection, folder, name, query, [{"start": start, "end": end} for start, end in ranges])
    chosen = {"sessions": json.dumps(sessions), "start": span[0], "end": span[1], "everybody": everybody}
    for name, query in _BY_SESSION.items():
        _write_csv(connection, folder, name, query, [chosen])
    (folder / DESCRIPTION).write_text(json.dumps(_description(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_csv(
    connection: sqlite3.Connection, folder: Path, name: str, query: str, parameters: Iterable[dict[str, Any]]
) -> None:
    """Write the rows that a query gives for each set of parameters."""
    names = [column.name for column in FILES[name]]
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for values in parameters:
            writer.writerows(connection.execute(f"SELECT {', '.join(names)} {query}", values))


def _description() -> dict[str, Any]:
    """Return the description of the files after the Data Package standard (frictionlessdata.io)."""
    return {
        "name": _PACKAGE,
        "title": "Timeline recorded by Affect Edge",
        "created": clock.iso_utc(clock.now().wall_ms),
        "version": __version__,
        "resources": [
            {
                "name": name,
                "title": TITLES[name],
                "path": f"{name}.csv",
                "format": "csv",
                "encoding": "utf-8",
                "schema": {"fields": [column.as_field() for column in columns], "missingValues": [""]},
            }
            for name, columns in FILES.items()
        ],
    }


def _put_in_place(complete: Path, out_dir: Path) -> list[Path]:
    """Move the complete files to where they were asked for."""
    names = [f"{name}.csv" for name in FILES] + [DESCRIPTION]
    if out_dir.exists():
        for name in names:
            (complete / name).replace(out_dir / name)
    else:
        staged = complete / "staged"
        staged.mkdir()
        for name in names:
            (complete / name).rename(staged / name)
        staged.rename(out_dir)
    return [out_dir / name for name in names]
