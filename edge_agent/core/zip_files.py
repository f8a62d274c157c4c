"""Archives of tables: checked before anything is unpacked, and unpacked aside."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_agent.core.errors import DataFileError

MOST_BYTES = 64 * 2**30
"""Of all files when unpacked, where they are read as they stand; the largest have gigabytes."""
MOST_FILES = 200_000
_UNPACKED_BYTES = 2 * 2**30
_UNPACKED_FILES = 1_000
_TABLES = (".csv", ".tsv", ".txt")
_ENCRYPTED = 0x1
_LEAVES = re.compile(r"[/\\]|[a-z]:|(.*[/\\])?\.\.([/\\]|$)", re.IGNORECASE | re.DOTALL)


def checked_members(
    name: str, archive: zipfile.ZipFile, most_bytes: int, most_files: int
) -> list[zipfile.ZipInfo]:
    """Return the files of an archive, without its folders, sorted by name.

    Raises:
        DataFileError: one is encrypted, or its name leads out of the archive's folder; or they are
            too many, or too large when unpacked.
    """
    files = [info for info in archive.infolist() if info.filename[-1:] not in {"", "/"}]
    # The sizes are those in the archive's directory; zipfile stops at them when it unpacks.
    if len(files) > most_files or sum(info.file_size for info in files) > most_bytes:
        raise DataFileError(
            f"{name}: has more than {most_bytes // 2**30} GiB or {most_files:,} files when "
            "unpacked. Nothing was imported. Name another archive, or one with fewer files."
        )
    for info in files:
        if info.flag_bits & _ENCRYPTED:
            raise DataFileError(
                f"{name}: {info.filename!r} is encrypted. Unpack it with its password first."
            )
        if _LEAVES.match(info.filename):
            raise DataFileError(
                f"{name}: {info.filename!r} would lie outside of its folder. Do not trust this "
                "archive; pack the tables anew."
            )
    return sorted(files, key=lambda info: info.filename)


def is_archive(path: Path) -> bool:
    """Tell whether a path is a file and a zip."""
    return path.is_file() and zipfile.is_zipfile(path)


@contextmanager
def tables_in(path: Path) -> Iterator[tuple[list[Path], list[str]]]:
    """Unpack the tables of a zip for the time of the block; any other path is the table itself.

    Yields:
        The tables (.csv, .tsv, .txt) by name, at least one, and the names of all other files.

    Raises:
        DataFileError: it cannot be unpacked, holds no table, or as ``checked_members``.
    """
    if not is_archive(path):
        yield [path], []
        return
    with TemporaryDirectory(prefix="affect-edge-tables-") as folder:
        yield _unpacked(path, Path(folder))


def _unpacked(path: Path, folder: Path) -> tuple[list[Path], list[str]]:
    tables: list[Path] = []
    others: list[str] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for info in checked_members(path.name, archive, _UNPACKED_BYTES, _UNPACKED_FILES):
                name = info.filename.rpartition("/")[2]
                # macOS packs a hidden companion of each file.
                if name.startswith(".") or not name.lower().endswith(_TABLES):
                    others.append(info.filename)
                    continue
                # In a folder of its own, for two may have one name.
                table = folder / str(len(tables)) / name
                table.parent.mkdir()
                with archive.open(info) as packed, table.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
                tables.append(table)
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise DataFileError(
            f"{path.name}: cannot be unpacked ({error}). Nothing was imported."
        ) from error
    if not tables:
        raise DataFileError(
            f"{path.name}: holds no table ({', '.join(_TABLES)}). Save tables as CSV UTF-8. Its "
            f"files: {', '.join(others[:10]) or 'none'}."
        )
    return tables, others


@contextmanager
def one_table(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Unpack the only table of a zip, as ``tables_in``.

    Raises:
        DataFileError: there are several, or as ``tables_in``.
    """
    with tables_in(path) as (tables, others):
        if len(tables) > 1:
            names = ", ".join(table.name for table in tables[:10])
            raise DataFileError(
                f"{path.name}: holds {len(tables)} tables ({names}), and one is taken at a time. "
                "Unpack it, and name them one by one."
            )
        yield tables[0], others
