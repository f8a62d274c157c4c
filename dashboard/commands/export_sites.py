"""``python -m dashboard export-sites``: what ``affect-edge export --source`` asks for."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dashboard.analysis.question import AnalysisQuery, describe
from dashboard.analysis.readings.sites import reader_of
from dashboard.commands.exit_codes import run_command
from dashboard.export_jobs import StudyExport, export_sites
from dashboard.fleet.known import Sites
from dashboard.fleet.source import study_source
from edge_agent.core.errors import StoreError
from edge_agent.store.export.files import check_new
from edge_agent.store.export.formats import all_formats, format_named
from edge_agent.store.export.rows import Choice
from edge_agent.store.export.sealed import SUFFIX as SEALED
from edge_agent.store.export.sealed import seal

_Result = TypeVar("_Result")


class Wanted(BaseModel):
    """A request to export sites, as JSON on standard input: no list of processes shows a
    passphrase.

    Attributes:
        source: address of the database that collectors write to.
        devices: whose studies; empty with ``every``.
        every: of all devices there are.
        out: the new file.
        format: name of the format of each site's folder.
        sessions: by their numbers in the study over these devices; ``None``: all.
        start_ms: only from here on, by each device's own clock.
        end_ms: only before this.
        question: of the analysis; ``None``: the one that the Analysis page asks by itself.
        models: names or paths of the configured models.
        passphrase: locks the file; ``None``: it is not locked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    devices: tuple[str, ...] = ()
    every: bool = False
    out: Path
    format: str = "bundle"
    sessions: tuple[int, ...] | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    question: dict[str, Any] | None = None
    models: tuple[str, ...] = ()
    passphrase: str | None = Field(None, repr=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
def export_sites_command() -> None:
    """Export the study of several devices, all of one moment of PostgreSQL, as one zip."""
    wanted = _wanted(sys.stdin.read())
    if wanted.format not in {each.name for each in all_formats()}:
        raise click.UsageError(f"format = {wanted.format!r:.40}: there is no such format.")
    check_new(wanted.out)
    source = study_source(wanted.source, Path(), wanted.devices, every=wanted.every)
    with source.databases() as sites:
        asked = _asked(wanted, sites)
        if wanted.passphrase is None:
            export_sites(sites, asked, wanted.out, _call, _say_progress)
        else:
            with tempfile.TemporaryDirectory(prefix="affect-edge-export-") as folder:
                name = wanted.out.name.removesuffix(SEALED).removesuffix(".zip")
                plain = Path(folder) / f"{name}.zip"
                export_sites(sites, asked, plain, _call, _say_progress)
                seal(plain, wanted.out, wanted.passphrase)
    click.echo(wanted.out, color=False)


def _wanted(text: str) -> Wanted:
    try:
        return Wanted.model_validate_json(text)
    except ValidationError as error:
        raise click.UsageError(" ".join(describe(error))) from error


def _asked(wanted: Wanted, sites: Sites) -> StudyExport:
    """Return what is asked of these sites; what takes sessions alone takes all there are."""
    try:
        question = AnalysisQuery.model_validate(wanted.question or {}).model_dump(mode="json")
    except ValidationError as error:
        raise click.UsageError(f"--question: {' '.join(describe(error))}") from error
    form = format_named(wanted.format)
    known = {session.id for session in reader_of(sites).session_list()}
    sessions = wanted.sessions
    if sessions is None and form.needs_sessions:
        sessions = tuple(sorted(known))
        if not sessions:
            raise StoreError(
                f"There is no session in the study over these devices; {form.name} is of sessions."
            )
    unknown = sorted(set(sessions or ()) - known)
    if unknown:
        raise StoreError(f"There is no session {unknown[0]} in the study over these devices.")
    choice = Choice(sessions, wanted.start_ms, wanted.end_ms)
    return StudyExport(form, choice, question, wanted.models)


def _call(function: Callable[..., _Result], *values: Any) -> _Result:
    return function(*values)


def _say_progress(share: float) -> None:
    """Say on stderr how far it is, where somebody looks."""
    if sys.stderr.isatty():
        click.echo(f"\rExporting: {100 * share:.0f} %", nl=share == 1.0, err=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code: 0 done, 1 failed while running, 2 wrong use."""
    return run_command(export_sites_command, arguments, "affect-edge export")
