"""The command that takes the timeline along."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, load, log_to_stderr

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.store.export.appliance import Appliance
    from edge_agent.store.export.progress import Tell

FORMATS = ("bundle", "csv", "json", "fhir", "parquet")


@click.command()
@common_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="New file (bundle, json, fhir), or folder (csv, parquet); made if needed.",
)
@click.option(
    "--session", "sessions", type=int, multiple=True, help="Only this session; may be repeated."
)
@click.option("--from", "start", type=click.DateTime(), help="Begin, local time.")
@click.option("--to", "end", type=click.DateTime(), help="End, local time.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="bundle: a zip that explains and recomputes itself. csv: a folder of tables. json: one "
    "document. fhir: an R4 bundle of sessions. parquet: a folder of tables. Default: bundle "
    "for a name that ends in .zip, else csv.",
)
def export(
    config: Path | None,
    data: Path | None,
    out: Path,
    sessions: tuple[int, ...],
    start: datetime | None,
    end: datetime | None,
    form: str | None,
) -> None:
    """Export the timeline: expressions, vitals, episodes, markers, self-reports and sessions."""
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.export.formats.registry import Format
    from edge_agent.store.export.formats.registry import export as write
    from edge_agent.store.export.rows.selection import Choice

    start_ms = epoch_ms(start)
    end_ms = epoch_ms(end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise click.UsageError(
            f"--from {start:%Y-%m-%dT%H:%M:%S} is not before --to {end:%Y-%m-%dT%H:%M:%S}."
        )
    if form == "fhir" and not sessions:
        raise click.UsageError("--format fhir tells of sessions: name at least one with --session.")
    chosen = Format(form or ("bundle" if out.suffix == ".zip" else "csv"))
    choice = Choice(sessions or None, start_ms, end_ms)
    with _progress_bar() as tell:
        files = write(folder / DATABASE_NAME, out, chosen, choice, _appliance(settings), tell)
    for file in files:
        click.echo(file)


def epoch_ms(local: datetime | None) -> int | None:
    """Return UTC milliseconds of a local time."""
    try:
        if local is None:
            return None
        return round(local.astimezone().timestamp() * 1000)
    except (OverflowError, ValueError, OSError) as error:
        raise click.BadParameter(
            f"{local}: is no time that this machine can reckon with."
        ) from error


def _appliance(settings: Settings) -> Appliance:
    """Return what an export tells of this appliance."""
    from edge_agent.store.export.appliance import Appliance, public_settings
    from edge_agent.vision.models.known_cards import known_cards

    models = (settings.vision.expression_model, settings.vision.detector_model)
    return Appliance(settings.device.name, public_settings(settings), known_cards(models))


@contextmanager
def _progress_bar() -> Iterator[Tell | None]:
    """Show how far an export has come, on a terminal only.

    On standard error, so that the output stays a list.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1000, label="Exporting", file=sys.stderr) as bar:

        def tell(share: float) -> None:
            step = int(1000 * share) - bar.pos
            if step > 0:
                bar.update(step)

        yield tell
        tell(1.0)
