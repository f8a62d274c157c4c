"""An export as a whole: which maker's files a folder or an archive holds, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from edge_agent.core.brought_files import kind_of
from edge_agent.core.errors import DataFileError
from edge_agent.vitals.health.apple import is_apple, read_apple
from edge_agent.vitals.health.emotibit import is_emotibit, read_emotibit
from edge_agent.vitals.health.empatica import is_e4, is_embrace, read_e4, read_embrace
from edge_agent.vitals.health.files import (
    DamagedFileError,
    ExportMember,
    RowValidator,
    members_of,
    readable,
)
from edge_agent.vitals.health.fitbit import is_fitbit, read_fitbit, table_of_day
from edge_agent.vitals.health.garmin import is_garmin, read_garmin
from edge_agent.vitals.health.omblepy import is_omblepy, read_omblepy
from edge_agent.vitals.health.samsung import is_samsung, read_samsung
from edge_agent.vitals.health.shimmer import is_shimmer, read_shimmer
from edge_agent.vitals.health.withings import is_withings, read_withings
from edge_agent.vitals.health.xdf.recording import is_recording, read_recording
from edge_agent.vitals.passed_over import NotRead, Remark, Row, Rows

_WAYS_SHOWN = 3
XDF = "XDF (Lab Streaming Layer)"
# Examples of files, one heart rate each.
_APPLE = (
    '<HealthData><Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min" value="61" '
    'startDate="2026-01-05 08:00:00 +0000"/></HealthData>\n'
)
_SAMSUNG = (
    "com.samsung.shealth.tracker.heart_rate,6305010,4\nstart_time,time_offset,heart_rate\n"
    "2026-01-05 08:00:00.000,UTC+0000,61\n"
)
_EMOTIBIT = (
    "LocalTimestamp,EmotiBitTimestamp,PacketNumber,TypeTag,DataReliability,HR\n"
    "1767600000.5,1,1,HR,100,61\n"
)
_SHIMMER = "Timestamp_Unix_CAL,PPGtoHR_CAL,Battery_CAL\nms,BPM,V\n1767600000000,61,3\n"
_FITBIT = "timestamp,beats per minute,data source\n2026-01-05T08:00:00Z,61,a\n"
_WITHINGS = "start,duration,value\n2026-01-05T08:00:00+00:00,[60],[61]\n"
_OMBLEPY = "datetime,dia,sys,bpm,mov,ihb\n2026-01-05 08:00:12,80,120,61,0,0\n"
_EMBRACE = "timestamp_unix,timestamp_iso,pulse_rate_bpm\n1767600000000,x,61\n"
_HEART = "heart_rate_2026-01-05.csv"
_OF_SAMSUNG = "com.samsung.shealth.tracker.heart_rate.csv"


@dataclass(frozen=True, slots=True)
class HealthFormat:
    """A kind of export.

    Attributes:
        name: of the maker or app, for people.
        is_ours: recognises it by a file's name and first bytes.
        read: reads one file row by row; raises ``DataFileError`` if the file itself is broken.
        former: the one source, or its beginning, that earlier releases gave all its devices;
            empty: devices have no name of their own.
        example: name and text of a small file with one heart rate; ``None``: its files are no text.
        needs_zone: whether no file of it has a time zone, so that a person must give one.
    """

    name: str
    is_ours: Callable[[str, bytes], bool]
    read: Callable[[ExportMember, RowValidator], Rows]
    former: str = ""
    example: tuple[str, str] | None = None
    needs_zone: bool = False


FORMATS = (
    HealthFormat("Apple Health", is_apple, read_apple, "apple_health:Watch", ("a.xml", _APPLE)),
    HealthFormat("Fitbit", is_fitbit, read_fitbit, "", (_HEART, _FITBIT)),
    HealthFormat("Samsung Health", is_samsung, read_samsung, "samsung", (_OF_SAMSUNG, _SAMSUNG)),
    HealthFormat("Withings", is_withings, read_withings, "withings", ("raw_hr_hr.csv", _WITHINGS)),
    HealthFormat("Garmin (FIT)", is_garmin, read_garmin, "fit:garmin fr945"),
    HealthFormat(
        "omblepy", is_omblepy, read_omblepy, "omron", ("user1.csv", _OMBLEPY), needs_zone=True
    ),
    HealthFormat("Empatica E4", is_e4, read_e4, "csv:HR.csv", ("HR.csv", "1767600000\n1\n61\n")),
    HealthFormat("EmbracePlus", is_embrace, read_embrace, "embraceplus", ("hr.csv", _EMBRACE)),
    HealthFormat("EmotiBit", is_emotibit, read_emotibit, "emotibit", ("1_HR.csv", _EMOTIBIT)),
    HealthFormat("Shimmer", is_shimmer, read_shimmer, "shimmer:", ("a.csv", _SHIMMER)),
    HealthFormat(XDF, is_recording, read_recording),
)
MAKERS = ", ".join(one.name for one in FORMATS)
"""The names of all of them, for people."""


@dataclass(frozen=True, slots=True)
class HealthExport:
    """The files of an export that hold readings.

    Attributes:
        name: of the file, archive or folder.
        files: its files, each with its format.
        remarks: about files that were not read.
        unknown: names of the files of no known format.
    """

    name: str
    files: Sequence[tuple[HealthFormat, ExportMember]]
    remarks: Sequence[Remark] = ()
    unknown: Sequence[str] = ()

    @property
    def formats(self) -> list[str]:
        """The names of the formats, each once."""
        return list(dict.fromkeys(form.name for form, _ in self.files))

    def rows(self, validator: RowValidator) -> Rows:
        """Yield row after row; of several files, a damaged FIT file is left out.

        Raises:
            DataFileError: a file is broken; the rows before it must not be kept.
        """
        return (row for _, row in self.numbered_rows(validator))

    def numbered_rows(self, validator: RowValidator) -> Iterator[tuple[int, Row]]:
        """Yield rows as ``rows`` does, each with the place of its file in ``files``."""
        yield from ((0, remark) for remark in self.remarks)
        for number, (form, member) in enumerate(self.files):
            with readable(member.name):
                if form.needs_zone:
                    validator.need_zone(member.name)
                rows = form.read(member, validator)
                if form.read is read_garmin and len(self.files) > 1:
                    try:
                        rows = iter(list(rows))  # an activity, not years: none of it is taken yet
                    except DamagedFileError as error:
                        rows = iter([NotRead(member.name, str(error).partition(": ")[2])])
                yield from ((number, row) for row in rows)

    def name_of(self, number: int) -> str:
        """Return the name of a file, with its folder or archive."""
        _, member = self.files[number]
        return f"{member.place}/{member.name}" if member.place else member.name


@contextmanager
def open_export(path: Path) -> Iterator[HealthExport | None]:
    """Open a file, archive or folder as a health export; ``None`` for another single file, or an
    archive of other tables.

    Raises:
        DataFileError: it cannot be read, or an archive or folder contains no known file.
    """
    with members_of(path) as members:
        # The same days may be there as JSON and as a table: read once.
        names = {member.name.lower() for member in members}
        twice = [one.name for one in members if table_of_day(one.name.lower()) in names]
        files = [
            (form, member)
            for member in members
            if member.name not in twice and (form := _format_of(member))
        ]
        if files:
            read = {member.name for _, member in files}
            unknown = [one.name for one in members if one.name not in {*read, *twice}]
            yield HealthExport(path.name, files, _remarks(twice), unknown)
        elif path.is_file() and any(
            one.name == path.name or one.name.lower().endswith(".csv") for one in members
        ):
            yield None
        else:
            raise DataFileError(
                f"{path}: none of its {len(members)} files has a known format. Known: "
                f"{MAKERS}; docs/importing.md lists the files of each.{_ways_out(members)}"
            )


def export_of_file(name: str, content: bytes) -> HealthExport | None:
    """Return a single file in memory as a health export; ``None``: it has no known format.

    Raises:
        DataFileError: it cannot be read.
    """
    opens = cast("Callable[[], BinaryIO]", partial(BytesIO, content))
    return export_of_member(ExportMember(name, len(content), opens))


def export_of_member(member: ExportMember) -> HealthExport | None:
    """Return a single file as a health export; ``None``: it has no known format.

    Raises:
        DataFileError: it cannot be read.
    """
    own = member.unpack()
    form = _format_of(own)
    return None if form is None else HealthExport(member.name, [(form, own)])


def _ways_out(members: Sequence[ExportMember]) -> str:
    """Return what the files of a folder are, and how they can be imported; may be empty."""
    for member in members:
        if PurePosixPath(member.name).name == "dataset_description.json":
            way = "is of a BIDS data set: affect-edge import-study, on the page Study, Import."
            return f"\n{member.name} {way}"
    ways: dict[str, str] = {}  # way → name of the first file
    for member in members:
        with readable(member.name):
            head = member.head()
        kind = kind_of(head)
        if kind is not None:
            ways.setdefault(kind.sentences, member.name)
        elif member.name.lower().endswith((".csv", ".tsv", ".txt")):
            ways.setdefault(
                "is a table. Import each table by itself, with --map guess or its columns named.",
                member.name,
            )
    return "".join(f"\n{name} {way}" for way, name in list(ways.items())[:_WAYS_SHOWN])


def _remarks(twice: Sequence[str]) -> list[NotRead]:
    if not twice:
        return []
    files = twice[0] if len(twice) == 1 else f"{len(twice)} files, {twice[0]} to {twice[-1]}"
    return [NotRead(files, "not read; the tables of the same days (.csv) have the same beats.")]


def _format_of(member: ExportMember) -> HealthFormat | None:
    if not member.size:
        return None
    with readable(member.name):
        head = member.head()
    return next((form for form in FORMATS if form.is_ours(member.name, head)), None)
