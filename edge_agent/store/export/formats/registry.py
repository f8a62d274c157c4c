"""The forms that an export can have, and the one door to all of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from edge_agent.store.export.appliance import Appliance
from edge_agent.store.export.formats.bundle import export_bundle
from edge_agent.store.export.formats.document import export_json
from edge_agent.store.export.formats.fhir import export_fhir
from edge_agent.store.export.formats.folder import export_csv
from edge_agent.store.export.formats.parquet import export_parquet
from edge_agent.store.export.progress import Tell
from edge_agent.store.export.rows.selection import Choice


class Format(StrEnum):
    """The form of an export; ``csv`` and ``parquet`` make a folder, the others one file."""

    BUNDLE = "bundle"
    CSV = "csv"
    JSON = "json"
    FHIR = "fhir"
    PARQUET = "parquet"


def export(
    database: Path,
    out: Path,
    form: Format,
    choice: Choice,
    appliance: Appliance,
    tell: Tell | None = None,
) -> list[Path]:
    """Export a part of the timeline in any form; return the files written.

    Args:
        database: the database.
        out: a new file, or a new, empty or earlier exported folder.
        form: which form.
        choice: what is taken along.
        appliance: what is told of it, in the forms that have a place for it.
        tell: is told the share that is done; what it raises ends the export.

    Raises:
        StoreError: the database cannot be read, or the export cannot be written there.
        StudyError: there is no such session, or the form needs one.
    """
    match form:
        case Format.BUNDLE:
            return [export_bundle(database, out, choice, appliance, tell)]
        case Format.JSON:
            return [export_json(database, out, choice, tell)]
        case Format.FHIR:
            return [export_fhir(database, out, choice, appliance, tell)]
        case Format.PARQUET:
            return export_parquet(database, out, choice, tell)
        case Format.CSV:
            return export_csv(database, out, choice, tell)
