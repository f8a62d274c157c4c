"""``affect-edge export --source``: the study of several devices as one zip."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from dashboard.analysis.query import AnalysisQuery
from dashboard.export_jobs import StudyExport, export_sites
from dashboard.fleet.source import study_source
from edge_agent.core.errors import StoreError
from edge_agent.timeline.export.files import check_new
from edge_agent.timeline.export.format import ExportFormat
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.sealed import SUFFIX as SEALED
from edge_agent.timeline.export.sealed import seal
from edge_agent.timeline.read.sites import Sites, reader_of

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which studies are exported, and how.

    Attributes:
        source: address of the database that collectors write to.
        devices: whose studies; empty with ``every``.
        every: of all devices there are.
        out: the new file.
        form: format of each site's folder.
        choice: which rows. Session numbers are those of the combined study; times are by each
            device's own clock.
        question: returns the question of the analysis about sites and numbers of sessions, ``None``
            for all of them.
        models: names or paths of the configured models.
        passphrase: locks the file; ``None``: it is not locked.
    """

    source: str
    devices: tuple[str, ...]
    every: bool
    out: Path
    form: ExportFormat
    choice: ExportChoice
    question: Callable[[Sites, tuple[int, ...] | None], AnalysisQuery]
    models: tuple[str, ...]
    passphrase: str | None = field(repr=False)


def export_studies(wanted: Wanted) -> None:
    """Export the study of several devices, all of one moment of PostgreSQL, as one zip.

    Raises:
        StoreError: the file exists, a database cannot be read, or a session is not there.
    """
    check_new(wanted.out)
    source = study_source(wanted.source, Path(), wanted.devices, every=wanted.every)
    with source.databases() as sites:
        asked = _asked(wanted, sites)
        if wanted.passphrase is None:
            export_sites(sites, asked, wanted.out, _call, _say_progress)
            return
        with tempfile.TemporaryDirectory(prefix="affect-edge-export-") as folder:
            name = wanted.out.name.removesuffix(SEALED).removesuffix(".zip")
            plain = Path(folder) / f"{name}.zip"
            export_sites(sites, asked, plain, _call, _say_progress)
            seal(plain, wanted.out, wanted.passphrase)


def _asked(wanted: Wanted, sites: Sites) -> StudyExport:
    """Return what is asked of these sites; what takes sessions alone takes all there are."""
    form = wanted.form
    known = {session.id for session in reader_of(sites).session_list()}
    sessions = wanted.choice.sessions
    if sessions is None and form.needs_sessions:
        sessions = tuple(sorted(known))
        if not sessions:
            raise StoreError(
                f"The study of these devices has no session; {form.name} needs at least one."
            )
    unknown = sorted(set(sessions or ()) - known)
    if unknown:
        raise StoreError(f"There is no session {unknown[0]} in the study of these devices.")
    question = wanted.question(sites, sessions).model_dump(mode="json")
    return StudyExport(form, replace(wanted.choice, sessions=sessions), question, wanted.models)


def _call(function: Callable[..., _Result], *values: Any) -> _Result:
    return function(*values)


def _say_progress(share: float) -> None:
    """Say on stderr how far it is, where somebody looks."""
    if sys.stderr.isatty():
        click.echo(f"\rExporting: {100 * share:.0f} %", nl=share == 1.0, err=True)
