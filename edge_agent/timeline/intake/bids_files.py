"""The files of a BIDS data set: parsing their names, rows, sidecars and readings."""

from __future__ import annotations

import gzip
import io
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, cast

from edge_agent.core.bounds import (
    LATEST_MS,
    add_work,
    add_work_of_cells,
    bounded_lines,
    check_header,
)
from edge_agent.core.brought_files import MOST_BYTES, MOST_FILES, check_list, checked_members
from edge_agent.core.brought_tables import FAULT
from edge_agent.core.brought_values import MOST_BYTES as MOST_DESCRIBED
from edge_agent.core.brought_values import ValuesError, parse_json
from edge_agent.core.errors import DataFileError, shown_value
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.bids import BEH_TABLES, NOT_AVAILABLE
from edge_agent.timeline.intake.cells import UNREADABLE

DESCRIPTION = "dataset_description.json"
_DEPTH = 4
_BYTES_OF_A_STEP = 64
"""Of a description: it is parsed for each file that it describes."""
_TABLES = {label: table for table, label in BEH_TABLES.items()}
_FARTHEST_S = LATEST_MS / 1000
"""Seconds from the start of a recording: times since 1970 lie nearer."""
_WAVEFORMS = {"pulse", "puls"}
_FASTEST_HZ = 50
"""A column of heart rates that is sampled faster is a waveform that is called so.

Skin conductance has no waveform: with its unit it is read at any rate.
"""
_OF_CONDUCTANCE = {"gsr", "galvanic skin response", "scl"}
"""Names that may mean something else, unless the unit is one of conductance."""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file or folder in an archive, with as much of ``Path`` as is used here.

    ``zipfile.Path`` looks through all names of the archive for each folder.

    Attributes:
        archive: the archive, which stays open.
        folders: path of each folder → the names in it, and which of them are folders.
        path: its own, from the archive's folder on; empty: that folder.
    """

    archive: zipfile.ZipFile
    folders: Mapping[str, Mapping[str, bool]]
    path: str = ""

    @property
    def name(self) -> str:
        """Its name, without folders; of the archive's own folder none."""
        return self.path.rpartition("/")[2]

    def __truediv__(self, name: str) -> PackedFile:
        return replace(self, path=f"{self.path}/{name}" if self.path else name)

    def is_dir(self) -> bool:
        """Tell whether it is a folder."""
        return self.path in self.folders

    def is_file(self) -> bool:
        """Tell whether it is a file."""
        folder, _, name = self.path.rpartition("/")
        return self.folders.get(folder, {}).get(name) is False

    def iterdir(self) -> Iterator[PackedFile]:
        """Yield what lies in the folder."""
        return (self / name for name in self.folders[self.path])

    def open(self, _mode: Literal["rb"]) -> IO[bytes]:
        """Open the file for reading bytes."""
        return self.archive.open(self.path)


Node = Path | PackedFile


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


def opened_root(path: Path, most_files: int = MOST_FILES) -> Node | None:
    """Return the folder of a BIDS data set, in a folder or a zip; ``None`` where it is none.

    Args:
        path: the folder or zip.
        most_files: how many files a zip may hold.

    Raises:
        DataFileError: its description cannot be read.
    """
    if path.is_dir():
        # A deposit has the data set in a folder of its own.
        roots: list[Node] = [path, path / "bids"]
    elif zipfile.is_zipfile(path):
        with readable(path.name):
            with path.open("rb") as file:
                check_list(path.name, file, most_files)
            archive = zipfile.ZipFile(path)
            names = [
                one.filename for one in checked_members(path.name, archive, MOST_BYTES, most_files)
            ]
            top = PackedFile(archive, _folders_of(names))
            # A zip may hold the data set in a folder of its name.
            roots = [top, *(one for one in top.iterdir() if one.is_dir())]
    else:
        return None
    for root in roots:
        description = root / DESCRIPTION
        if description.is_file() and "BIDSVersion" in read_json(description):
            return root
    if isinstance(roots[0], PackedFile):
        roots[0].archive.close()
    return None


def _folders_of(names: Iterable[str]) -> dict[str, dict[str, bool]]:
    """Return the folders that the names of files make, as ``PackedFile`` has them."""
    folders: dict[str, dict[str, bool]] = {"": {}}
    for path in names:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, {})[name] = False
        while folder:
            above, _, name = folder.rpartition("/")
            of_above = folders.setdefault(above, {})
            if of_above.get(name):
                break
            of_above[name] = True
            folder = above
    return folders


def data_files(root: Node) -> Iterator[BidsFile]:
    """Yield the files of all participants, in order of their names."""
    for folder in _sorted(root):
        if folder.is_dir() and folder.name.startswith("sub-"):
            yield from _below(folder, (root,), folder.name)


def _below(folder: Node, above: tuple[Node, ...], path: str) -> Iterator[BidsFile]:
    folders = (*above, folder)
    for node in _sorted(folder):
        inside = f"{path}/{node.name}"
        # As deep as BIDS goes; a link in a circle ends here, too.
        if node.is_dir() and len(folders) < _DEPTH:
            yield from _below(node, folders, inside)
        elif node.is_file() and node.name.startswith("sub-"):
            file = _named(node, inside, folders)
            _check_folder(file)
            yield file


def _check_folder(file: BidsFile) -> None:
    """Refuse a file whose name says that it is of another participant or session.

    Raises:
        DataFileError: it lies in the folder of another one than its name tells.
    """
    for folder in file.path.split("/")[:-1]:
        key, sign, label = folder.partition("-")
        named = file.entities.get(key, label)
        if sign and key in {"sub", "ses"} and named != label:
            raise DataFileError(
                f"{file.path}: is named for {key}-{named} and lies in the folder of {folder}. "
                "Rename or move it. Nothing was imported."
            )


def _sorted(folder: Node) -> list[Node]:
    nodes: list[Node]
    with readable(folder.name):
        nodes = sorted(folder.iterdir(), key=lambda one: one.name)
    add_work(len(nodes))  # a folder is looked through for each file below it
    return nodes


def _named(node: Node, path: str, folders: tuple[Node, ...]) -> BidsFile:
    stem, _, ending = node.name.partition(".")
    *pairs, suffix = stem.split("_")
    entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
    return BidsFile(node, path, folders, entities, suffix, f".{ending}")


def sidecar(file: BidsFile) -> dict[str, Any]:
    """Return the merged JSON sidecars that apply to a file; the nearest one wins."""
    told: dict[str, Any] = {}
    left = MOST_DESCRIBED
    for folder in file.folders:
        for node in _sorted(folder):
            if node.name.endswith(f"{file.suffix}.json") and node.name != DESCRIPTION:
                named = _named(node, node.name, ())
                # A sidecar applies if all that its name says holds for the file.
                if named.suffix == file.suffix and named.entities.items() <= file.entities.items():
                    # From the data set's folder down: the nearer one overwrites.
                    text = _bytes_of(node)
                    left -= len(text)
                    if left < 0:
                        raise DataFileError(
                            f"{node.name}: with it, more than {MOST_DESCRIBED:,} bytes describe "
                            f"{file.path}. Keep only what is needed."
                        )
                    told |= _object_in(node, text)
    return told


def read_json(node: Node) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        DataFileError: it cannot be read, or is none.
    """
    return _object_in(node, _bytes_of(node))


def _bytes_of(node: Node) -> bytes:
    with readable(node.name), node.open("rb") as file:
        text = file.read(MOST_DESCRIBED + 1)
    add_work(len(text) // _BYTES_OF_A_STEP)
    return text


def _object_in(node: Node, text: bytes) -> dict[str, Any]:
    try:
        content = parse_json(text, MOST_DESCRIBED)
    except ValuesError as error:
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
            # Names are compared without capitals; some data sets write them so.
            header = [cell.strip().lower() for cell in cells]
            check_header(path, header)
        elif len(cells) == len(header):
            yield line, dict(zip(header, cells, strict=True))
        elif any(cells):
            fault = FAULT.format(cells=len(cells), columns=len(header))
            raise DataFileError(f"{path}, line {line}: {fault} Is the file cut off?")


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
            add_work_of_cells(len(cells))
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


@dataclass(frozen=True, slots=True)
class BidsRecording:
    """An evenly sampled recording.

    Attributes:
        file: its file.
        frequency: samples a second.
        start_s: of its first sample, from the start of what it belongs to.
        kinds: place of a column → what it measures, and its unit where the sidecar says it.
        others: the columns that are not read.
    """

    file: BidsFile
    frequency: float
    start_s: float
    kinds: Mapping[int, tuple[VitalKind, str]]
    others: tuple[str, ...]


def table_of(file: BidsFile) -> str | None:
    """Return which table of the timeline a file below ``beh`` holds; ``None``: none."""
    if file.suffix == "beh" and file.ending == ".tsv":
        return _TABLES.get(file.entities.get("acq", ""))
    return None


def is_events(file: BidsFile) -> bool:
    """Tell whether a file holds events."""
    return file.suffix == "events" and file.ending == ".tsv"


def recording_of(file: BidsFile) -> BidsRecording | None:
    """Return a physiological recording that has readings of ours; ``None`` for all else.

    Raises:
        DataFileError: its sidecar does not say how it was sampled.
    """
    recording = _recording_in(file)
    return recording if recording is not None and recording.kinds else None


def unread_columns(file: BidsFile) -> tuple[str, ...]:
    """Return the columns of a recording that are not read; of one without readings of ours, those
    whose unit is the reason.
    """
    recording = _recording_in(file)
    if recording is None:
        return ()
    others = recording.others
    return others if recording.kinds else tuple(one for one in others if one.endswith(")"))


def why_unread(file: BidsFile) -> str:
    """Return why a recording has no reading of ours; empty for a file that is no recording."""
    if file.suffix != "physio" or file.ending != ".tsv.gz":
        return ""
    recording = _recording_in(file)
    if recording is None:
        return "its SamplingFrequency is not above 0"
    columns = ", ".join(recording.others)
    return f"none of its columns is a reading at {recording.frequency:g} Hz: {columns}"


def _recording_in(file: BidsFile) -> BidsRecording | None:
    """Return a physiological recording as its sidecar describes it; ``None`` for all else."""
    if file.suffix != "physio" or file.ending != ".tsv.gz":
        return None
    told = sidecar(file)
    columns = told.get("Columns")
    frequency = _number(told.get("SamplingFrequency"))
    start = _number(told.get("StartTime", 0))
    if not isinstance(columns, list) or frequency is None or start is None:
        raise DataFileError(
            f"{file.path}: its sidecar has no SamplingFrequency, StartTime or Columns. Add them."
        )
    if frequency <= 1 / _FARTHEST_S:
        return None
    kinds = {}
    others = []
    for place, column in enumerate(map(str, columns)):
        unit = _unit(told.get(column))
        kind = _kind(column, unit)
        is_level = kind is VitalKind.SKIN_CONDUCTANCE and bool(unit)
        if kind is None or (frequency > _FASTEST_HZ and not is_level):
            written = str(told[column].get("Units", "")) if unit and kind is None else ""
            others.append(f"{column}{_because_of(column, written)}")
        else:
            kinds[place] = (kind, unit)
    return BidsRecording(file, frequency, start, kinds, tuple(others))


def _because_of(column: str, unit: str) -> str:
    """Return the unit for which a column is not read, in brackets; empty: its name is it."""
    named = _kind(column, "") or _kind(column, "us")
    return f" (its unit {unit} is none of {named.spec.name_in_text})" if unit and named else ""


def samples(recording: BidsRecording) -> Iterator[tuple[int, float, list[str]]]:
    """Yield line, time in seconds, and cells of each sample."""
    for place, cells in enumerate(tsv_lines(recording.file.node, recording.file.path)):
        yield place + 1, recording.start_s + place / recording.frequency, cells


def extent(file: BidsFile) -> tuple[float, float]:
    """Return first and last second of a file, 0 and 0 where it has no row that is read."""
    recording = recording_of(file)
    if recording is not None:
        # Counted once through: a packed file does not tell its lines.
        count = sum(1 for _ in samples(recording))
        last_s = recording.start_s + count / recording.frequency
        if last_s >= _FARTHEST_S:
            raise DataFileError(
                f"{file.path}: by its SamplingFrequency its {count} samples last longer than until "
                "the year 2100. Correct it."
            )
        return recording.start_s, last_s
    if not (is_events(file) or table_of(file)):
        return 0.0, 0.0
    first = 0.0
    last = 0.0
    for line, cells in tsv_rows(file.node, file.path):
        if not cells.get("onset", "").strip():
            continue  # an event of unknown time
        onset = number(cells, "onset", file, line)
        first = min(first, onset)
        last = max(last, onset + (number(cells, "duration", file, line, 0.0)))
    return first, last


def number(
    cells: Mapping[str, str], column: str, file: BidsFile, line: int, default: float | None = None
) -> float:
    """Return a number of a row.

    Raises:
        DataFileError: there is none.
    """
    text = cells.get(column, "").strip()
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < _FARTHEST_S:
        why = "is no number" if math.isnan(value) else "lies outside of every recording"
        raise DataFileError(
            f"{file.path}, line {line}, column {column}: {shown_value(text)} {why}. Correct it."
        )
    return value


def _kind(column: str, unit: str) -> VitalKind | None:
    """Return the kind of a column, by its name and unit; beats have times of their own, and no
    samples.

    A name that says nothing of a rate, as ``respiratory`` or ``pulse``, is a waveform unless the
    unit is one of a rate.
    """
    # ``__2`` is the number of a second source, as our exports write it.
    words = re.sub(r"[^a-z0-9%]+", " ", re.sub(r"__[0-9]+$", "", column).casefold()).strip()
    if words in _OF_CONDUCTANCE and VitalKind.SKIN_CONDUCTANCE.spec.scale_of(unit):
        return VitalKind.SKIN_CONDUCTANCE
    for kind in VitalKind:
        known = kind.spec.scale_of(unit) is not None
        names = {words, f"{words} rate"} if known else {words} - _WAVEFORMS
        is_named = any(
            name == kind.value.replace("_", " ") or re.fullmatch(kind.spec.headers, name)
            for name in names
        )
        if is_named and kind is not VitalKind.RR_INTERVAL:
            # A unit that is not one of the kind is something else of the same name.
            return kind if known or not unit else None
    return None


def _unit(told: Any) -> str:
    """Return the unit of a column from its sidecar; empty if it has none."""
    return str(told.get("Units", "")).strip() if isinstance(told, dict) else ""


def _number(value: Any) -> float | None:
    """Return a value that is a number of a recording, else ``None``."""
    if isinstance(value, int | float) and abs(value) < _FARTHEST_S:
        return float(value)
    return None
