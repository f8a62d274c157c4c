"""The files of a BIDS data set: what their names say, their rows, and their sidecars."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from edge_agent.core.errors import DataFileError
from edge_agent.core.table_files import bounded_lines, check_header
from edge_agent.store.export.bids.names import NOT_AVAILABLE
from edge_agent.store.intake.zips import UNREADABLE

Node = Path | zipfile.Path
DESCRIPTION = "dataset_description.json"
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class BidsFile:
    """A file below the folder of a participant.

    Attributes:
        node: to open it.
        path: within the data set.
        folders: the folders above it, from the data set's own on.
        entities: what its name says: ``sub``, ``ses``, ``task`` …
        suffix: what it is: ``events``, ``physio``, ``beh`` …
        ending: from the first dot on: ``.tsv``, ``.tsv.gz`` …
    """

    node: Node
    path: str
    folders: tuple[Node, ...]
    entities: Mapping[str, str]
    suffix: str
    ending: str


def opened_root(path: Path) -> Node | None:
    """Return the folder of a BIDS data set, in a folder or a zip; ``None`` where it is none.

    Raises:
        DataFileError: its description cannot be read.
    """
    if path.is_dir():
        roots: list[Node] = [path]
    elif zipfile.is_zipfile(path):
        with readable(path.name):
            top = zipfile.Path(path)
            roots = [top, *(one for one in top.iterdir() if one.is_dir())]
    else:
        return None
    for root in roots:
        description = root / DESCRIPTION
        if description.is_file() and "BIDSVersion" in read_json(description):
            return root
    return None


def data_files(root: Node) -> Iterator[BidsFile]:
    """Yield the files of all participants, in order of their names."""
    for folder in _sorted(root):
        if folder.is_dir() and folder.name.startswith("sub-"):
            yield from _below(folder, (root,), folder.name)


def _below(folder: Node, above: tuple[Node, ...], path: str) -> Iterator[BidsFile]:
    folders = (*above, folder)
    for node in _sorted(folder):
        inside = f"{path}/{node.name}"
        if node.is_dir() and len(folders) < _DEPTH:
            yield from _below(node, folders, inside)
        elif node.is_file() and node.name.startswith("sub-"):
            yield _named(node, inside, folders)


def _sorted(folder: Node) -> list[Node]:
    with readable(folder.name):
        return sorted(folder.iterdir(), key=lambda one: one.name)


def _named(node: Node, path: str, folders: tuple[Node, ...]) -> BidsFile:
    stem, _, ending = node.name.partition(".")
    *pairs, suffix = stem.split("_")
    entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
    return BidsFile(node, path, folders, entities, suffix, f".{ending}")


def sidecar(file: BidsFile) -> dict[str, Any]:
    """Return what the JSON files say that hold for a file; the nearest one wins."""
    told: dict[str, Any] = {}
    for folder in file.folders:
        for node in _sorted(folder):
            if node.name.endswith(f"{file.suffix}.json") and node.name != DESCRIPTION:
                named = _named(node, node.name, ())
                if named.suffix == file.suffix and named.entities.items() <= file.entities.items():
                    told |= read_json(node)
    return told


def read_json(node: Node) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        DataFileError: it cannot be read, or is none.
    """
    with readable(node.name):
        text = node.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataFileError(f"{node.name}: is not JSON ({error}). Correct it.") from error
    if not isinstance(content, dict):
        raise DataFileError(f"{node.name}: is no JSON object. Correct it.")
    return content


def tsv_rows(node: Node, path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and cells of each row of a table; ``n/a`` is an empty cell.

    Raises:
        DataFileError: it cannot be read, has too many columns, or a line has too few or too many
            cells.
    """
    header: list[str] = []
    for line, cells in enumerate(tsv_lines(node, path), start=1):
        if line == 1:
            header = [cell.strip().lower() for cell in cells]
            check_header(path, header)
        elif len(cells) == len(header):
            yield line, dict(zip(header, cells, strict=True))
        elif any(cells):
            raise DataFileError(
                f"{path}, line {line}: has {len(cells)} cells, but there are {len(header)} "
                "columns. Is the file cut off?"
            )


def tsv_lines(node: Node, path: str) -> Iterator[list[str]]:
    """Yield the cells of each line of a tab-separated file, packed or not.

    Raises:
        DataFileError: it cannot be read.
    """
    with ExitStack() as stack:
        stack.enter_context(readable(path))
        file: IO[bytes] = stack.enter_context(node.open("rb"))
        if path.endswith(".gz"):
            file = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=file)))
        text = stack.enter_context(io.TextIOWrapper(file, encoding="utf-8-sig"))
        for line in bounded_lines(text, path):
            cells = line.rstrip("\n").split("\t")
            yield ["" if cell == NOT_AVAILABLE else cell for cell in cells]


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn what reading a file raises into ``DataFileError``."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataFileError(f"{path}: is not UTF-8 text. Save it as UTF-8.") from error
    except UNREADABLE as error:
        raise DataFileError(f"{path}: cannot be read ({error}). Copy it again.") from error
