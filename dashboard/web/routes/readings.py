"""Readings that people enter by hand, correct, remove, or import from a file.

A file is uploaded and previewed, and then stored whole or not at all. Of a table the columns are
assigned; a device's own file is read as ``affect-edge import-vitals`` reads it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from itertools import islice
from typing import Annotated, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field
from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from dashboard.accounts.roles import Account, Permission
from dashboard.device_files.answer import FileReadings
from dashboard.device_files.packed import PackedBytes
from dashboard.device_files.reader import DeviceFile, ReaderClosedError, TooLargeError
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import capitalise, said_of, translate, vital_label
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.forms import Refused
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import STUDY, NavigationEntry, render
from dashboard.web.routes.study_import import PAGE as IMPORT_PAGE
from dashboard.web.routes.study_import import import_page
from dashboard.web.services import Services, ServicesDep, UploadedFile, new_key
from edge_agent.core import clock
from edge_agent.core.bounds import printable
from edge_agent.core.errors import DataFileError, ReadingError, StudyError
from edge_agent.core.given_readings import (
    LEAST_PULSE_PRESSURE_MMHG,
    SOURCE_LENGTH,
    ReadingOrigin,
    are_near,
    flag_near_pressures,
    reading_of,
)
from edge_agent.core.readings import DOUBTFUL, LocalTimes, VitalFlag, VitalReading
from edge_agent.core.study import LABEL_LENGTH, MarkerKind
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import PRESSURES, VitalKind
from edge_agent.timeline.gate.commands import import_file
from edge_agent.timeline.intake.corrections import ReadingKey, entered_readings, removed_readings
from edge_agent.timeline.intake.devices import (
    at_stored_times,
    old_names,
    refuse_other_device,
    series_of,
    under_one_source,
)
from edge_agent.timeline.intake.imports import TakenReadings, taken_readings
from edge_agent.timeline.intake.named_people import Owners, RowsOfPeople, refuse_other_name
from edge_agent.timeline.study.past import Nearest, Placement, outside_sentence
from edge_agent.timeline.write.reading_imports import ImportResult, ReadingTable
from edge_agent.vitals import csv_files
from edge_agent.vitals.column_map import TARGETS, ColumnMap
from edge_agent.vitals.csv_readings import rows_of
from edge_agent.vitals.dates import DateOrder
from edge_agent.vitals.guessed_columns import guess_map
from edge_agent.vitals.passed_over import PassedOver
from edge_agent.vitals.zone_names import local_times

router = APIRouter(tags=["readings"], dependencies=[needs(Permission.RUN), APPLIANCE_ONLY])
NAVIGATION = NavigationEntry(N_("Readings"), "/readings", 36, of="appliance", group=STUDY)
PAGE = "/readings"
BY_HAND = tuple(kind for kind in VitalKind if kind.spec.by_hand)

TEXT_LENGTH = 200
RECENT = 20
_CHANGED = {
    "corrected": N_("The reading was corrected. The previous value is kept."),
    "removed": N_("The reading was removed and no longer counts. Its value is kept."),
}

Text = Annotated[str, Field(max_length=TEXT_LENGTH)]
Count = Annotated[int | None, Field(ge=0)]
_LIST = "recent-title"
PATH = f"{PAGE}/import"
PREVIEW_ROWS = 10
_VALUES_SHOWN = 3
"""Of each column."""
_COLUMNS_OFFERED = 100
"""Columns that are not read, at a time: a list for each of thousands would be no page."""
PREVIEW_READINGS = 10_000
"""Readings of a table that the page reads before the import: half a second on a Raspberry Pi."""
_COMMAND = "sudo affect-edge import-vitals"
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06")
_EXCEL = b"xl/workbook.xml"
_TABLES = (".csv", ".tsv", ".txt")
_NAME_MOST = 255
_ZONE_MOST = 60
DATES: Mapping[DateOrder, str] = {
    "iso": N_("2026-11-20 08:15, or numbers since 1970"),
    "dmy": N_("20.11.2026 08:15 (day first)"),
    "mdy": N_("11/20/2026 8:15 AM (month first)"),
}
LABELS: Mapping[str, str] = {
    "at": N_("Time, or date"),
    "time": N_("Time of day, if the date has its own column"),
    "kind": N_("Kind, if each row is one reading"),
    "value": N_("Value, if each row is one reading"),
    "unit": N_("Unit"),
    "source": N_("Source"),
    "flags": N_("Flags"),
    "device_time": N_("Time stamp of the device"),
    "error": N_("Expected error"),
}


@dataclass(frozen=True, slots=True)
class ReadingEntry:
    """The form of readings as a person filled it in, with its problems by field.

    ``doubts`` says what is implausible; it is stored only when the person confirms these values.
    """

    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    @property
    def signature(self) -> str:
        """The values as one text; a confirmation holds only for the same text."""
        given = {kind: self.values.get(kind) for kind in BY_HAND}
        return " ".join(f"{kind}={value}" for kind, value in given.items() if value)


@dataclass(frozen=True, slots=True)
class Notices:
    """The messages on the page about the previous request; empty texts are not shown.

    Attributes:
        message: the result of an entry.
        warning: what is implausible about it.
        added: what an import added, by kind and source.
        entry: the form as it was filled in, with its problems.
        correction: of a reading, that was not taken yet.
    """

    message: str = ""
    warning: str = ""
    added: Sequence[TakenReadings] = ()
    entry: ReadingEntry = field(default_factory=ReadingEntry)
    correction: ReadingCorrection | None = None


@dataclass(frozen=True, slots=True)
class ReadingCorrection:
    """A correction that was not taken yet: of which reading, its new value, and why not.

    ``confirmed`` is the value with which the form may come again although it is implausible; empty:
    it may not.
    """

    key: ReadingKey
    value: str
    problem: str
    confirmed: str = ""


class HandedInQuery(BaseModel):
    """The result of an entry or import of readings, as query parameters of an address.

    Attributes:
        taken: were saved; ``None``: nothing was handed in.
        there: were there already.
        flagged: look implausible.
        twice: local times of a file that come twice.
        empty: its cells with a mark for no value.
        left_out: its rows that gave no reading.
        number: of the import.
        outside: its readings that lie in no session.
        given: of how many.
        nearest: number of the nearest session.
        later: by how many seconds that begins later; negative where it ended before.
        changed: what became of a correction.
    """

    taken: Count = None
    there: Count = None
    flagged: Count = None
    twice: Count = None
    empty: Count = None
    left_out: Count = None
    number: int | None = Field(None, alias="import", ge=0, le=2**53)
    outside: Count = None
    given: Count = None
    nearest: Count = None
    later: int = Field(0, ge=-(2**40), le=2**40)
    changed: str = Field("", max_length=20)


async def _entry_form(request: Request) -> ReadingEntry:
    """Return the fields of the form: one for each kind that is entered by hand, time and note."""
    form = await request.form(max_fields=20)
    names = (*BY_HAND, "at", "note", "confirmed", "once")
    values = {name: form.get(name, "") for name in names}
    if any(not isinstance(value, str) or len(value) > TEXT_LENGTH for value in values.values()):
        raise HTTPException(
            422,
            gettext("Give each field as text of at most {text_length} characters.").format(
                text_length=TEXT_LENGTH
            ),
        )
    return ReadingEntry({str(name): str(value).strip() for name, value in values.items()})


EntryDep = Annotated[ReadingEntry, Depends(_entry_form)]


@router.get(PAGE, include_in_schema=False)
def readings_page(
    request: Request, services: ServicesDep, done: Annotated[HandedInQuery, Query()]
) -> Response:
    """Show the form, the file upload, and how programs send readings; after an entry, its
    result.
    """
    warning = _outside_text(services, done) if done.outside else ""
    if done.changed in _CHANGED:
        message = gettext(_CHANGED[done.changed])
    else:
        message = _result_text(done.taken, done.there or 0, done.flagged or 0)
    if done.twice:
        told = ngettext(
            "{n} local time occurs twice because the clocks were set back: the order in the "
            "file decided which one it is.",
            "{n} local times occur twice because the clocks were set back: the order in the "
            "file decided which ones they are.",
            done.twice,
        )
        warning = f"{told.format(n=thousands(done.twice))} {warning}".strip()
    if done.empty:
        told = ngettext(
            "{n} cell contained a sensor’s code for no value (such as 255 or --) and gave no "
            "reading.",
            "{n} cells contained a sensor’s code for no value (such as 255 or --) and gave no "
            "reading.",
            done.empty,
        )
        warning = f"{told.format(n=thousands(done.empty))} {warning}".strip()
    if done.left_out:
        told = ngettext(
            "{n} row of the file gave no reading.",
            "{n} rows of the file gave no reading.",
            done.left_out,
        )
        warning = f"{told.format(n=thousands(done.left_out))} {warning}".strip()
    database = services.options.database
    added = [] if done.number is None else taken_readings(database, done.number)
    return _page(request, services, Notices(message=message, warning=warning, added=added))


@router.post(f"{PAGE}/by-hand", include_in_schema=False)
def enter(
    request: Request, services: ServicesDep, account: AccountDep, entry: EntryDep
) -> Response:
    """Store readings that a person entered; nothing is stored while a field is wrong, and nothing
    implausible before the person has confirmed it.
    """
    readings = _validate(entry, account.name)
    _check_note(services, entry, readings)
    if not entry.problems and entry.values["confirmed"] != entry.signature:
        entry.doubts.extend(doubts_of(readings))
    if entry.problems or entry.doubts:
        return _page(request, services, Notices(entry=entry))

    def store() -> str:
        new = services.commands.enter_readings(readings, actor=account.name)
        if entry.values["note"]:
            at, note = readings[0].at, entry.values["note"]
            services.commands.add_marker(MarkerKind.NOTE, note, at, actor=account.name)
        flagged = sum(bool(reading.flags & DOUBTFUL) for reading in readings)
        return f"{PAGE}?taken={sum(new)}&there={new.count(False)}&flagged={flagged}"

    return RedirectResponse(services.once.run(entry.values["once"], store), 303)


def _validate(entry: ReadingEntry, account: str) -> list[VitalReading]:
    """Return the readings of an entry; errors are added to their fields."""
    now = clock.now()
    origin = ReadingOrigin(
        f"manual:{account}",
        flags=frozenset({VitalFlag.MANUAL}),
        zone=UTC,  # the page sends milliseconds; without JavaScript all times on it are in UTC
        decimal_comma=True,
        live=False,
    )
    readings: list[VitalReading] = []
    for kind in BY_HAND:
        if entry.values[kind]:
            given = {
                "kind": kind.value,
                "value": entry.values[kind],
                "at": entry.values["at"] or None,
            }
            try:
                readings.append(reading_of(given, now, origin))
            except ReadingError as error:
                name = "at" if error.field == "at" else kind.value
                entry.problems[name] = f"{error.shown} {error.reason}"
    if not any(entry.values[kind] for kind in BY_HAND):
        entry.problems["heart_rate"] = gettext("Enter a heart rate, or both pressures.")
    if bool(entry.values["systolic"]) != bool(entry.values["diastolic"]):
        missing = "diastolic" if entry.values["systolic"] else "systolic"
        entry.problems.setdefault(
            missing, gettext("A cuff measures both pressures: enter this one too.")
        )
    if any(VitalFlag.CLOCK_DIFFERS in reading.flags for reading in readings):
        entry.problems["at"] = gettext(
            "This time is in the future. Correct it, or leave it empty to use the current time."
        )
    return flag_near_pressures([reading.flag_implausible() for reading in readings])


def doubts_of(readings: list[VitalReading]) -> list[str]:
    """Return a sentence for each reading that is implausible by itself, or for a pair of them."""
    doubts = []
    for reading in readings:
        low, high = reading.kind.plausible
        spec = reading.kind.spec
        if not low <= reading.value <= high:
            doubts.append(
                gettext("{vital} {value} {unit} is not between {low} and {high}.").format(
                    vital=vital_label(reading.kind),
                    value=general(reading.value),
                    unit=spec.unit_shown,
                    low=general(low),
                    high=general(high),
                )
            )
    pressures = {one.kind: one.value for one in readings if one.kind in PRESSURES}
    if not doubts and are_near(pressures):
        high, low = (pressures[kind] for kind in (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC))
        doubts.append(
            gettext(
                "{high}/{low} mmHg: the systolic pressure, which comes first, must be more than "
                "{least} mmHg above the diastolic. Were the two swapped?"
            ).format(high=general(high), low=general(low), least=general(LEAST_PULSE_PRESSURE_MMHG))
        )
    return doubts


def _check_note(services: Services, entry: ReadingEntry, readings: list[VitalReading]) -> None:
    """Make sure that a note finds its place before anything is written."""
    note = entry.values["note"]
    if not note:
        return
    session = services.study.open_session()
    if session is None:
        entry.problems["note"] = gettext(
            "No session is open, so there is nowhere to save the note. Leave it empty."
        )
    elif len(note) > LABEL_LENGTH or not note.isprintable():
        entry.problems["note"] = gettext("Give at most {n} printable characters.").format(
            n=LABEL_LENGTH
        )
    elif readings and readings[0].at.wall_ms < session.start_ms:
        entry.problems["note"] = gettext(
            "The time is before the start of the open session, so the note cannot be saved "
            "there. Leave the note empty."
        )


def _result_text(taken: int | None, there: int, flagged: int) -> str:
    """Return the result of an entry or import as text."""
    if taken is None:
        return ""
    parts = [
        ngettext("{n} reading was saved.", "{n} readings were saved.", taken).format(
            n=thousands(taken)
        )
    ]
    if there:
        text = ngettext(
            "{n} was already saved and unchanged.", "{n} were already saved and unchanged.", there
        )
        parts.append(text.format(n=thousands(there)))
    if flagged:
        text = ngettext(
            "{n} looks unlikely: it is saved with a flag and left out of all means.",
            "{n} look unlikely: they are saved with a flag and left out of all means.",
            flagged,
        )
        parts.append(text.format(n=thousands(flagged)))
    return " ".join(parts)


def _outside_text(services: Services, done: HandedInQuery) -> str:
    """Return a sentence on the readings of a file outside all sessions, and the nearest session."""
    outside = done.outside or 0
    session = next((one for one in services.study.sessions() if one.id == done.nearest), None)
    nearest = None
    if session is not None:
        nearest = Nearest(session.id, session.participant, done.later)
    sentence = translate(outside_sentence(outside, done.given or outside, nearest))
    return f"{sentence} {gettext('Readings outside sessions are in no test.')}"


def _page(request: Request, services: Services, notices: Notices) -> Response:
    entry = notices.entry
    wrong = entry.problems or entry.doubts
    refused = Refused(f"{PAGE}/by-hand", entry.values, entry.problems)
    labels = {kind.value: capitalise(translate(kind.spec.short_name)) for kind in BY_HAND}
    labels |= {"at": gettext("Time"), "note": gettext("Note")}
    database = services.options.database
    return render(
        request,
        "readings.html",
        status_code=422 if wrong or notices.correction else 200,
        message=notices.message,
        warning=notices.warning,
        added=notices.added,
        entry=entry,
        refused=refused,
        wrong_fields=[labels[name] for name in entry.problems],
        confirmed=entry.signature if entry.doubts else "",
        once=new_key(),
        recent=entered_readings(database, RECENT),
        removed=removed_readings(database, RECENT),
        correction=notices.correction,
        kinds=sorted(BY_HAND, key=lambda kind: kind not in PRESSURES),
        open_session=services.study.open_session(),
        address=str(request.base_url).rstrip("/"),
    )


class ReadingForm(BaseModel):
    """A reading, and what a person typed as its value."""

    at: int = Field(ge=0, le=2**62)
    kind: VitalKind
    source: Text
    value: Text = ""
    confirmed: Text = ""

    @property
    def key(self) -> ReadingKey:
        """The key of the reading."""
        return ReadingKey(self.at, self.kind, self.source)


ReadingDep = Annotated[ReadingForm, Form()]


@router.post(f"{PAGE}/by-hand/correct", include_in_schema=False)
def correct(
    request: Request, services: ServicesDep, account: AccountDep, form: ReadingDep
) -> Response:
    """Change the value of a reading; an implausible one only when it is confirmed."""
    value = form.value.strip()
    origin = ReadingOrigin(form.source, decimal_comma=True, live=False)
    try:
        given = {"kind": form.kind.value, "value": value, "at": form.at}
        reading = reading_of(given, clock.now(), origin)
    except ReadingError as error:
        wrong = ReadingCorrection(form.key, value, f"{error.shown} {error.reason}")
        return _page(request, services, Notices(correction=wrong))
    doubts = doubts_of([reading])
    if doubts and form.confirmed != value:
        doubted = ReadingCorrection(form.key, value, " ".join(doubts), confirmed=value)
        return _page(request, services, Notices(correction=doubted))
    services.commands.correct_reading(form.key, reading.value, actor=account.name)
    return RedirectResponse(f"{PAGE}?changed=corrected#{_LIST}", 303)


@router.post(f"{PAGE}/by-hand/remove", include_in_schema=False)
def remove(services: ServicesDep, account: AccountDep, form: ReadingDep) -> Response:
    """Remove a reading; the old value is kept."""
    services.commands.remove_reading(form.key, actor=account.name)
    return RedirectResponse(f"{PAGE}?changed=removed#{_LIST}", 303)


csv_import_router = APIRouter(
    tags=["readings"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY]
)


class _InMemory(MultiPartParser):
    """Keeps an upload in memory, so that health data is not written to the temporary folder."""

    spool_max_size = csv_files.MAX_FILE_BYTES + 1


@dataclass(frozen=True, slots=True)
class CsvChoice:
    """The choices of a person for a CSV file.

    Attributes:
        columns: the columns.
        zone: name of the time zone of times that name none; empty: there are none such.
        device: source of all readings; empty: that of the file.
        problem: why the columns cannot be meant so; ``None``: they can.
    """

    columns: ColumnMap
    zone: str
    device: str = ""
    problem: Message | None = None


@dataclass(frozen=True, slots=True)
class ColumnRow:
    """A column of a table, as the page shows it.

    Attributes:
        number: its place among those that have a name.
        name: its name.
        values: the first of its values.
        target: its meaning, of ``TARGETS``; two of them apart by a blank, as of a pair of
            pressures; empty: nothing.
        kind: whose unit is chosen; ``None``: it has none to choose.
        is_read: whether it is read, maybe beside another column alone.
    """

    number: int
    name: str
    values: tuple[str, ...]
    target: str
    kind: VitalKind | None
    is_read: bool


@csv_import_router.post(PATH, include_in_schema=False)
async def send_file(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Read a file into memory and redirect to its preview."""
    name = ""
    try:
        name, packed, zone = await _file_of(request)
        file = await run_in_threadpool(_recognise, name, packed)
    except DataFileError as error:
        refused = Refused(PATH, {}, {"file": said_of(error)})
        command = _command_for(name, error)
        return await run_in_threadpool(
            import_page, request, services, refused=refused, command=command
        )
    kept = services.files.keep(UploadedFile(account.id, file), account.id)
    return RedirectResponse(f"{PATH}/{kept}?{urlencode({'zone': zone})}", 303)


def _recognise(name: str, packed: PackedBytes) -> csv_files.CsvFile | DeviceFile:
    """Return a device's own file, or a table.

    Raises:
        DataFileError: it is neither, or too large.
    """
    with packed.open() as file:
        is_archive = file.read(len(_ARCHIVES[0])).startswith(_ARCHIVES)
    if is_archive:
        raise _archive_error(printable(name), packed)
    device_file = DeviceFile.recognise(name, packed)
    if device_file is None:
        return _table_of(name, packed)
    if packed.size > csv_files.MAX_FILE_BYTES:
        raise TooLargeError(
            N_("{file}: is larger than {most} MiB, which is the most that this page takes."),
            file=device_file.name,
            most=csv_files.MAX_FILE_BYTES // 2**20,
        )
    return device_file


def _table_of(name: str, packed: PackedBytes) -> csv_files.CsvFile:
    csv_files.refuse_large(name, packed.size)
    return csv_files.CsvFile(name, packed.open)


def _archive_error(name: str, packed: PackedBytes) -> DataFileError:
    if _EXCEL in packed.unpack():
        return DataFileError(
            N_("{file}: is an Excel file. Save the sheet with the readings as CSV UTF-8."),
            file=name,
        )
    return TooLargeError(
        N_(
            "{file}: is an archive, and this page takes single files. Unpack it and send the files "
            "with readings one by one."
        ),
        file=name,
    )


def _command_for(name: str, error: DataFileError) -> str:
    """Return the command that imports a file which only the page cannot take; else nothing."""
    if not isinstance(error, TooLargeError):
        return ""
    # A name that begins with a hyphen would be an option.
    return f"{_COMMAND} {shlex.quote(name if name[0] != '-' else f'./{name}')}"


@csv_import_router.get(PATH, include_in_schema=False)
def no_file() -> Response:
    """Redirect to the form that uploads files."""
    return RedirectResponse(IMPORT_PAGE, 303)


@csv_import_router.get(f"{PATH}/{{name}}", include_in_schema=False)
def look(request: Request, services: ServicesDep, account: AccountDep, name: str) -> Response:
    """Show the readings of a device's file; of a table the columns, and the readings of its first
    rows.
    """
    file = _find(services, account.id, name, request.query_params)
    if isinstance(file, DeviceFile):
        return _device_file_page(request, services, name, file, request.query_params)
    choice = _choice(request.query_params, file)
    return _csv_import_page(request, services, name, file, choice)


@csv_import_router.post(f"{PATH}/{{name}}", include_in_schema=False)
async def take_file(
    request: Request, services: ServicesDep, account: AccountDep, name: str
) -> Response:
    """Store all readings of the file, or none."""
    async with request.form(max_files=0) as form:
        given = {key: value for key, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_take, request, services, account, name, given)


def _take(
    request: Request, services: Services, account: Account, name: str, given: Mapping[str, str]
) -> Response:
    file = _find(services, account.id, name, given)
    if isinstance(file, DeviceFile):
        return _take_device_file(request, services, account, name, file, given)
    choice = _choice(given, file)
    passed_over = PassedOver()
    try:
        zone = local_times(choice.zone)
        flagged = 0

        # Counted on the way: a second pass would read the whole file again.
        def counted() -> Iterator[VitalReading]:
            nonlocal flagged
            rows = rows_of(file, choice.columns, zone, look=whose.look)
            for reading in passed_over.readings_of(rows):
                flagged += bool(reading.flags & DOUBTFUL)
                yield reading

        placement = Placement.of_database(services.options.database)
        whose = _people_in(services, file, choice.columns)
        table = ReadingTable.compact(placement.watch(counted()))
        whose.finish()
        table = under_one_source(table, file.name, choice.device)
        refuse_other_device(services.options.database, file.name, series_of(table))
        done = import_file(services.commands, table, file=file.name, actor=account.name)
    except DataFileError as error:
        return _csv_import_page(request, services, name, file, choice, said_of(error))
    services.files.end(name)
    told = {
        "flagged": flagged,
        "empty": passed_over.no_value.total(),
        "left_out": passed_over.left_out,
        "twice": 0 if zone is None else zone.twice,
    }
    return _answer_of(done, placement, told)


def _take_device_file(
    request: Request,
    services: Services,
    account: Account,
    name: str,
    file: DeviceFile,
    given: Mapping[str, str],
) -> Response:
    try:
        contents = _contents_of(services, file, given)
        placement = Placement.of_database(services.options.database)
        for at_ms in contents.table.at_ms:
            placement.look(at_ms)
        done = import_file(services.commands, contents.table, file=file.name, actor=account.name)
    # Read before: what the page shows again would need another minute.
    except (DataFileError, ReaderClosedError, StudyError) as error:
        return _device_file_page(request, services, name, file, given, error)
    services.files.end(name)
    doubtful = [bool(flags & DOUBTFUL) for flags in contents.table.flag_sets]
    flagged = sum(doubtful[row] for row in contents.table.rows)
    told = {"flagged": flagged, "left_out": contents.left_out}
    return _answer_of(
        done._replace(duplicates=done.duplicates + contents.repeated), placement, told
    )


def _contents_of(services: Services, file: DeviceFile, given: Mapping[str, str]) -> FileReadings:
    """Return the contents of a file under the source that was given; else what is stored already
    has its name there.

    Raises:
        DataFileError: the file is damaged, its readings lie between those of another device, or its
            name says another person than those in whose sessions they lie.
        ReaderClosedError: the dashboard stops.
    """
    contents = services.device_files.read(file, _zone_of(given))
    table, database, device = contents.table, services.options.database, _device_of(given)
    refuse_other_name(file.name, Owners(database), table.at_ms)
    if device:
        table = under_one_source(table, file.name, device)
        refuse_other_device(database, file.name, series_of(table))
        return replace(contents, table=table)
    stored = old_names(database, file.name, series_of(table), contents.former)
    of_kinds = zip(table.kinds, table.sources, strict=True)
    sources = [stored.names.get((kind, source), source) for kind, source in of_kinds]
    table = at_stored_times(database, replace(table, sources=sources), contents.certain)
    refuse_other_device(database, file.name, series_of(table), contents.certain)
    remarks = [*contents.remarks, *map(translate, stored.remarks)]
    return replace(contents, table=table, remarks=remarks)


def _device_of(given: Mapping[str, str]) -> str:
    """Return the source that a person gave the readings of a file; empty: its own."""
    return printable(given.get("device", "").strip()[:SOURCE_LENGTH])


def _answer_of(done: ImportResult, placement: Placement, told: Mapping[str, int]) -> Response:
    told = {"import": done.number or 0, **told}
    if placement.outside:
        told |= {"outside": placement.outside, "given": placement.readings}
        if placement.nearest is not None:
            told |= {"nearest": placement.nearest.session}
            told |= {"later": round(placement.nearest.later_s)}
    answer = {"taken": done.inserted, "there": done.duplicates}
    answer |= {name: number for name, number in told.items() if number}
    return RedirectResponse(f"{PAGE}?{urlencode(answer)}", 303)


async def _file_of(request: Request) -> tuple[str, PackedBytes, str]:
    """Return name and content of the file that a form sends, and the browser's time zone."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise DataFileError(N_("Choose a file and send the form again."))
    try:
        form = await _InMemory(request.headers, request.stream(), max_files=1, max_fields=5).parse()
    except (MultiPartException, FormParserError, KeyError) as error:
        raise DataFileError(
            N_("The form was not received completely. Choose the file and send it again.")
        ) from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise DataFileError(N_("Choose a file first."))
        if len(file.filename) > _NAME_MOST:
            raise DataFileError(
                N_("The name of the file has more than {most} characters. Rename it."),
                most=_NAME_MOST,
            )
        # Some browsers send the whole path, on Windows with backslashes.
        name = file.filename.replace("\\", "/").rpartition("/")[2]
        packed = await run_in_threadpool(PackedBytes.of, file.file)
        return name, packed, str(form.get("zone") or "")[:_ZONE_MOST]
    finally:
        await form.close()


def _find(
    services: Services, account: int, name: str, given: Mapping[str, str]
) -> csv_files.CsvFile | DeviceFile:
    kept = services.files.of(name)
    if kept is None or kept.account != account:
        raise HTTPException(
            410, gettext("This file is no longer available. Send it again on the page Import.")
        )
    if isinstance(kept.file, DeviceFile) and _is_table(kept.file.name, given):
        return _table_of(kept.file.name, kept.file.packed)
    return kept.file


def _is_table(name: str, given: Mapping[str, str]) -> bool:
    """Return whether a person wants to assign the columns of a device's file, too."""
    return given.get("as") == "table" and name.lower().endswith(_TABLES)


def _zone_of(given: Mapping[str, str]) -> str:
    return given.get("zone", "").strip()[:_ZONE_MOST]


def _choice(given: Mapping[str, str], file: csv_files.CsvFile) -> CsvChoice:
    """Return the chosen columns and time zone, or a guess where nothing was chosen."""
    # The first look has no choices yet: they are guessed from the heads and the first rows.
    if "dates" not in given:
        guessed = guess_map(file, PREVIEW_ROWS)
        # A browser's zone is no answer to a column that names its own.
        return CsvChoice(guessed, "" if guessed.names_zone else given.get("zone", ""))
    columns, named_units, problem = _chosen_columns(given, file)
    known = ((kind.value, kind.spec.unit_choices) for kind in VitalKind if kind in columns)
    units = {kind: named_units[kind] for kind, allowed in known if named_units.get(kind) in allowed}
    dates = given["dates"] if given["dates"] in DATES else "iso"
    chosen = ColumnMap(columns, units, cast("DateOrder", dates), day=_text_of(given, "day"))
    recording, start = file.recording, _text_of(given, "start")
    if recording is not None:
        chosen = replace(chosen, elapsed=recording.elapsed)
    if start:
        chosen = chosen.from_start(start)
    return CsvChoice(chosen, _text_of(given, "zone"), _device_of(given), problem)


def _chosen_columns(
    given: Mapping[str, str], file: csv_files.CsvFile
) -> tuple[dict[str, str], dict[str, str], Message | None]:
    """Return the column of each target, the unit of each kind, and why they cannot be meant so.

    What is imported names them by target; the page asks by column, where two may be given the same
    target.
    """
    columns = {t: given[f"column_{t}"] for t in TARGETS if given.get(f"column_{t}") in file.header}
    units = {kind.value: given.get(f"unit_{kind}", "") for kind in VitalKind}
    problem = None
    for number, name in enumerate(_named_columns(file)):
        for target in given.get(f"is_{number}", "").split():
            if target in columns:
                problem = Message(
                    N_(
                        "{first} and {second} both have the meaning {target}. Choose one, or "
                        "import the file once for each, with a source of its own."
                    ),
                    first=columns[target],
                    second=name,
                    target=_name_of_target(target),
                )
            elif target in TARGETS:
                columns[target] = name
                units[target] = given.get(f"unit_{number}", "")
    return columns, units, problem


def _name_of_target(target: str) -> Message:
    if target in LABELS:
        return Message(LABELS[target])
    return Message(VitalKind(target).spec.name_in_text)


def _named_columns(file: csv_files.CsvFile) -> list[str]:
    return list(dict.fromkeys(filter(None, file.header)))


def _column_rows(file: csv_files.CsvFile, columns: ColumnMap) -> list[ColumnRow]:
    """Return the columns of a table, with the first values and the meaning of each."""
    targets: dict[str, list[str]] = {}
    for target, name in columns.columns.items():
        targets.setdefault(name, []).append(target)
    read = columns.read_columns | {*file.flag_columns}
    values: dict[str, list[str]] = {}
    with suppress(DataFileError):  # what of it cannot be read is said beside its rows
        for row in islice(file.rows(), PREVIEW_ROWS):
            for name, cell in zip(file.header, row.cells, strict=False):
                if cell and len(values.setdefault(name, [])) < _VALUES_SHOWN:
                    values[name].append(cell)
    rows = []
    for number, name in enumerate(_named_columns(file)):
        own = targets.get(name, [])
        kinds = [VitalKind(one) for one in own if one in {*VitalKind}]
        kind = next((one for one in kinds if one.spec.unit_choices), None)
        shown = tuple(values.get(name, ()))
        rows.append(ColumnRow(number, name, shown, " ".join(own), kind, name in read))
    return rows


def _text_of(given: Mapping[str, str], name: str) -> str:
    return given.get(name, "").strip()[:_ZONE_MOST]


@dataclass(slots=True)
class ReadingsPreview:
    """Readings that an import of a table would add, as far as the page reads it before.

    Attributes:
        rows: the first rows, judged one by one.
        kinds: its readings, by kind and source.
        passed_over: what of it gives none.
        is_part: whether only the first readings were read.
        hint: why it cannot be imported so; empty: it can.
    """

    rows: Sequence[csv_files.JudgedRow] = ()
    kinds: Sequence[KindOfFile] = ()
    passed_over: PassedOver = field(default_factory=PassedOver)
    is_part: bool = False
    hint: str = ""


def _preview_of(
    services: Services, file: csv_files.CsvFile, columns: ColumnMap, zone: LocalTimes | None
) -> ReadingsPreview:
    preview = ReadingsPreview()
    try:
        preview.rows = list(islice(file.validate_rows(columns, zone), PREVIEW_ROWS))
        whose = _people_in(services, file, columns)
        rows = rows_of(file, columns, zone, look=whose.look)
        readings = preview.passed_over.readings_of(rows)
        table = ReadingTable.compact(islice(readings, PREVIEW_READINGS + 1))
        preview.is_part = len(table.rows) > PREVIEW_READINGS
        preview.kinds = kinds_of(table, Placement.of_database(services.options.database))
        whose.finish()
    except DataFileError as error:
        preview.hint = said_of(error)
    return preview


def _people_in(services: Services, file: csv_files.CsvFile, columns: ColumnMap) -> RowsOfPeople:
    """Return what compares the people that a table names with the sessions of the database."""
    people = Owners(services.options.database)
    read = columns.read_columns
    return RowsOfPeople(
        file.name, file.header, read, people.codes, people.at, above=file.rows_above
    )


def _csv_import_page(
    request: Request,
    services: Services,
    name: str,
    file: csv_files.CsvFile,
    choice: CsvChoice,
    problem: str = "",
) -> Response:
    refused = Refused(request.url.path, {}, {"": problem} if problem else {})
    zone = None
    try:
        zone = local_times(choice.zone)
    except DataFileError as error:
        refused = Refused(request.url.path, {}, {"zone": said_of(error)})
    preview = _preview_of(services, file, choice.columns, zone)
    if choice.problem is not None:
        preview.hint = translate(choice.problem)
    columns = _column_rows(file, choice.columns)
    read = [one for one in columns if one.is_read]
    unread = [one for one in columns if not one.is_read]
    given = request.query_params
    first = int(given["from"]) if given.get("from", "").isdecimal() else 0
    address = urlencode([one for one in given.multi_items() if one[0] != "from"])
    return render(
        request,
        "readings_import.html",
        status_code=422 if problem else 200,
        refused=refused,
        name=name,
        file=file,
        choice=choice,
        rows=preview.rows,
        hint=preview.hint,
        preview=preview,
        vitals=list(VitalKind),
        labels=LABELS,
        dates=DATES,
        shown=[one.name for one in read],
        read=read,
        unread=unread,
        offered=unread[first : first + _COLUMNS_OFFERED],
        later=first + _COLUMNS_OFFERED if first + _COLUMNS_OFFERED < len(unread) else 0,
        address=address,
        pair=f"{VitalKind.SYSTOLIC} {VitalKind.DIASTOLIC}",
        as_table=request.query_params.get("as") == "table",
    )


@dataclass(slots=True)
class KindOfFile:
    """The readings of one kind and source of a file.

    Attributes:
        kind, source: of which.
        readings: how many.
        first_ms, last_ms: times of the first and the last, UTC milliseconds.
        lowest, highest: the extreme values, in the unit of the kind.
        outside_sessions: how many of them lie in no session.
    """

    kind: VitalKind
    source: str
    first_ms: int
    last_ms: int
    lowest: float
    highest: float
    readings: int = 0
    outside_sessions: int = 0

    def add(self, at_ms: int, value: float, *, is_inside: bool) -> None:
        """Add a reading."""
        self.first_ms, self.last_ms = min(self.first_ms, at_ms), max(self.last_ms, at_ms)
        self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)
        self.readings += 1
        self.outside_sessions += not is_inside


def kinds_of(table: ReadingTable, placement: Placement) -> list[KindOfFile]:
    """Return the readings of a file by kind and source."""
    kinds: dict[tuple[VitalKind, str], KindOfFile] = {}
    for at_ms, value, row in zip(table.at_ms, table.values, table.rows, strict=True):
        key = (table.kinds[row], table.sources[row])
        if key not in kinds:
            kinds[key] = KindOfFile(*key, at_ms, at_ms, value, value)
        kinds[key].add(at_ms, value, is_inside=placement.is_inside(at_ms))
    return list(kinds.values())


def _device_file_page(
    request: Request,
    services: Services,
    name: str,
    file: DeviceFile,
    given: Mapping[str, str],
    error: Exception | None = None,
) -> Response:
    zone = _zone_of(given)
    contents: FileReadings | None = None
    kinds: list[KindOfFile] = []
    try:
        if error is None:
            contents = _contents_of(services, file, given)
            placement = Placement.of_database(services.options.database)
            kinds = kinds_of(contents.table, placement)
    except (DataFileError, ReaderClosedError) as problem:
        error = problem
    return render(
        request,
        "readings_device_file.html",
        status_code=200 if error is None else 422,
        name=name,
        file=file,
        zone=zone,
        device=_device_of(given),
        problem="" if error is None else said_of(error),
        command=_command_for(file.name, error) if isinstance(error, DataFileError) else "",
        contents=contents,
        kinds=kinds,
        is_table=file.name.lower().endswith(_TABLES),
    )
