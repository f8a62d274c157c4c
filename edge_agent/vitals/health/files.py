"""The files of a health export, single, in an archive or in a folder, with their CSV tables.

A row becomes a reading, or the reason why it is left out.
"""

from __future__ import annotations

import gzip
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import MappingProxyType
from typing import BinaryIO, NamedTuple, cast

from edge_agent.core.brought_files import MOST_BYTES, MOST_FILES, check_list, checked_members
from edge_agent.core.brought_tables import BroughtTable, TableForm, names_of, rows_of_head
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.files import why_unreadable
from edge_agent.core.given_readings import ReadingOrigin, reading_of
from edge_agent.core.readings import LocalTimes, VitalFlag
from edge_agent.core.texts import N_
from edge_agent.vitals.passed_over import LeftOutRow, Remark, Row, Rows

HEAD_BYTES = 65_536
MAX_INNER_BYTES = 2 * 2**30
"""Packed size of an archive within an archive."""
MAX_INNER = 100
"""Archives within an archive; Garmin's export has a few."""
MAX_HELD_BYTES = 4 * 2**20
"""A larger inner archive is copied to a temporary file while it is read."""
GZIPPED = ".fit.gz"
DAMAGED_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error)


@dataclass(frozen=True, slots=True)
class ExportMember:
    """A file of an export.

    Attributes:
        name: its own name, without folders.
        size: bytes.
        open: opens it; the caller closes it.
        place: name of its folder or archive, which tells one device from another; empty: it was
            given alone.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]
    place: str = ""

    def head(self) -> bytes:
        """Return its first bytes."""
        # A damaged file is told of when it is read, and must not hide the others.
        with self.open() as file, suppress(*DAMAGED_GZIP):
            return file.read(HEAD_BYTES)
        return b""

    def unpack(self) -> ExportMember:
        """Return the file inside a gzipped FIT file; any other file is returned unchanged."""
        if not self.name.lower().endswith(GZIPPED):
            return self
        return replace(self, open=lambda: cast("BinaryIO", _Gzipped(self.open())))


# GzipFile does not close the file object that it reads, and no other code has a reference to it.
class _Gzipped(gzip.GzipFile):
    """A gzip reader that also closes the underlying file."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._packed = file

    def close(self) -> None:
        super().close()
        self._packed.close()


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn errors of the system and of archives in the block into ``DataFileError``."""
    try:
        yield
    except OSError as error:
        raise DataFileError(why_unreadable(name, error)) from error
    except (*_DAMAGED, EOFError, UnicodeDecodeError) as error:
        raise DataFileError(
            f"{name}: the archive is damaged ({error}). Nothing was imported; export it again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a rare way of packing
        raise DataFileError(
            f"{name}: cannot be unpacked here ({error}). Unpack it, and name the folder."
        ) from error


@contextmanager
def members_of(path: Path) -> Iterator[list[ExportMember]]:
    """Yield the files of an export, sorted by name.

    Raises:
        DataFileError: it is missing, cannot be read, or is an archive that is damaged or too large.
    """
    with ExitStack() as opened:
        with readable(str(path)):
            if path.is_dir():
                paths = sorted(path.resolve().rglob("*"))
                files = [member_at(file, file.parent.name) for file in paths if file.is_file()]
            elif zipfile.is_zipfile(path):
                files = _members_of(path.name, opened.enter_context(path.open("rb")), opened)
            else:
                files = [member_at(path)]
            _check_inner(path.name, files)
            members = [one for each in files for one in _inside(each, opened)]
        yield [member.unpack() for member in members]


def _check_inner(name: str, files: list[ExportMember]) -> None:
    if sum(_is_archive(one) for one in files) > MAX_INNER:
        raise DataFileError(
            f"{name}: holds more than {MAX_INNER} archives. Unpack them, and name the folder."
        )


def _is_archive(member: ExportMember) -> bool:
    return member.name.lower().endswith(".zip")


def _inside(member: ExportMember, opened: ExitStack) -> list[ExportMember]:
    """Return the files of an archive within an export, such as Garmin's; else the file itself."""
    if not _is_archive(member):
        return [member]
    if member.size > MAX_INNER_BYTES:
        raise DataFileError(
            f"{member.name}: the archive in the export is larger than {MAX_INNER_BYTES // 2**20} "
            "MiB. Unpack it, and name the folder."
        )
    with readable(member.name):
        # a packed file cannot be read from its middle, which an archive is
        copy = SpooledTemporaryFile(max_size=MAX_HELD_BYTES)  # noqa: SIM115 - the stack closes it
        opened.enter_context(copy)
        with member.open() as file:
            shutil.copyfileobj(file, copy)
        return _members_of(member.name, cast("BinaryIO", copy), opened)


def member_at(path: Path, place: str = "") -> ExportMember:
    """Return a file on the disk."""
    opens = cast("Callable[[], BinaryIO]", partial(path.open, "rb"))
    return ExportMember(path.name, path.stat().st_size, opens, place)


def _members_of(name: str, file: BinaryIO, opened: ExitStack) -> list[ExportMember]:
    check_list(name, file, MOST_FILES)
    archive = opened.enter_context(zipfile.ZipFile(file))
    return [
        ExportMember(
            info.filename.rpartition("/")[2],
            info.file_size,
            cast("Callable[[], BinaryIO]", partial(archive.open, info)),
            info.filename.rpartition("/")[0].rpartition("/")[2] or _without_ending(name),
        )
        # By name, which is by day in most exports: rows come in order of time.
        for info in checked_members(name, archive, MOST_BYTES, MOST_FILES)
    ]


def _without_ending(name: str) -> str:
    return name[:-4] if name.lower().endswith(".zip") else name


class DamagedFileError(DataFileError):
    """One file is damaged; the others of the same export can be imported without it."""


class ChannelChoice(NamedTuple):
    """Statements of a person about the channels of a recording.

    Attributes:
        columns: kind → name of its channel.
        units: kind → unit of its values.
        only: whether channels that nobody named are left.
    """

    columns: Mapping[str, str] = MappingProxyType({})
    units: Mapping[str, str] = MappingProxyType({})
    only: bool = False


@dataclass(frozen=True, slots=True)
class RowValidator:
    """Turns the fields of a row into a reading.

    Args:
        now: later times are in the future.
        zone: time zone for times without one; ``None`` refuses such times.
        start_ms: when a recording began, where its file does not tell it; UTC milliseconds.
        channels: what a person says of the channels of a recording.

    Attributes:
        former: source of a device → the names that earlier releases gave it.
        certain: sources that are one device by its serial number.

    Example:
        >>> validator = RowValidator(clock.now())
        >>> item = {"kind": "heart_rate", "value": "61", "at": "2026-01-05T08:00:00Z"}
        >>> validator.row("export.xml, line 9", item, "apple_health:Watch").value
        61.0
    """

    now: Instant
    zone: LocalTimes | None = None
    start_ms: int | None = None
    channels: ChannelChoice = field(default_factory=ChannelChoice)
    former: dict[str, set[str]] = field(default_factory=dict)
    certain: set[str] = field(default_factory=set)
    _named: dict[tuple[str, str], str] = field(default_factory=dict)

    def device(self, source: str, former: str, *, is_certain: bool = False) -> str:
        """Return the source of a device, printable.

        Args:
            source: the maker, and what tells this device from others of its kind.
            former: the name under which earlier releases stored its readings.
            is_certain: whether a serial number tells it; otherwise two devices may have one name.
        """
        key = (source, former)
        if key not in self._named:
            self._named[key] = name = _printable(source)
            self.former.setdefault(name, set()).add(_printable(former))
            if is_certain:
                self.certain.add(name)
        return self._named[key]

    def row(
        self,
        where: str,
        item: Mapping[str, object],
        source: str,
        flags: frozenset[VitalFlag] = frozenset(),
    ) -> Row:
        """Return the reading of a row, flagged ``imported``, or why there is none.

        Args:
            where: file and row.
            item: kind, value, unit and ``at``, as ``given_readings.reading_of`` takes them.
            source: the device or app that measured, as far as the export names it.
            flags: further flags of the reading.
        """
        origin = ReadingOrigin("", flags=flags | {VitalFlag.IMPORTED}, zone=self.zone, live=False)
        try:
            return reading_of({**item, "source": _printable(source)}, self.now, origin)
        except ReadingError as error:
            return LeftOutRow(where, str(error))

    def need_zone(self, name: str) -> None:
        """Refuse a file whose times have no zone, unless one was given; it is never guessed.

        Raises:
            DataFileError: no zone was given.
        """
        if self.zone is None:
            raise DataFileError(
                N_(
                    "{file}: its times have no time zone. Give one, such as Europe/Berlin or UTC; "
                    "on the command line with --timezone. Nothing was imported."
                ),
                file=name,
            )


def _printable(source: str) -> str:
    """Return a name of an app or device, in which a control character would break messages."""
    return "".join(letter if letter.isprintable() else " " for letter in source)[:200]


Header = Callable[[tuple[str, ...]], bool]
"""Tells whether names of columns, in small letters, are those of a format."""
RowReader = Callable[[str, list[str]], Iterable[Row]]
"""Returns the readings of a row, from its place and its cells."""


def has_header(head: bytes, is_header: Header) -> bool:
    """Return whether one of the first rows of a file names the columns of a format."""
    return any(map(is_header, rows_of_head(head)))


class ExportTable(BroughtTable):
    """A table of an export.

    Args:
        member: the file.
        is_header: recognises the names of its columns; ``None``: they stand in the first row.
        above: how many rows stand above them, where that is known.

    Attributes:
        names: of its columns, in small letters; columns behind the last name are left out.

    Raises:
        DataFileError: as ``BroughtTable``.
    """

    def __init__(
        self, member: ExportMember, is_header: Header | None = None, above: int | None = None
    ) -> None:
        is_names = None if is_header is None else lambda cells: is_header(names_of(cells))
        super().__init__(
            member.name, member.open, TableForm(is_names, above, may_lack_names=is_header is None)
        )
        self.names = names_of(self.header)

    def readings(self, read: RowReader) -> Rows:
        """Yield the readings of each row, or the reason why it is left out.

        Raises:
            DataFileError: it is no CSV, or no text.
        """
        for row in self.rows():
            where = f"{self.name}, row {row.number}"
            if row.fault:
                yield LeftOutRow(where, row.fault)
                continue
            try:
                yield from read(where, row.cells[: len(self.names)])
            except ReadingError as error:
                yield LeftOutRow(where, str(error))
        if self.further is not None:
            yield Remark(*self.remarks[-1].split(": ", 1))
