"""What options of commands say of the columns and times of a CSV file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.core.errors import DataFileError

if TYPE_CHECKING:
    from edge_agent.vitals.csv_columns import ColumnMap, DateOrder


def zone_of(name: str | None) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``."""
    from edge_agent.vitals.csv_columns import zone_named

    try:
        return zone_named(name or "")
    except DataFileError as error:
        raise click.BadParameter(str(error)) from error


def column_map(
    file: Path, columns: tuple[str, ...], units: tuple[str, ...], dates: DateOrder
) -> ColumnMap | None:
    """Return what ``--map``, ``--unit`` and ``--dates`` say; ``None`` when they say nothing."""
    from edge_agent.vitals.csv import guess_map, read_file
    from edge_agent.vitals.csv_columns import ColumnMap

    given = [word for word in columns if word != "guess"]
    chosen = pairs_of("--map", given)
    of_units = pairs_of("--unit", units)
    if not columns:
        if of_units or dates != "iso":
            raise click.UsageError("--unit and --dates go with --map: say which columns there are.")
        return None
    if "guess" in columns:
        guessed = guess_map(read_file(file))
    else:
        guessed = ColumnMap({})
    return ColumnMap(
        {**guessed.columns, **chosen},
        {**guessed.units, **of_units},
        guessed.dates if dates == "iso" else dates,
    )


def pairs_of(option: str, words: Iterable[str]) -> dict[str, str]:
    """Return what stands before and behind the ``=`` of each word."""
    pairs = [word.partition("=") for word in words]
    wrong = next(
        (name + value for name, sign, value in pairs if not (name and sign and value)), None
    )
    if wrong is not None:
        raise click.UsageError(f"{option} {wrong}: write {option} NAME=VALUE.")
    return {name.strip(): value.strip() for name, _, value in pairs}
