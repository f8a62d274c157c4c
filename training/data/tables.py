"""Tables in text form (CSV, plain or compressed), read row by row; a fault names file and row."""

import contextlib
import csv
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from training.errors import DataError

_OPEN_BY_SUFFIX: dict[str, Callable[..., TextIO]] = {".gz": gzip.open, ".xz": lzma.open}


@contextlib.contextmanager
def _open_table(path: Path) -> Iterator[TextIO]:
    """Open a plain, gzip or xz table as text; raise a DataError for every fault."""
    try:
        open_text = _OPEN_BY_SUFFIX.get(path.suffix, open)
        with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: is cut off or not a {path.suffix} file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a table in text form: {error}") from error


def table_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table as (number, cells by column).

    The header is row 1 and may hold further columns.

    Raises:
        DataError: naming the file, and the row where it is torn or the column that is missing.
    """
    with _open_table(path) as file:
        table = csv.reader(file)
        header = [name.strip() for name in next(table, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            raise DataError(
                f"{path}: row 1: column {missing[0]} is missing; expected {', '.join(columns)}"
            )
        for row, cells in enumerate(table, start=2):
            if len(cells) != len(header):
                raise DataError(
                    f"{path}: row {row}: holds {len(cells)} columns where the header "
                    f"names {len(header)}"
                )
            yield row, dict(zip(header, cells, strict=True))
