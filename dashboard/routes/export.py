"""Tidy CSV files of a range or of sessions, in one zip."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from dashboard.api import EpochMs
from dashboard.pages import render
from dashboard.services import AccountDep, ReaderDep, ServicesDep
from edge_agent import clock
from edge_agent.store.export import Choice
from edge_agent.store.export.bundle import export_bundle

router = APIRouter(tags=["export"])


@router.get("/export", include_in_schema=False)
def export_page(request: Request, reader: ReaderDep) -> Response:
    """Offer what can be taken along, and explain its columns."""
    return render(request, "export.html", sessions=reader.session_list(), span=reader.span())


@router.get("/export/download", include_in_schema=False)
@router.get("/api/v1/export", response_class=FileResponse)
def download(
    services: ServicesDep,
    account: AccountDep,
    session: Annotated[list[int] | None, Query(description="Only these sessions")] = None,
    start: Annotated[EpochMs | None, Query(description="Only from here on")] = None,
    end: Annotated[EpochMs | None, Query(description="Only before this")] = None,
) -> Response:
    """Send a zip of the CSV files of an export, with ``datapackage.json`` that describes their columns."""
    if start is not None and end is not None and end <= start:
        raise HTTPException(422, f"start = {start}, end = {end}: the range is empty. Its end must lie after its start.")
    unknown = set(session or ()) - {known.id for known in services.reader.session_list()}
    if unknown:
        raise HTTPException(404, f"session = {min(unknown)}: there is no such session.")
    folder = tempfile.TemporaryDirectory(prefix="affect-edge-export-")
    try:
        file = _zip(services.options.database, Path(folder.name), session, start, end)
    except BaseException:
        folder.cleanup()
        raise
    services.accounts.record(account.name, "export", f"sessions={session or 'all'} start={start} end={end}")
    name = f"affect-edge-{datetime.fromtimestamp(clock.now().wall_ms / 1000, UTC):%Y%m%d-%H%M%S}.zip"
    return FileResponse(file, media_type="application/zip", filename=name, background=BackgroundTask(folder.cleanup))


def _zip(database: Path, folder: Path, sessions: list[int] | None, start: int | None, end: int | None) -> Path:
    """Write the bundle into a private temporary folder."""
    choice = Choice(None if sessions is None else tuple(sessions), start, end)
    return export_bundle(database, folder / "export.zip", choice)
