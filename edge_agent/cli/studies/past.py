"""The commands about a study that has taken place: its sessions and markers at any time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import ACTOR, common_options, json_option
from edge_agent.cli.studies.study import data_of, named, say_session, session
from edge_agent.cli.times import instant_ms, timezone_option
from edge_agent.core.errors import DataFileError, ReadingError, shown_value

if TYPE_CHECKING:
    from datetime import tzinfo

    from edge_agent.store.study.past import PastMarker

_NEEDED = ("at", "kind")
_KNOWN = (*_NEEDED, "label", "session")
_PASSED_OVER = ("at_ms", "participant")
_PROBLEMS_SHOWN = 10
_DIGITS = 18  # of a number that a database holds


@session.command("add")
@click.option("--participant", "code", required=True, metavar="CODE", help="Whose session it was.")
@click.option(
    "--from", "start", required=True, metavar="TIME", help="Start, such as 2026-11-20T08:15:00Z."
)
@click.option("--to", "end", required=True, metavar="TIME", help="End.")
@click.option(
    "--purpose", required=True, help="research, medical, safety, personal or demonstration."
)
@click.option(
    "--setting",
    default="other",
    show_default=True,
    help="home, laboratory, clinic, workplace, education.",
)
@click.option("--name", default="", help="What to call it.")
@click.option("--simulated", is_flag=True, help="It is made up.")
@timezone_option
@common_options
@json_option
def session_add(
    code: str,
    start: str,
    end: str,
    timezone: str | None,
    config: Path | None,
    data: Path | None,
    as_json: bool,
    **about: str | bool,
) -> None:
    """Add a session that has taken place: an interval of the timeline at any time.

    Consent must have stood, and no other session may lie in its time. What was recorded or
    imported in that time belongs to it from then on.
    """
    settings, database = data_of(config, data)
    from edge_agent.core.study import Purpose, SessionSetting
    from edge_agent.store.study.past import PastSession
    from edge_agent.store.study.past import add_session as add

    new = PastSession(
        participant=code,
        purpose=named(Purpose, "--purpose", str(about["purpose"])),
        start_ms=instant_ms("--from", start, timezone),
        end_ms=instant_ms("--to", end, timezone),
        name=str(about["name"]),
        setting=named(SessionSetting, "--setting", str(about["setting"])),
        simulated=bool(about["simulated"]),
    )
    say_session(add(database, new, purposes=settings.dashboard.purposes, actor=ACTOR), as_json)


@click.command("import-markers")
@click.argument("file", type=click.Path(path_type=Path))
@timezone_option
@common_options
@json_option
def import_markers(
    file: Path, timezone: str | None, config: Path | None, data: Path | None, as_json: bool
) -> None:
    """Import markers of sessions from a CSV file: all of them, or nothing.

    Columns: at, kind (stimulus_start, stimulus_end, baseline, note), label, and session where the
    time alone shall not say which it is.
    """
    _settings, database = data_of(config, data)
    from edge_agent.cli.readings.columns import zone_of
    from edge_agent.store.study.past import add_markers

    markers = read_markers(file, zone_of(timezone))
    inserted, there = add_markers(database, markers, actor=ACTOR)
    if as_json:
        click.echo(json.dumps({"imported": inserted, "duplicates": there}))
        return
    more = f", {there} were there already" if there else ""
    click.echo(f"{inserted} {'marker' if inserted == 1 else 'markers'} imported{more}")


def read_markers(path: Path, zone: tzinfo | None) -> list[PastMarker]:
    """Return the markers of a CSV file.

    Raises:
        DataFileError: the file cannot be read, a column is missing or not known, or rows are bad:
            the first ten are named by row, column and value.
    """
    from edge_agent.vitals.csv import read_file

    file = read_file(path)
    header = [name.lower() for name in file.header]
    _check_header(file.name, header)
    markers: list[PastMarker] = []
    problems: list[str] = []
    for number, cells in file.rows():
        try:
            markers.append(_marker_of(header, cells, zone))
        except ReadingError as error:
            column = f", column {error.field}: {error.shown}" if error.field else ""
            problems.append(f"{file.name}, row {number}{column} {error.reason}")
            if len(problems) == _PROBLEMS_SHOWN:
                break
    if problems:
        shown = "\n".join(problems)
        raise DataFileError(f"{shown}\nNothing was imported.")
    if not markers:
        raise DataFileError(f"{file.name}: has no rows below the names of the columns.")
    return markers


def _check_header(name: str, header: list[str]) -> None:
    for column in _NEEDED:
        if column not in header:
            raise DataFileError(
                f"{name}, row 1: column {column} is missing. Columns found: {', '.join(header)}; "
                f"known: {', '.join(_KNOWN)}."
            )
    for column in header:
        if column not in (*_KNOWN, *_PASSED_OVER) or header.count(column) > 1:
            raise DataFileError(
                f"{name}, row 1: column {column!r} is not known, or there twice. Known: "
                f"{', '.join(_KNOWN)}."
            )


def _marker_of(header: list[str], cells: list[str], zone: tzinfo | None) -> PastMarker:
    """Return the marker of a row.

    Raises:
        ReadingError: a cell is missing, too many or no value of its column.
    """
    from edge_agent.core.reading_times import time_ms
    from edge_agent.core.study import MarkerKind
    from edge_agent.store.export.rows.cells import recorded
    from edge_agent.store.study.past import PastMarker

    if len(cells) != len(header):
        counts = f"has {len(cells)} values, but there are {len(header)} columns."
        raise ReadingError("", "", f"{counts} A comma in a label needs quotes around it.")
    row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    number, kind = row.get("session", ""), row["kind"]
    if number and not (number.isdecimal() and len(number) <= _DIGITS):
        raise ReadingError("session", shown_value(number), "is no number of a session.")
    if kind not in list(MarkerKind):
        raise ReadingError("kind", shown_value(kind), f"is not one of {', '.join(MarkerKind)}.")
    label = recorded(row.get("label", ""))
    at_ms = time_ms(row["at"], zone)
    return PastMarker(at_ms, MarkerKind(kind), label, int(number) if number else None)
