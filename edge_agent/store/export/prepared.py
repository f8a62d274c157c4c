"""Exports that wait in the data folder to be downloaded.

They are deleted when anybody is erased.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

FOLDER = "exports"


def prepared_folder(data: Path) -> Path:
    """Return where exports wait, readable for the dashboard's user alone; it may not be there."""
    return data / FOLDER


def delete_prepared_exports(data: Path) -> None:
    """Delete every export that waits, and those that are being written, which end with an error.

    Raises:
        OSError: one of them cannot be deleted.
    """
    folder = prepared_folder(data)
    while folder.exists():  # an export that goes on may have made a file meanwhile
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
