"""A CSV file of readings: sent, explained column by column, seen, and then stored as a whole or not
at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import cast
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.rendering import render
from dashboard.web.routes.readings.manual import PAGE, page_with_file_problem
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import DOUBTFUL, VitalReading
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind
from edge_agent.store.study.placement import Placement
from edge_agent.store.write.imports import ReadingTable
from edge_agent.vitals.csv import (
    MAX_FILE_BYTES,
    CsvFile,
    JudgedRow,
    all_readings,
    count_placeholders,
    guess_map,
)
from edge_agent.vitals.csv_columns import (
    TARGETS,
    ColumnMap,
    DateOrder,
    local_times,
)

router = APIRouter(tags=["readings"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
PATH = f"{PAGE}/import"
PREVIEW_ROWS = 10
_NAME_MOST = 255
DATES: Mapping[DateOrder, str] = {
    "iso": N_("2026-11-20 08:15, or numbers since 1970"),
    "dmy": N_("20.11.2026 08:15 (day first)"),
    "mdy": N_("11/20/2026 8:15 AM (month first)"),
}
LABELS: Mapping[str, str] = {
    "at": N_("Time, or date"),
    "time": N_("Time of day, where the date has a column of its own"),
    "kind": N_("Kind, where each row is one reading"),
    "value": N_("Value, where each row is one reading"),
    "unit": N_("Unit"),
    "source": N_("Source"),
    "flags": N_("Flags"),
    "device_time": N_("Time that the device stamped"),
}


class _InMemory(MultiPartParser):
    """Keeps a file in memory: health data shall not lie about in the system's temporary folder."""

    spool_max_size = MAX_FILE_BYTES + 1


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person said of a file.

    Attributes:
        columns: the columns.
        zone: name of the time zone of times that name none; empty: there are none such.
    """

    columns: ColumnMap
    zone: str


@router.post(PATH, include_in_schema=False)
async def send_file(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Take a file into memory and lead to its preview."""
    try:
        name, raw = await _file_of(request)
        file = await run_in_threadpool(CsvFile.parse, name, raw)
    except DataFileError as error:
        return await run_in_threadpool(page_with_file_problem, request, services, said_of(error))
    return RedirectResponse(f"{PATH}/{services.ingest.files.keep(account.id, file)}", 303)


@router.get(PATH, include_in_schema=False)
def no_file() -> Response:
    """Lead to the place where files are sent."""
    return RedirectResponse(PAGE, 303)


@router.get(f"{PATH}/{{name}}", include_in_schema=False)
def look(request: Request, services: ServicesDep, account: AccountDep, name: str) -> Response:
    """Show what the columns are taken for and which readings the first rows give."""
    file = _find(services, account.id, name)
    choice = _choice(request.query_params, file)
    return _page(request, name, file, choice)


@router.post(f"{PATH}/{{name}}", include_in_schema=False)
async def take_file(
    request: Request, services: ServicesDep, account: AccountDep, name: str
) -> Response:
    """Store all readings of the file, or none."""
    async with request.form(max_files=0) as form:
        given = {key: value for key, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_take, request, services, account.id, account.name, name, given)


def _take(
    request: Request,
    services: Services,
    account: int,
    who: str,
    name: str,
    given: Mapping[str, str],
) -> Response:
    file = _find(services, account, name)
    choice = _choice(given, file)
    try:
        zone = local_times(choice.zone)
        flagged = 0

        def counted() -> Iterator[VitalReading]:
            nonlocal flagged
            for reading in all_readings(file, choice.columns, zone):
                flagged += bool(reading.flags & DOUBTFUL)
                yield reading

        placement = Placement.of_database(services.options.database)
        table = ReadingTable.of(placement.watch(counted()))
        done = services.commands.import_readings(table, file=file.name, actor=who)
    except DataFileError as error:
        return _page(request, name, file, choice, str(error))
    services.ingest.files.drop(account, name)
    answer = {"taken": done.inserted, "there": done.duplicates}
    answer |= {"import": done.number} if done.number is not None else {}
    answer |= {"flagged": flagged} if flagged else {}
    empty = count_placeholders(file, choice.columns).total()
    answer |= {"empty": empty} if empty else {}
    answer |= {"twice": zone.twice} if zone is not None and zone.twice else {}
    answer |= _outside(placement)
    return RedirectResponse(f"{PAGE}?{urlencode(answer)}", 303)


def _outside(placement: Placement) -> dict[str, int]:
    """Return what the page Readings is told of readings that lie in no session, as numbers."""
    if not placement.outside:
        return {}
    told = {"outside": placement.outside, "given": placement.readings}
    if placement.nearest is not None:
        told |= {
            "nearest": placement.nearest.session,
            "later": round(placement.nearest.later_s),
        }
    return told


async def _file_of(request: Request) -> tuple[str, bytes]:
    """Return name and content of the file that a form sends."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise DataFileError(N_("Choose a file and send the form again."))
    try:
        form = await _InMemory(request.headers, request.stream(), max_files=1, max_fields=5).parse()
    except (MultiPartException, FormParserError, KeyError) as error:
        raise DataFileError(
            N_("The form did not arrive in one piece. Choose the file and send it again.")
        ) from error
    async with _closing(form.get("file")) as file:
        if file is None or not file.filename:
            raise DataFileError(N_("Choose a file first."))
        if len(file.filename) > _NAME_MOST:
            raise DataFileError(
                Message(
                    N_("The name of the file has more than {most} characters. Rename it."),
                    most=_NAME_MOST,
                )
            )
        return file.filename.replace("\\", "/").rpartition("/")[2], await file.read()


class _closing:  # noqa: N801 - reads as a function, like contextlib's
    """Close an uploaded file at the end of the block; what is none is ``None``."""

    def __init__(self, file: object) -> None:
        self._file = file if isinstance(file, UploadFile) else None

    async def __aenter__(self) -> UploadFile | None:
        return self._file

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            await self._file.close()


def _find(services: Services, account: int, name: str) -> CsvFile:
    file = services.ingest.files.find(account, name)
    if file is None:
        raise HTTPException(
            410, gettext("This file is not kept any more. Send it again on the page Readings.")
        )
    return file


def _choice(given: Mapping[str, str], file: CsvFile) -> Choice:
    """Return what was chosen, or the guess where nothing was."""
    if "dates" not in given:
        return Choice(guess_map(file, PREVIEW_ROWS), "")
    columns = {t: given[f"column_{t}"] for t in TARGETS if given.get(f"column_{t}") in file.header}
    known = ((kind.value, kind.spec.unit_choices) for kind in VitalKind if kind in columns)
    units = {
        kind: given[f"unit_{kind}"]
        for kind, allowed in known
        if given.get(f"unit_{kind}") in allowed
    }
    dates = given["dates"] if given["dates"] in DATES else "iso"
    return Choice(
        ColumnMap(columns, units, cast("DateOrder", dates)), given.get("zone", "").strip()
    )


def _page(
    request: Request, name: str, file: CsvFile, choice: Choice, problem: str = ""
) -> Response:
    rows: list[JudgedRow] = []
    placeholders: Mapping[str, int] = {}
    hint = ""
    try:
        rows = list(islice(file.judged(choice.columns, local_times(choice.zone)), PREVIEW_ROWS))
        placeholders = count_placeholders(file, choice.columns)
    except DataFileError as error:
        hint = str(error)
    return render(
        request,
        "readings_import.html",
        status_code=422 if problem else 200,
        name=name,
        file=file,
        choice=choice,
        rows=rows,
        hint=hint,
        problem=problem,
        kinds=list(VitalKind),
        labels=LABELS,
        dates=DATES,
        shown=[column for column in file.header if column in choice.columns.columns.values()],
        unread=[name for name in file.header if name not in choice.columns.columns.values()],
        placeholders=placeholders,
    )
