"""Options, times and tables in common.

What several commands have in common: their options, the configuration, the log.

Times that commands take: ISO 8601 with a zone, or with one that an option names.

Tables that commands print for people.

What options of commands say of the columns and times of a CSV file.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

from edge_agent.core.errors import DataFileError, ReadingError

if TYPE_CHECKING:
    from edge_agent.config.settings import Settings
    from edge_agent.vitals.csv import ColumnMap, DateOrder


P = ParamSpec("P")

ACTOR = "command line"
"""Name of the command line in the audit trail."""


def common_options(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--config`` and ``--data``."""
    config = click.option(
        "--config", type=click.Path(path_type=Path), help="Configuration file (TOML)."
    )
    data = click.option(
        "--data", type=click.Path(path_type=Path), help="Data folder; wins over the configuration."
    )
    return config(data(command))


def json_option(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON only.")(command)


def load(config: Path | None, data: Path | None) -> tuple[Settings, Path]:
    """Read the configuration and settle the data folder."""
    from edge_agent.config.loading import load_settings
    from edge_agent.config.section import at_home

    settings = load_settings(config)
    return settings, at_home(data or settings.data.folder)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the log to standard error; under systemd the journal adds the time."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    if under_systemd:
        form = "%(levelname)s %(name)s: %(message)s"
    else:
        form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=level, format=form, datefmt="%H:%M:%S", stream=sys.stderr, force=True)


def timezone_option(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--timezone``."""
    return click.option(
        "--timezone",
        help="Zone of times that name none, such as Europe/Berlin; else such times are refused.",
    )(command)


def instant_ms(option: str, text: str, timezone: str | None) -> int:
    """Return the UTC milliseconds of a time that an option gives.

    Raises:
        click.BadParameter: it is no time, or has no zone and none is named.
    """
    from edge_agent.core.readings import time_ms
    from edge_agent.vitals.csv import zone_named

    try:
        return time_ms(text, zone_named(timezone or ""))
    except DataFileError as error:
        raise click.BadParameter(str(error)) from error
    except ReadingError as error:
        raise click.BadParameter(f"{option} {error.shown} {error.reason}") from error


_WIDEST = 60


def plain(row: Sequence[Any]) -> list[Any]:
    """Return the values of a row, bytes as hexadecimal digits."""
    return [value.hex() if isinstance(value, bytes) else value for value in row]


def table_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    """Return the lines of a table for people: numbers to the right, long texts cut."""
    kept = [plain(row) for row in rows]
    texts = [[_text(value) for value in row] for row in kept]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    yield "  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip()
    yield "  ".join("-" * width for width in widths)
    for row, shown in zip(kept, texts, strict=True):
        cells = []
        for value, text, width in zip(row, shown, widths, strict=True):
            if isinstance(value, int | float):
                cells.append(text.rjust(width))
            else:
                cells.append(text.ljust(width))
        yield "  ".join(cells).rstrip()


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).replace("\n", " ")
    if len(text) > _WIDEST:
        return text[: _WIDEST - 1] + "…"
    return text


def zone_of(name: str | None) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``."""
    from edge_agent.vitals.csv import zone_named

    try:
        return zone_named(name or "")
    except DataFileError as error:
        raise click.BadParameter(str(error)) from error


def column_map(
    file: Path, columns: tuple[str, ...], units: tuple[str, ...], dates: DateOrder
) -> ColumnMap | None:
    """Return what ``--map``, ``--unit`` and ``--dates`` say; ``None`` when they say nothing."""
    from edge_agent.vitals.csv import ColumnMap, guess_map, read_file

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
