"""Times that commands take: ISO 8601 with a zone, or with one that an option names."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

import click

from edge_agent.core.errors import DataFileError, ReadingError

P = ParamSpec("P")


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
    from edge_agent.core.reading_times import time_ms
    from edge_agent.vitals.csv_columns import zone_named

    try:
        return time_ms(text, zone_named(timezone or ""))
    except DataFileError as error:
        raise click.BadParameter(str(error)) from error
    except ReadingError as error:
        raise click.BadParameter(f"{option} {error.shown} {error.reason}") from error
