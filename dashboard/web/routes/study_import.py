"""Importing a study on a page: send it, read what would be imported, decide, import, undo.

The files go to the gate, which stages and checks them as the command ``import-study`` does. Nothing
is saved before a person has read the preview and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from python_multipart.exceptions import FormParserError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from dashboard.accounts.roles import Account, Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of, translate, with_and
from dashboard.web.authentication import AccountDep
from dashboard.web.brought_studies import (
    TABLES,
    SentFile,
    WidePreview,
    as_one_file,
    read_persons,
    send,
)
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.forms import NOTHING_REFUSED, Refused, form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import STUDY, NavigationEntry, render
from dashboard.web.schemas import FieldMs
from dashboard.web.services import Services, ServicesDep, UploadedFile
from edge_agent.core import clock
from edge_agent.core.errors import DataFileError, FileGoneError, StudyError
from edge_agent.core.study import AttributeUse, Purpose, SessionSetting
from edge_agent.core.texts import N_
from edge_agent.timeline.intake.cells import StudyImport, sentences
from edge_agent.timeline.intake.imports import list_imports
from edge_agent.timeline.intake.sent_files import NAME_MOST, WAITING, StudyChoices
from edge_agent.timeline.upkeep.retention import is_short_lived
from edge_agent.vitals import csv_files
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.health.exports import MAKERS

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
NAVIGATION = NavigationEntry(
    N_("Import"), "/study/import", 37, of="appliance", group=STUDY, beside=Permission.STUDY
)
PAGE = "/study/import"
_ONE = f"{PAGE}/{{key}}"
_FILES_MOST = 2_000
_COLUMN = "column "
_MADE_UP_TIMES_MS = 86_400_000
"""So long before now the made-up times of a table begin at the latest, if no consent is given."""
_FIELDS: Mapping[str, str] = {
    "prefix": N_("Beginning of all codes"),
    "leave-out": N_("Leave out"),
    "consent-on": N_("When they agreed"),
    "consent-attributes": N_("Age band and the like"),
    "consent": N_("Consent text"),
    "purpose": N_("Purpose"),
    "setting": N_("Setting"),
    "join-recorded": N_("Add what was recorded here in the time of a session to that session"),
    "starting": N_("First session begins"),
    "timezone": N_("Time zone"),
    "column": N_("Columns"),
}
"""Option of ``import-study`` → label of the field that says the same here."""
_NAMED = "|".join(sorted(_FIELDS, key=len, reverse=True))
_OPTION = rf"--({_NAMED})\b(?: [A-Z][\w=/-]*)?"
_OPTIONS = re.compile(rf"{_OPTION}(?: {_OPTION})*")
_REQUIRED = dict.fromkeys(("purpose", "text_version", "given_at", "first_at", "zone"), "")


class ChoicesForm(BaseModel):
    """The choices of a person about a study, as typed; and the meaning of columns of a table."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[str, Field(max_length=200)]]

    prefix: str = Field("", max_length=20)
    leave_out: str = Field("", max_length=2000)
    text_version: str = Field("", max_length=100)
    given_at: FieldMs = None
    attributes: AttributeUse = AttributeUse.NONE
    purpose: Purpose | None = None
    setting: SessionSetting = SessionSetting.OTHER
    join_recorded: bool = False
    first_at: FieldMs = None
    zone: str = Field("", max_length=60)

    @property
    def choices(self) -> StudyChoices:
        """The choices as the importer takes them."""
        return StudyChoices(
            prefix=self.prefix.strip(),
            leave_out=tuple(code for one in self.leave_out.split(",") if (code := one.strip())),
            text_version=self.text_version.strip(),
            given_ms=self.given_at,
            attributes=self.attributes,
            purpose=self.purpose,
            setting=self.setting,
            join_recorded=self.join_recorded,
            first_ms=self.first_at,
            zone=self.zone.strip(),
        )

    @property
    def meanings(self) -> dict[str, str]:
        """The meaning of columns that a person has typed."""
        return {
            name.removeprefix(_COLUMN): text.strip()
            for name, text in self.__pydantic_extra__.items()
            if name.startswith(_COLUMN)
        }


@dataclass(frozen=True, slots=True)
class _Preview:
    """Preview of an import.

    Attributes:
        name: of the file.
        report: what would be imported, and what is in the way; ``None``: it could not be checked.
        table: of a table with a row for each person: what is read of it.
        columns: the names of its columns.
        problem: why it could not be checked; empty: it was.
    """

    name: str
    report: StudyImport | None = None
    table: WidePreview | None = None
    columns: tuple[str, ...] = ()
    problem: str = ""
    field: str = ""


@router.get(PAGE, include_in_schema=False)
def study_import_page(
    request: Request, services: ServicesDep, done: Annotated[int | None, Query(ge=0)] = None
) -> Response:
    """Show the form that sends a study, and the imports with a button that undoes each."""
    return import_page(request, services, done=done)


def import_page(
    request: Request,
    services: Services,
    *,
    done: int | None = None,
    refused: Refused = NOTHING_REFUSED,
    command: str = "",
) -> Response:
    """Return the page on which every import begins: of a study, and of readings.

    Args:
        request: the request that it answers.
        services: of this dashboard.
        done: number of the import that was just made.
        refused: what was sent and cannot be imported.
        command: imports readings on the appliance, where only the page cannot take the file.
    """
    known = list_imports(services.options.database)
    return render(
        request,
        "study_import.html",
        status_code=422 if refused.problems else 200,
        refused=refused,
        command=command,
        imports=list(reversed(known)),
        done=next((one for one in known if one.id == done), None),
        largest_mib=csv_files.MAX_FILE_BYTES // 2**20,
        makers=MAKERS,
    )


class _InMemory(MultiPartParser):
    """Keeps an upload in memory, so that health data is not written to the temporary folder."""

    spool_max_size = csv_files.MAX_FILE_BYTES + 1


@router.post(PAGE, include_in_schema=False)
async def send_study(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Stage the files that were chosen and lead to their preview."""
    try:
        files = await _files_of(request)
        key = await run_in_threadpool(_keep, services, account, files)
    except (DataFileError, StudyError) as error:
        refused = Refused(PAGE, {}, {"files": said_of(error)})
        return await run_in_threadpool(import_page, request, services, refused=refused)
    return RedirectResponse(f"{PAGE}/{quote(key)}", 303)


async def _files_of(request: Request) -> list[SentFile]:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise DataFileError(N_("Choose a file and send the form again."))
    parser = _InMemory(request.headers, request.stream(), max_files=_FILES_MOST, max_fields=5)
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, KeyError) as error:
        raise DataFileError(
            N_("The form was not received completely. Choose the file and send it again.")
        ) from error
    try:
        given = [one for one in form.getlist("files") if isinstance(one, UploadFile)]
        files = [
            SentFile((one.filename or "").replace("\\", "/"), await one.read()) for one in given
        ]
        # A field in which nothing was chosen sends a file without a name.
        chosen = [one for one in files if one.path]
        if not chosen:
            raise DataFileError(N_("Choose a file first."))
        return chosen
    finally:
        await form.close()


def _keep(services: Services, account: Account, files: list[SentFile]) -> str:
    """Keep what was sent until it is imported; return its key."""
    file = as_one_file(files)
    if file.path.lower().endswith(TABLES):
        table = CsvFile.parse(file.path[:NAME_MOST], file.content)
        return services.files.keep(UploadedFile(account.id, table), account.id)
    return send(services.commands, file, account.name)


@router.get(_ONE, include_in_schema=False)
def preview_study(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    key: str,
    given: Annotated[ChoicesForm, Query()],
) -> Response:
    """Show what an import would do with these choices, and what is in its way."""
    return _preview_page(
        request,
        key,
        given,
        _preview_of(services, account, key, given, services.commands.preview_study),
    )


@router.post(_ONE, include_in_schema=False, dependencies=[form_of(PAGE)])
def take_study(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    key: str,
    form: Annotated[ChoicesForm, Form()],
) -> Response:
    """Import the study as it was previewed: all of it, or nothing."""
    preview = _preview_of(services, account, key, form, services.commands.import_study)
    if preview.report is None or not preview.report.imported:
        return _preview_page(request, key, form, preview)
    services.files.end(key)
    newest = list_imports(services.options.database)[-1].id
    return RedirectResponse(f"{PAGE}?{urlencode({'done': newest})}", 303)


@router.post(f"{PAGE}/undo/{{number}}", include_in_schema=False, dependencies=[form_of(PAGE)])
def undo_study_import(services: ServicesDep, account: AccountDep, number: int) -> Response:
    """Remove what an import added, and nothing else."""
    undone = services.commands.undo_import(number, actor=account.name)
    services.exports.forget_all()  # one that waits for its download may hold its people
    if undone.study.get("participant"):
        services.erased.forget()
    return RedirectResponse(f"{PAGE}?{urlencode({'done': number})}", 303)


@router.post(f"{_ONE}/leave", include_in_schema=False, dependencies=[form_of(PAGE)])
def leave_queue(services: ServicesDep, account: AccountDep, key: str) -> Response:
    """Give up a study that waits to be read, or is read."""
    services.commands.forget_file(key, actor=account.name)
    services.files.end(key)
    return RedirectResponse(PAGE, 303)


class _Ask(Protocol):
    """Asks the gate about a study that is staged."""

    def __call__(self, key: str, choices: StudyChoices, *, actor: str) -> StudyImport:
        """Return what an import does, or would do."""


def _preview_of(
    services: Services, account: Account, key: str, given: ChoicesForm, ask: _Ask
) -> _Preview:
    """Return what an import does, or would do: the one that is asked."""
    kept = services.files.of(key)
    table: WidePreview | None = None
    columns: tuple[str, ...] = ()
    name = ""
    try:
        if kept is not None and kept.account == account.id and isinstance(kept.file, CsvFile):
            name, columns = kept.file.name, tuple(kept.file.header)
            first_ms = given.first_at or given.given_at or clock.now().wall_ms - _MADE_UP_TIMES_MS
            table = read_persons(kept.file, given.meanings, first_ms)
            _check_stated(given)
            key = send(services.commands, SentFile(table.name, table.content), account.name)
        report = ask(key, given.choices, actor=account.name)
        if table is not None:
            report = table.said_of_table(report)
    except FileGoneError as error:
        raise HTTPException(410, said_of(error)) from error
    except (DataFileError, StudyError) as error:
        told = in_words_of_page(said_of(error))
        return _Preview(name, None, table, columns, told, error.field)
    return _Preview(name or report.source, report, table, columns)


def _check_stated(given: ChoicesForm) -> None:
    """Refuse a table of persons of whom nobody says to what they agreed, and for what."""
    for name, value, text in (
        ("purpose", given.purpose, N_("Say for which purpose the persons took part.")),
        ("text_version", given.text_version.strip(), N_("Say to which text they agreed.")),
        ("given_at", given.given_at, N_("Say when they agreed.")),
    ):
        if not value:
            raise StudyError(text, field=name)


def in_words_of_page(text: str) -> str:
    """Return a sentence of the importer with fields of this page in place of options.

    Example:
        >>> in_words_of_page("Leave them out: --leave-out P07.")
        'Leave them out: the field “Leave out”.'
    """

    def fields(options: re.Match[str]) -> str:
        labels = [gettext(_FIELDS[name]) for name in re.findall(_OPTION, options[0])]
        return with_and([gettext("the field “{label}”").format(label=label) for label in labels])

    return _OPTIONS.sub(fields, translate(text))


def _preview_page(request: Request, key: str, given: ChoicesForm, preview: _Preview) -> Response:
    typed = {name: value for name, value in given.model_dump().items() if value is not None}
    notes = [*(preview.table.notes if preview.table else ())]
    notes += preview.report.notes if preview.report else ()
    problems: Mapping[str, str] = {}
    is_waiting = preview.field == WAITING
    if preview.problem and not is_waiting:
        problems = {preview.field if preview.field in typed | _REQUIRED else "": preview.problem}
    is_asked = bool(request.query_params) or request.method == "POST" or not preview.field
    return render(
        request,
        "study_preview.html",
        status_code=422 if preview.problem and request.method == "POST" else 200,
        key=key,
        preview=preview,
        waiting=preview.problem if is_waiting else "",
        asks_again=is_waiting and request.method == "GET",
        given=given,
        typed=typed,
        refused=Refused(f"{PAGE}/{key}", typed, problems if is_asked else {}),
        purposes=list(Purpose),
        settings=list(SessionSetting),
        uses=list(AttributeUse),
        needs_times=preview.table is None,
        meaning_of=_COLUMN,
        labels=_FIELDS,
        in_words=in_words_of_page,
        warnings=list(filter(is_short_lived, notes)),
        notes=[note for note in notes if not is_short_lived(note)],
        problems=sentences(preview.report.problems) if preview.report else [],
    )
