"""Errors of the training, and results that are written whole or not at all.

Each message names the value and says what to do.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.core.errors import TrainingError


class DataError(TrainingError):
    """Training data that cannot be used.

    The message names the file and, in a table, its row and column.
    """


class RecipeError(TrainingError):
    """A recipe, or a choice on the command line, that cannot be followed."""


class TrainingExtraMissing(TrainingError):  # noqa: N818 - reads as the sentence it is
    """The packages of the ``training`` extra are not installed."""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """Somebody stopped a run with Ctrl-C; the text says how it goes on."""


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole: a reader sees the old one or the new one.

    Its folder is made when missing.

    Raises:
        DataError: it cannot be written; what was there is still there.
    """
    # With the process's number: two trainings may make the same file at once.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else error.strerror or error
        raise DataError(
            f"{path}: cannot be written: {why}; choose another folder, or make room"
        ) from error


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays by name, as ``np.load`` reads them (see :func:`write_whole`).

    Raises:
        DataError: they cannot be written.
    """
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_whole(path, content.getbuffer())


def csv_bytes(rows: Iterable[Iterable[object]], ending: str = "\n") -> bytes:
    """Return a table as CSV in UTF-8.

    Args:
        rows: the first of them is the header.
        ending: of a line.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending).writerows(rows)
    return text.getvalue().encode()


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write several files into a folder (see :func:`write_whole`).

    Raises:
        DataError: one of them cannot be written.
    """
    for name, content in files.items():
        write_whole(folder / name, content)


def check_new_folder(out: Path, pictures: Path) -> None:
    """Refuse a folder to write to that is not empty, or that lies among the pictures read.

    Among them its files would be read as a category.

    Raises:
        DataError: the folder is refused, or cannot be looked into.
    """
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(
                f"--out {out}: already exists and is not an empty folder; name a new one"
            )
    except OSError as error:
        raise DataError(
            f"--out {out}: cannot be used ({error.strerror}); name another folder"
        ) from error
    if out.resolve().is_relative_to(pictures.resolve()):
        raise DataError(
            f"--out {out}: lies in {pictures}, among the photographs; name a folder elsewhere"
        )
