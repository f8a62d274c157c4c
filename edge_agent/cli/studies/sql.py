"""The command that answers questions in SQL."""

from __future__ import annotations

import csv
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.options import common_options, load, log_to_stderr

if TYPE_CHECKING:
    from edge_agent.store.export.ad_hoc import AdHocReader, Answer

_WIDEST = 60
"""Signs of a value in a table; longer ones are cut."""


@click.command()
@click.argument("query", required=False)
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fill a named place of the query, such as :session.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "jsonl"]),
    default="table",
    show_default=True,
    help="json: one list; jsonl: a line for each row.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="How long the answer may take.",
)
@common_options
def sql(
    query: str | None,
    values: tuple[str, ...],
    form: str,
    seconds: float,
    config: Path | None,
    data: Path | None,
) -> None:
    """Answer a question in SQL (SELECT …) from the timeline; without one, list what there is.

    The database is only read, also beside a running agent. Its tables and views are described in
    docs/data.md. Secrets of accounts are empty.
    """
    log_to_stderr(logging.WARNING)
    _, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.export.ad_hoc import AdHocReader, QueryError

    given = dict(_pair(value) for value in values)
    with AdHocReader(folder / DATABASE_NAME, seconds) as reader:
        if query is None:
            _list(reader)
            return
        try:
            _print(reader.ask(query, given), form)
        except QueryError as error:
            raise click.UsageError(str(error)) from error


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--value {text!r} names no value: write --value NAME=VALUE.")
    return name, value


def _list(reader: AdHocReader) -> None:
    """Print tables and views with their columns."""
    for kind, name, columns in reader.tables():
        click.echo(f"{kind} {name}: {', '.join(columns)}")


def _print(answer: Answer, form: str) -> None:
    if form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(answer.columns)
        writer.writerows(_plain(row) for row in answer.rows)
    elif form == "json":
        rows = [_object(answer.columns, row) for row in answer.rows]
        click.echo(json.dumps(rows, ensure_ascii=False))
    elif form == "jsonl":
        for row in answer.rows:
            click.echo(json.dumps(_object(answer.columns, row), ensure_ascii=False))
    else:
        for line in _table(answer.columns, answer.rows):
            click.echo(line)


def _object(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row by its columns; of two columns of one name the last counts."""
    return dict(zip(columns, _plain(row), strict=True))


def _plain(row: Sequence[Any]) -> list[Any]:
    """Return the values of a row, bytes as hexadecimal digits."""
    return [value.hex() if isinstance(value, bytes) else value for value in row]


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    """Return the lines of a table for people: numbers to the right, long texts cut."""
    kept = [_plain(row) for row in rows]
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
