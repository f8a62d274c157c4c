"""Exports that wait in the data folder to be downloaded.

They are deleted when anybody is erased.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from edge_agent.store.database.dashboard_file import has_own_folder, own_folder

FOLDER = "exports"


def prepared_folder(data: Path) -> Path:
    """Return where exports wait, readable for the dashboard's user alone; it may not be there."""
    return own_folder(data) / FOLDER


def make_prepared_folder(data: Path, name: str = "") -> Path:
    """Make the folder of exports, or a new one in it.

    Where agent and dashboard are two users, the agent's may delete what lies there: it erases.

    Args:
        data: the data folder.
        name: of the new folder; empty: none.

    Raises:
        OSError: it cannot be made, or such a one is there.
    """
    folder = prepared_folder(data)
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _open_for_erasures(folder, data)
    if not name:
        return folder
    inner = folder / name
    inner.mkdir(mode=0o700)
    _open_for_erasures(inner, data)
    return inner


def delete_prepared_exports(data: Path) -> None:
    """Delete every export that waits, and those that are being written, which end with an error.

    Raises:
        OSError: one of them cannot be deleted.
    """
    folder = prepared_folder(data)
    # an export that goes on may have made a file meanwhile
    while folder.exists() and (exports := list(folder.iterdir())):
        for one in exports:
            with suppress(FileNotFoundError):
                shutil.rmtree(one) if one.is_dir() else one.unlink()


def _open_for_erasures(folder: Path, data: Path) -> None:
    if has_own_folder(data):
        folder.chmod(0o770)
