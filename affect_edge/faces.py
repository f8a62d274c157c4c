"""The command that imports the tables of other face programs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import click

from affect_edge import options as common
from affect_edge.options import ACTOR, PATH, Here, answer, cli, json_option, on_appliance
from affect_edge.pictures import INTERVAL_S, SESSION, import_of, session_options

_SHOWN = 40


@cli.command("import-faces")
@click.argument("table", type=PATH)
@click.option(
    "--start", metavar="TIME", required=True, help="Start of the video that the table is of."
)
@session_options
@click.option(
    "--face",
    "faces",
    multiple=True,
    metavar="ID",
    help="Number of the participant's face in a table with several; may be repeated.",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Frames per second of the video, for a table that counts frames (py-feat).",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="Leave out faces with less confidence.",
)
@common.timezone_option
@on_appliance
@json_option
def import_faces(
    here: Here, table: Path, start: str, timezone: str | None, as_json: bool, **chosen: Any
) -> None:
    """Import the TABLE of a video from OpenFace 2, py-feat, FaceReader or EmotiEffLib.

    Emotions, movements of the face and pose become rows of the timeline, means over seconds, as
    with analyse-video --into-session.
    """
    into = {name: chosen[name] for name in SESSION if chosen[name] is not None}
    if ("into_session" in into) == ("participant" in into):
        raise click.UsageError(
            "A table goes into one session: give either --into-session ID or --participant CODE "
            "with --purpose."
        )
    start_ms = common.instant_ms("--start", start, timezone)
    database = here.made_database()
    from edge_agent.core.brought_files import one_table
    from edge_agent.core.expression import ExpressionRow
    from edge_agent.timeline.intake.video import short_lived_rows, store_video
    from edge_agent.timeline.study.past import PastSession
    from edge_agent.vision.face_tables import FaceChoice, read_face_table

    choice = FaceChoice(chosen["faces"], chosen["fps"], chosen["confidence"])
    with one_table(table) as (plain, others), common.row_bar(repeat(None), "Reading") as bar:
        faces = read_face_table(plain, choice, partial(bar.update, 1))
        _check_people(plain, start_ms, into.get("participant"), database)
    rows = faces.timeline(start_ms, INTERVAL_S)
    about = f"{plain.name} ({faces.program})"
    new = import_of(plain, start_ms, faces.seconds, timezone, into, database)
    if isinstance(new.session, PastSession):
        new = replace(new, session=replace(new.session, origin=f"import: {about}"))
    expressions = sum(isinstance(row, ExpressionRow) for row in rows)
    brought = {"expression": expressions, "movement": len(rows) - expressions}
    tables = tuple(name for name, count in brought.items() if count)
    new = replace(new, about=about, tables=tables, action="faces_import")
    warnings = short_lived_rows(rows, here.settings.record.keep_days)
    for sentence in warnings:
        common.agree(sentence)
    purposes = here.settings.dashboard.purposes
    length_ms = round(INTERVAL_S * 1000)
    session = store_video(database, new, rows, length_ms, purposes=purposes, actor=ACTOR)
    told = {
        "file": str(table),
        "program": faces.program,
        "rows": faces.rows,
        "with_face": len(faces.readings),
        "seconds": round(faces.seconds, 3),
        "expressions": brought["expression"],
        "movements": brought["movement"],
        "in": f"session {session.id}",
        "left_out": dict(faces.left_out),
        "not_taken": [*others, *faces.not_taken],
        "notes": [*faces.notes, *warnings],
    }
    answer(as_json, told, _lines(told))


def _check_people(path: Path, start_ms: int, code: str | None, database: Path) -> None:
    """Refuse a table with a column that names another participant than the one that it is given to.

    Raises:
        DataFileError: it has one, or its name says another participant.
    """
    from edge_agent.timeline.intake.named_people import (
        NamedFile,
        Owners,
        RowsOfPeople,
        names_people,
    )
    from edge_agent.vision.face_tables import face_file

    file, people = face_file(path), Owners(database)
    first = next((row for row in file.rows() if not row.fault), None)
    if first is None:
        return
    # A table has hundreds of columns: those of numbers name nobody, unless their name says so.
    places = {
        place: name
        for place, (name, text) in enumerate(zip(file.header, first.cells, strict=True))
        if names_people(name) or (text and not _is_number(text))
    }
    owners = [code] if code is not None else people.at(start_ms)
    named = NamedFile(path.name, people.codes)
    named.add(owners)
    named.finish()
    whose = RowsOfPeople(file.name, places.values(), (), people.codes, lambda _: owners)
    for row in file.rows() if places else ():
        if not row.fault:
            cells = {name: row.cells[place] for place, name in places.items()}
            whose.add(row.number, cells, [start_ms])
    whose.finish()


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        float(text.replace(",", "."))
        return True
    return False


def _lines(told: dict[str, Any]) -> list[str]:
    """Return the result of an import, for people."""
    lines = [
        "{file}: {program}, {rows:,} rows of {seconds:.1f} s, {with_face:,} with the face; "
        "{expressions:,} rows of emotions and {movements:,} of movements → {in}".format(**told)
    ]
    if told["left_out"]:
        left = ", ".join(f"{count:,} {why}" for why, count in told["left_out"].items())
        lines.append(f"Left out: {left}.")
    if told["not_taken"]:
        more = len(told["not_taken"]) - _SHOWN
        names = ", ".join(told["not_taken"][:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"Not taken: {names}.")
    return [*lines, *told["notes"]]
