"""Files that people bring: archives of tables, unpacked aside, and files that are no tables.

Archives are checked before anything is unpacked. Files of other kinds are known by their first
bytes, and refused with the way from them to a table.
"""

from __future__ import annotations

import re
import shutil
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from edge_agent.core.errors import DataFileError
from edge_agent.core.texts import N_, Message, as_message, join_sentences

MOST_BYTES = 64 * 2**30
"""Of all files when unpacked, where they are read as they stand; the largest have gigabytes."""
MOST_FILES = 200_000
_UNPACKED_BYTES = 2 * 2**30
_FOLDER_MOST = 32
"""Characters of a folder's name that are kept: a code has no more."""
_UNPACKED_FILES = 1_000
_NAME_MOST = 1_000
_FOLDERS_MOST = 40
"""Folders in one another: each has a name as long as those of all above it."""
_LISTED_BYTES = 200
"""Of a file in an archive's list, on average: 46, its name, and its times."""
_END = struct.Struct("<4s4H2LH")
_WIDE_END = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_BYTES = 20
_END_MARK, _WIDE_END_MARK = b"PK\5\6", b"PK\6\6"
_TABLES = (".csv", ".tsv", ".txt")
_ENCRYPTED = 0x1
UNBOUNDED = frozenset({zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
"""Methods of packing of which a piece unpacks in memory to any size, whatever the archive says."""
HEAD_BYTES = 4096
_LEAVES = re.compile(r"[/\\]|[a-z]:|(.*[/\\])?\.\.([/\\]|$)", re.IGNORECASE | re.DOTALL)
_TABLE = N_("Then name its columns with --map.")
_FIT = (
    N_(
        "Export the activity as FIT (Garmin Connect: Export Original) or as CSV; FIT keeps the "
        "intervals between beats, too."
    ),
)
_OWN_PROGRAM = (
    N_("Export heart rate or intervals between beats from the program that wrote it as CSV."),
    _TABLE,
)
_DATABASE = (
    N_(
        "Write the table with the readings as CSV by sqlite3 -header -csv: .tables lists them, in "
        "Health Connect it is heart_rate_record_series_table."
    ),
    _TABLE,
)
_JSON = (
    N_(
        "Of JSON only Fitbit's heart_rate-….json is read. Let the app export CSV (Health Auto "
        "Export: format CSV) or FIT (Garmin: the files in DI-Connect-Uploaded-Files), or write a "
        "table with the columns at, kind and value."
    ),
)
_AVRO = (
    N_(
        "EmbracePlus keeps raw signals in it; its values of each minute are in the tables beside "
        "(digital_biomarkers, …_pulse-rate.csv): import these."
    ),
)
_PAGE = (N_("Log in there with a browser, and download the file itself."),)
_XML_WAY = (
    N_("Of XML only Apple Health's export.xml is read. Let the program export CSV."),
    _TABLE,
)
_BRAINVISION = (
    N_(
        "Its signals stand in the file .eeg beside it. Export heart rate or intervals between "
        "beats as CSV (BrainVision Analyzer: Generic Data Export), and its markers as a table with "
        "the columns at and label for import-markers."
    ),
    _TABLE,
)
_XDF = (
    N_(
        "import-vitals takes its readings, import-study also its markers and faces, with the "
        "optional part xdf."
    ),
)
_PARQUET = (N_("Write it as CSV (pandas: read_parquet, to_csv)."), _TABLE)
_SAVE = (N_("Save it as CSV UTF-8."),)
_PDF = (N_("Let the app export CSV, or write its values into a table."),)
_GZIP = (N_("Unpack it: gunzip FILE."),)
_ANY = re.compile(rb"")
_XML = rb"(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*"


_DOCUMENTS = {
    "xl/workbook.xml": N_("an Excel file"),
    "xl/workbook.bin": N_("an Excel file"),
    "word/document.xml": N_("a Word file"),
    "content.xml": N_("an OpenDocument file"),
    "index/document.iwa": N_("a Numbers file"),
}
"""Member of a document that is a zip by its form, in small letters → what it is."""


def refuse_document(name: str, members: Iterable[str]) -> None:
    """Refuse a zip that is a document of an office program.

    Args:
        name: of the file.
        members: the names in it.

    Raises:
        DataFileError: it is one: with the way from there to a table.
    """
    kinds = [_DOCUMENTS[one.lower()] for one in members if one.lower() in _DOCUMENTS]
    if kinds:
        problem = FileKind(_ANY, kinds[0], _SAVE).sentences
        raise DataFileError(
            N_("{file}: {problem} Nothing was imported."), file=name, problem=problem
        )


def check_list(name: str, file: BinaryIO, most_files: int) -> None:
    """Refuse an archive with a long list of files before ``zipfile`` keeps the whole of it.

    Args:
        name: of the archive, for the message.
        file: the archive, opened; where it is read from does not matter afterwards.
        most_files: how many files it may have.

    Raises:
        DataFileError: the list is too long.
    """
    size = file.seek(0, 2)
    tail_bytes = _WIDE_END.size + _LOCATOR_BYTES + _END.size + 0xFFFF
    file.seek(max(0, size - tail_bytes))
    tail = file.read(tail_bytes)
    # Where zipfile looks for the end: without a comment behind it, else the last mark.
    ends = {len(tail) - _END.size, tail.rfind(_END_MARK)}
    listed = [0]
    for at in ends:
        if at >= 0 and tail[at:].startswith(_END_MARK) and len(tail) >= at + _END.size:
            listed.append(_END.unpack_from(tail, at)[5] % 0xFFFFFFFF)
            wide = at - _LOCATOR_BYTES - _WIDE_END.size
            if wide >= 0 and tail[wide:].startswith(_WIDE_END_MARK):
                listed.append(_WIDE_END.unpack_from(tail, wide)[8])
    if max(listed) > 0x10000 + most_files * _LISTED_BYTES:
        raise DataFileError(
            f"{name}: its list of files has {max(listed):,} bytes, far more than {most_files:,} "
            "files need. Nothing was imported. Pack it anew, with fewer files."
        )


@contextmanager
def opened_archive(path: Path, most_files: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip for the block, once its list of files was checked.

    Raises:
        DataFileError: as ``check_list``.
        OSError, ValueError, zipfile.BadZipFile: it cannot be read.
    """
    with path.open("rb") as file:
        check_list(path.name, file, most_files)
        with zipfile.ZipFile(file) as archive:
            yield archive


def checked_members(
    name: str, archive: zipfile.ZipFile, most_bytes: int, most_files: int
) -> list[zipfile.ZipInfo]:
    """Return the files of an archive, without its folders, sorted by name.

    Raises:
        DataFileError: one is encrypted, needs any memory, or its name is long or leads out of the
            archive's folder; or they are too many, or too large when unpacked.
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
        if info.compress_type in UNBOUNDED:
            raise DataFileError(
                f"{name}: {info.filename!r} is packed in a rare way. Unpack it, and pack it anew."
            )
        if len(info.filename) > _NAME_MOST or info.filename.count("/") > _FOLDERS_MOST:
            raise DataFileError(
                f"{name}: {info.filename[:80]!r}… has more than {_NAME_MOST} characters or "
                f"{_FOLDERS_MOST} folders in one another. Pack it anew, with shorter names."
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
        yield _unpack(path, Path(folder))


def _unpack(path: Path, folder: Path) -> tuple[list[Path], list[str]]:
    tables: list[Path] = []
    others: list[str] = []
    try:
        with opened_archive(path, _UNPACKED_FILES) as archive:
            for info in checked_members(path.name, archive, _UNPACKED_BYTES, _UNPACKED_FILES):
                inside, _, name = info.filename.rpartition("/")
                # macOS packs a hidden companion of each file.
                if name.startswith(".") or not name.lower().endswith(_TABLES):
                    others.append(info.filename)
                    continue
                # In a folder of its own, for two may have one name; below it the one in which it
                # lay, which may say whose it is.
                own = inside.rpartition("/")[2][:_FOLDER_MOST].strip(". ") or "table"
                table = folder / str(len(tables)) / own / name
                table.parent.mkdir(parents=True)
                with archive.open(info) as packed, table.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
                tables.append(table)
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
        raise DataFileError(
            f"{path.name}: cannot be unpacked ({error}). Nothing was imported."
        ) from error
    if not tables:
        refuse_document(path.name, others)
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


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that is not read here.

    Attributes:
        begins: its first bytes.
        name: what it is, behind *is*.
        ways: sentences that lead to a file that is read.
    """

    begins: re.Pattern[bytes]
    name: str
    ways: tuple[str, ...]

    @property
    def sentences(self) -> str:
        """The kind of the file and the way out, behind its name."""
        way_out = join_sentences(map(as_message, self.ways))
        return Message(N_("is {kind}. {way_out}"), kind=as_message(self.name), way_out=way_out)


KINDS = tuple(
    FileKind(re.compile(begins, re.DOTALL | re.IGNORECASE), name, ways)
    for begins, name, ways in (
        (rb"SQLite format 3\0", N_("a SQLite database"), _DATABASE),
        (_XML + rb"<TrainingCenterDatabase", N_("a TCX file"), _FIT),
        (_XML + rb"<gpx", N_("a GPX file"), _FIT),
        (rb"<!doctype html|<html", N_("a web page, not the file that it offers"), _PAGE),
        (rb"<[a-z!?](?!.{0,4000}HealthData)", "XML", _XML_WAY),
        (rb"\{\\rtf", N_("a text with formatting (RTF)"), _SAVE),
        (rb"""(?:\{\s*["}]|\[\s*[\[{"\d\]-])""", "JSON", _JSON),
        (
            rb"0       .{176}\d{1,8} *(?:EDF|BIOSEMI| )",
            N_("an EDF recording of signals"),
            _OWN_PROGRAM,
        ),
        (rb"\xffBIOSEMI", N_("a BDF recording of signals"), _OWN_PROGRAM),
        (rb"Brain ?Vision Data Exchange", N_("a header or markers of BrainVision"), _BRAINVISION),
        (rb"XDF:", N_("an XDF recording of the Lab Streaming Layer"), _XDF),
        (rb"Obj\x01", N_("an Avro file"), _AVRO),
        (rb"\xd0\xcf\x11\xe0", N_("an Excel file of an old form"), _SAVE),
        (rb"%PDF", N_("a PDF"), _PDF),
        (rb"PAR1", N_("a Parquet file"), _PARQUET),
        (rb"MATLAB 5\.0|\x89HDF", N_("a MATLAB or HDF5 file"), _OWN_PROGRAM),
        (rb"\$FL[23]", N_("an SPSS file"), _SAVE),
        (rb"\x1f\x8b", N_("packed by gzip"), _GZIP),
    )
)


def kind_of(head: bytes) -> FileKind | None:
    """Return the kind of a file that is no table, from its first bytes; ``None``: it may be one."""
    head = head[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for kind in KINDS if kind.begins.match(head)), None)


def refuse_other_kind(name: str, head: bytes) -> None:
    """Refuse a file that is no table.

    Raises:
        DataFileError: it is of a known other kind: with the way from there to a table.
    """
    kind = kind_of(head)
    if kind is not None:
        raise DataFileError(
            N_("{file}: {problem} Nothing was imported."), file=name, problem=kind.sentences
        )
