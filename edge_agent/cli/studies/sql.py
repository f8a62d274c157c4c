"""The command that answers questions in SQL."""

from __future__ import annotations

import csv
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.options import common_options, load, log_to_stderr
from edge_agent.cli.tables import plain, table_lines

if TYPE_CHECKING:
    from edge_agent.store.export.ad_hoc import AdHocReader, Answer

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
    docs/data.md.
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
        writer.writerows(plain(row) for row in answer.rows)
    elif form == "json":
        rows = [_object(answer.columns, row) for row in answer.rows]
        click.echo(json.dumps(rows, ensure_ascii=False))
    elif form == "jsonl":
        for row in answer.rows:
            click.echo(json.dumps(_object(answer.columns, row), ensure_ascii=False))
    else:
        for line in table_lines(answer.columns, answer.rows):
            click.echo(line)


def _object(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row by its columns; of two columns of one name the last counts."""
    return dict(zip(columns, plain(row), strict=True))
