"""An export that leaves the data folder locked: its rows never lie open where they are taken to,
such as on a stick.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge_agent.store.export.appliance import Appliance
from edge_agent.store.export.files import check_new, move_into_zip, saying_why
from edge_agent.store.export.format import ExportFormat
from edge_agent.store.export.prepared import make_prepared_folder, prepared_folder
from edge_agent.store.export.progress import OnProgress
from edge_agent.store.export.rows.selection import Choice
from edge_agent.store.export.sealed import SUFFIX, check_passphrase, seal


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be exported.

    Attributes:
        database: the database.
        format: of the export.
        choice: which part.
        appliance: what is told of the appliance.
    """

    database: Path
    format: ExportFormat
    choice: Choice
    appliance: Appliance


def export_sealed(
    work: Work, out: Path, passphrase: str, on_progress: OnProgress | None = None
) -> Path:
    """Write an export that only a passphrase opens; return its file.

    The open file lies below ``exports`` in the data folder meanwhile, for its owner alone; what an
    interruption leaves there goes when the dashboard starts, or when anybody is erased.

    Args:
        work: what is exported.
        out: the new file, a zip.
        passphrase: that opens it.
        on_progress: is told the share that is done.

    Raises:
        StoreError: the passphrase is weak, the name is taken, or it cannot be written.
        StudyError: there is no such session, or sessions must be named.
    """
    check_passphrase(passphrase)
    check_new(out)
    folder = prepared_folder(work.database.parent)
    with saying_why(folder):
        make_prepared_folder(work.database.parent)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            plain = _plain(work, out, Path(name), on_progress)
            seal(plain, out, passphrase)
    return out


def _plain(work: Work, out: Path, folder: Path, on_progress: OnProgress | None) -> Path:
    """Write the export open; one that is a folder becomes a zip."""
    stem = out.name.removesuffix(SUFFIX).removesuffix(".zip")
    plain = folder / f"{stem.removesuffix(work.format.suffix)}{work.format.suffix}"
    wanted = work.format
    if not wanted.is_folder:
        wanted.export(work.database, plain, work.choice, work.appliance, on_progress)
        return plain
    place = folder / wanted.name
    files = wanted.export(work.database, place, work.choice, work.appliance, on_progress)
    move_into_zip(files, place, plain)
    return plain
