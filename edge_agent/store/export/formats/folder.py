"""The timeline as a folder of tidy CSV files with a description that programs can read."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import reading
from edge_agent.store.export.description import (
    DESCRIPTION,
    Written,
    described_files,
    description,
    is_ours,
)
from edge_agent.store.export.files import saying_why
from edge_agent.store.export.progress import Progress, Tell
from edge_agent.store.export.rows.blocks import Block, blocks_of
from edge_agent.store.export.rows.columns import FILES, TITLES
from edge_agent.store.export.rows.selection import Choice, Chosen, choose

WriteTable = Callable[[Path, str, Iterator[Block]], Written]
"""Writes a table into a folder: the folder, one of ``FILES``, its blocks of CSV."""


def export_csv(
    database: Path, out_dir: Path, choice: Choice | None = None, tell: Tell | None = None
) -> list[Path]:
    """Write the timeline, or a part of it, into a folder as CSV files and ``datapackage.json``.

    All files show the same moment of a database that may be written meanwhile. The folder appears
    when it is complete.

    Args:
        database: the database.
        out_dir: a new or empty folder, or one with an earlier export, which is replaced.
        choice: what is taken along; ``None`` is everything.
        tell: is told the share that is done; what it raises ends the export.

    Returns:
        The files written.

    Raises:
        StoreError: the database cannot be read, or the folder cannot be written or holds something
            else.
        StudyError: there is no such session.
    """
    return export_folder(database, out_dir, choice or Choice(), _write_csv, tell)


def export_folder(
    database: Path, out_dir: Path, choice: Choice, write: WriteTable, tell: Tell | None
) -> list[Path]:
    """Write each table into a folder by ``write``; otherwise as ``export_csv``."""
    _check_target(out_dir)
    with reading(database) as connection:
        chosen = choose(connection, choice)
        with _in_place(out_dir) as folder:
            files = _write_tables(connection, chosen, folder, write, tell)
            (folder / DESCRIPTION).write_text(description(files), encoding="utf-8")
        return [out_dir / name for name in (*(file.path for file in files), DESCRIPTION)]


def write_blocks(file: IO[bytes], blocks: Iterable[Block]) -> tuple[int, str, int]:
    """Write blocks into an open file; return bytes, SHA-256 and rows.

    A block is packed and written in a thread beside, while the next one is read: neither needs
    Python's lock for long.
    """
    digest = hashlib.sha256()
    size = 0
    rows = 0

    def write(data: bytes) -> None:
        file.write(data)
        digest.update(data)

    with ThreadPoolExecutor(1, thread_name_prefix="export-write") as beside:
        writing = beside.submit(write, b"")
        for block in blocks:
            data = block.text.encode()
            size += len(data)
            rows += block.rows
            writing.result()
            writing = beside.submit(write, data)
        writing.result()
    return size, digest.hexdigest(), rows


def _write_csv(folder: Path, name: str, blocks: Iterator[Block]) -> Written:
    with (folder / f"{name}.csv").open("wb") as file:
        return Written(name, f"{name}.csv", TITLES[name], *write_blocks(file, blocks))


def _write_tables(
    connection: sqlite3.Connection,
    chosen: Chosen,
    folder: Path,
    write: WriteTable,
    tell: Tell | None,
) -> list[Written]:
    progress = Progress(connection, chosen, tell or (lambda _: None))
    return [
        write(folder, name, progress.watch(name, blocks_of(connection, chosen, name)))
        for name in FILES
    ]


def _check_target(out_dir: Path) -> None:
    """Refuse a folder that holds what we did not write."""
    try:
        if not out_dir.exists():
            return
        if not out_dir.is_dir():
            raise StoreError(f"{out_dir}: is a file. Name a folder for the export.")
        if any(out_dir.iterdir()) and not is_ours(out_dir / DESCRIPTION):
            raise StoreError(
                f"{out_dir}: is not empty and holds no earlier export. Name a new "
                "folder for the export."
            )
    except OSError as error:
        raise StoreError(
            f"{out_dir}: cannot be read ({error.strerror}). Name another folder."
        ) from error


@contextmanager
def _in_place(out_dir: Path) -> Iterator[Path]:
    """Give a folder beside the one asked for.

    What is written there is moved when all of it is complete.
    """
    with saying_why(out_dir):
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out_dir.name}-", dir=out_dir.parent) as name:
            staged = Path(name) / "staged"
            staged.mkdir()
            yield staged
            if not out_dir.exists():
                staged.rename(out_dir)
                return
            for earlier in described_files(out_dir / DESCRIPTION):
                (out_dir / earlier).unlink(missing_ok=True)
            for file in staged.iterdir():
                file.replace(out_dir / file.name)
