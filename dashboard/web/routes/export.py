"""Exports over HTTP: an export is prepared, then sent, also in parts after a broken connection."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from pydantic import BaseModel, Field, Json, SecretStr

from dashboard.accounts.roles import MAY, Account, Permission
from dashboard.analysis.query import AnalysisQuery, QuestionInJson, chosen_sessions
from dashboard.analysis.readings.marked import question_of_export
from dashboard.export_jobs import BackupRequest, ExportRequest, PreparedExport
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of, translate
from dashboard.languages.refused import OF_JSON, WholeNumber
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import ChosenStudiesDep, ChosenStudy, Devices, with_devices
from dashboard.web.delivery import ANY_FILE, SentExport
from dashboard.web.errors import file_answer, may_refuse, refuses_by
from dashboard.web.forms import NOTHING_REFUSED, Refused, RequestError, as_problem_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import NavigationEntry, render
from dashboard.web.schemas import SESSIONS_IN_ADDRESS, ApiModel, EpochMs, FieldMs
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.texts import N_
from edge_agent.timeline.export.format import Audience, ExportFormat
from edge_agent.timeline.export.format_register import all_formats, format_named
from edge_agent.timeline.export.rows import ExportChoice, holds_rows, sessions_of
from edge_agent.timeline.export.sealed import LONGEST, check_passphrase

router = APIRouter(tags=["export"], dependencies=[needs(Permission.STUDY)])
NAVIGATION = NavigationEntry(
    N_("Export"),
    "/export",
    60,
    "M12 3v12M7.5 11L12 15.5 16.5 11M4 18v3h16v-3",
    by_device=True,
    under_more=True,
)

if TYPE_CHECKING:

    class Format(StrEnum):
        """The name of an export format."""
else:
    # Made from the registry, so that the API describes the formats that there are.
    Format = StrEnum("Format", {each.name.upper(): each.name for each in all_formats()})
    Format.__doc__ = "The name of an export format."

BUNDLE = Format("bundle")
# Both forms go to one address.
_DATA_FORM, _ANALYSIS_FORM = "/export#data", "/export#analysis"
_MOST_SESSIONS = 10_000
_FILE_ANSWER = file_answer(
    ANY_FILE, *sorted({each.media_type for each in all_formats() if each.downloadable})
)


def _downloadable() -> list[ExportFormat]:
    return [each for each in all_formats() if each.downloadable]


def _format_names() -> str:
    """Return the names of the formats that can be downloaded, for the description of the API."""
    always = ", ".join(each.name for each in _downloadable() if not each.needs_sessions)
    with_sessions = ", ".join(each.name for each in _downloadable() if each.needs_sessions)
    return f"{always}; with sessions also {with_sessions}"


class NewExport(ApiModel):
    """The request to prepare an export."""

    format: Format = Field(BUNDLE, description=_format_names())
    sessions: list[WholeNumber] | None = Field(
        None, max_length=_MOST_SESSIONS, description="Only these sessions"
    )
    participant: str | None = Field(
        None, min_length=1, max_length=100, description="Only the sessions of this participant"
    )
    start: Annotated[EpochMs, OF_JSON] | None = Field(None, description="Only from here on")
    end: Annotated[EpochMs, OF_JSON] | None = Field(None, description="Only before this")
    question: QuestionInJson | None = Field(
        None,
        description="The question of the analysis, which the bundle tells; left out: the one that "
        "the Analysis page asks by itself, about the labels of the exported sessions where none "
        "has its states",
    )
    passphrase: SecretStr | None = Field(
        None,
        max_length=LONGEST,
        description="Locks the file (a zip that `age` opens, docs/export.md); kept nowhere. Left "
        "out: it is not locked",
    )


class ExportModel(ApiModel):
    """An export that is prepared, or ready."""

    id: str
    state: str = Field(description="preparing, ready or failed")
    share: float = Field(ge=0, le=1, description="How much is done")
    bytes: int | None = Field(description="Size of the file; null until it is ready")
    problem: str = Field(description="Why there is no file; empty otherwise")
    file: str = Field(
        description="Address of the file once it is ready; it can be new for in parts (Range)"
    )

    @classmethod
    def of(cls, prepared: PreparedExport) -> ExportModel:
        """Return the model of an export."""
        return cls(
            id=prepared.id,
            state=prepared.state,
            share=prepared.share,
            bytes=prepared.size,
            problem=prepared.problem,
            file=f"/api/v1/exports/{prepared.id}/file",
        )


class ExportQuery(BaseModel):
    """The export that an address asks for; by default everything, as a bundle."""

    format: Format = Field(BUNDLE, description=_format_names())
    session: list[int] | None = Field(
        None, max_length=SESSIONS_IN_ADDRESS, description="Only these sessions"
    )
    participant: str | None = Field(
        None, min_length=1, max_length=100, description="Only the sessions of this participant"
    )
    start: EpochMs | None = Field(None, description="Only from here on")
    end: EpochMs | None = Field(None, description="Only before this")

    def new(self) -> NewExport:
        """Return the request as programs send it."""
        return NewExport(
            format=self.format,
            sessions=self.session,
            participant=self.participant,
            start=self.start,
            end=self.end,
        )


def _asked(part: Annotated[ExportQuery, Query()]) -> NewExport:
    return part.new()


NewExportDep = Annotated[NewExport, Depends(_asked)]


class ExportForm(ExportQuery):
    """The form of the page; with the question of the Analysis page, its sessions and no others.

    Without scripts a browser sends the fields of every choice: ``what`` decides.
    """

    what: Literal["", "range", "sessions", "participant"] = ""
    session: list[int] | None = Field(None, max_length=_MOST_SESSIONS)
    start: FieldMs = None
    end: FieldMs = None
    passphrase: Annotated[SecretStr, Field(max_length=LONGEST)] = SecretStr("")
    question: Json[AnalysisQuery] | None = None

    def new(self) -> NewExport:
        """Return the request as programs send it, with the fields of the choice alone."""
        is_range = self.what in {"", "range"}
        return NewExport(
            format=self.format,
            sessions=self.session if self.what in {"", "sessions"} else None,
            participant=self.participant if self.what in {"", "participant"} else None,
            start=self.start if is_range else None,
            end=self.end if is_range else None,
        )


@router.get("/export", include_in_schema=False)
def export_page(
    request: Request, services: ServicesDep, account: AccountDep, study: ChosenStudiesDep
) -> Response:
    """Show the available exports, explain their columns, and show the state of the own export."""
    return _page(request, services, account, study)


def _page(
    request: Request,
    services: Services,
    account: Account,
    study: ChosenStudy,
    refused: Refused = NOTHING_REFUSED,
) -> Response:
    return render(
        request,
        "export.html",
        422 if refused.action else 200,
        refused=refused,
        sessions=study.reader.session_list(),
        span=study.reader.span(),
        formats=_downloadable(),
        audiences=Audience,
        prepared=_own_export(services, account),
    )


def _own_export(services: Services, account: Account) -> PreparedExport | None:
    """Return the export of an account that it has; a backup is shown on its own page."""
    prepared = services.exports.of_account(account.id)
    if prepared is None or isinstance(prepared.request, BackupRequest):
        return None
    return prepared


@router.post("/export", include_in_schema=False)
def prepare_from_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    study: ChosenStudiesDep,
    form: Annotated[ExportForm, Form()],
) -> Response:
    """Start preparing an export, and show the page with its progress."""
    new = form.new()
    if form.question is not None:
        asked = form.question
        known = study.reader.session_list()
        new.question = asked
        new.sessions = [one.id for one in chosen_sessions(known, asked.sample, asked.session)]
    sealed = bool(form.passphrase.get_secret_value())
    if sealed:
        new.passphrase = form.passphrase
    try:
        if form.what == "sessions" and not form.session:
            raise RequestError(N_("Choose at least one session."), field="session")
        _refuse_empty(study, _request_of(services, study, new).choice)
        _prepare(services, account, study, new)
    except RequestError as error:
        typed = form.model_dump(exclude={"passphrase", "question"}) | {"passphrase": ""}
        refused = Refused.by(request, error, typed)
        # The next click would otherwise export without a lock.
        again = gettext("Enter the passphrase again.")
        problems = {"passphrase": again} if sealed else {}
        which = _DATA_FORM
        typed["what"] = form.what or _what_of(form)
        if form.question is not None:
            which = _ANALYSIS_FORM
            typed["question"] = form.question.model_dump_json(exclude_defaults=True)
        problems |= refused.problems
        return _page(request, services, account, study, Refused(which, typed, problems))
    return RedirectResponse(study.address("/export"), 303)


def _what_of(form: ExportForm) -> str:
    """Return the choice on the page that shows the fields which were sent."""
    if form.participant is not None:
        return "participant"
    return "sessions" if form.session else "range"


@router.post("/export/prepared/{token}/delete", include_in_schema=False)
def delete_from_page(
    services: ServicesDep,
    account: AccountDep,
    token: str,
    device: Devices = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Delete a prepared export."""
    prepared = services.exports.find(account.id, token)
    if prepared is not None:
        services.exports.drop(prepared)
    return RedirectResponse(with_devices("/export", device), 303)


@router.post(
    "/api/v1/exports", operation_id="prepare_export", responses=may_refuse(404), status_code=202
)
@refuses_by("the end is after the start, in a time zone that there is")
def prepare(
    services: ServicesDep, account: AccountDep, study: ChosenStudiesDep, new: NewExport
) -> ExportModel:
    """Begin to prepare an export; the one before it is deleted. Each account has one at a time."""
    return ExportModel.of(_prepare(services, account, study, new))


@router.get("/api/v1/exports/{token}", operation_id="get_export", responses=may_refuse(404))
def state(services: ServicesDep, account: AccountDep, token: str) -> ExportModel:
    """Return the progress of an export."""
    return ExportModel.of(_prepared_export(services, account, token))


@router.get(
    "/api/v1/exports/{token}/file",
    operation_id="download_prepared_export",
    responses=may_refuse(404, 409) | _FILE_ANSWER,
    response_class=FileResponse,
)
def file(services: ServicesDep, account: AccountDep, token: str, request: Request) -> Response:
    """Send a prepared export, or the part of it that the header ``Range`` asks for.

    It is deleted ten minutes after it was sent to its end, and an hour after it was made.
    """
    prepared = _prepared_export(services, account, token)
    if prepared.state != "ready":
        raise HTTPException(
            409, translate(prepared.problem) or gettext("The export is still being prepared.")
        )
    return SentExport(services.exports, prepared, request.headers.get("accept"))


@router.delete(
    "/api/v1/exports/{token}",
    operation_id="delete_export",
    responses=may_refuse(404),
    status_code=204,
)
def delete(services: ServicesDep, account: AccountDep, token: str) -> None:
    """Delete an export, or end its preparation."""
    services.exports.drop(_prepared_export(services, account, token))


@router.get("/export/download", include_in_schema=False)
@router.get(
    "/api/v1/export",
    operation_id="download_export",
    responses=may_refuse(404) | _FILE_ANSWER,
    response_class=FileResponse,
)
@refuses_by("the end is after the start, in a time zone that there is")
def download(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    study: ChosenStudiesDep,
    new: NewExportDep,
) -> Response:
    """Prepare an export and send it, in one request.

    A broken download can be taken up within the hour by the same request with ``Range``, such as
    ``curl -C -``.
    """
    prepared = services.exports.of_account(account.id) if "range" in request.headers else None
    goes_on = (
        prepared is not None
        and prepared.state == "ready"
        # A part of another file would be appended to what the browser has.
        and prepared.request == _request_of(services, study, new)
    )
    if prepared is None or not goes_on:
        prepared = _prepare(services, account, study, new)
        prepared.done.result()
    if prepared.problem:
        raise StoreError(prepared.problem)
    return SentExport(services.exports, prepared, request.headers.get("accept"), in_parts=goes_on)


def _prepare(
    services: Services, account: Account, study: ChosenStudy, new: NewExport
) -> PreparedExport:
    request = _request_of(services, study, new)
    passphrase = ""
    if new.passphrase is not None:
        passphrase = new.passphrase.get_secret_value()
        as_problem_of("passphrase", partial(services.computing.call, check_passphrase, passphrase))
    if new.participant:
        which = f"participant={request.choice.participant}"
    else:
        which = f"sessions={new.sessions or 'all'}"
    for name, at_ms in (("start", new.start), ("end", new.end)):
        if at_ms is not None:
            which += f" {name}={iso_utc(at_ms)}"
    which += f" format={new.format}"
    if request.sealed:
        which += " sealed"
    # Before it is prepared: what leaves this machine must be written down.
    services.notes.note(account.name, "export", study.named(which))
    lent = partial(services.copies.lend_all, study.chosen) if services.copies else None
    return services.exports.prepare(account.id, request, passphrase, lent)


def _refuse_empty(study: ChosenStudy, choice: ExportChoice) -> None:
    """Refuse a range of time in which nothing was recorded."""
    if choice.start_ms is None and choice.end_ms is None:
        return
    if not any(holds_rows(database, choice) for _, database in study.sites):
        raise RequestError(
            N_("Nothing was recorded in this range. Choose one that overlaps the timeline."),
            field="start",
        )


def _request_of(services: Services, study: ChosenStudy, new: NewExport) -> ExportRequest:
    """Check a request and return it as an export that can be prepared."""
    start = new.start
    end = new.end
    if start is not None and end is not None and end <= start:
        raise RequestError(N_("The end must be after the start."), field="end")
    wanted = format_named(new.format)
    if not wanted.downloadable:
        names = ", ".join(each.name for each in _downloadable())
        raise RequestError(
            N_("format = {name}: choose one of {names}; the bundle holds the CSV."),
            name=wanted.name,
            names=names,
            field="format",
        )
    if new.participant is not None and new.sessions:
        raise RequestError(N_("Name sessions or a participant, not both."), field="participant")
    if wanted.needs_sessions and not new.sessions and new.participant is None:
        raise RequestError(
            N_("format = {name}: takes sessions only. Name at least one."),
            name=wanted.name,
            field="format",
        )
    as_problem_of("format", wanted.check_library)
    known = study.reader.session_list()
    unknown = set(new.sessions or ()) - {one.id for one in known}
    if unknown:
        raise HTTPException(
            404, gettext("session = {min}: there is no such session.").format(min=min(unknown))
        )
    sessions = tuple(sorted(set(new.sessions))) if new.sessions else None
    code = ""
    if new.participant is not None:
        try:
            code, sessions = sessions_of(new.participant, known)
        except StudyError as error:
            raise HTTPException(404, said_of(error)) from error
    asked = question_of_export(study.reader, sessions, new.question)
    if not asked.prefer_source:  # as the page does; the scripts of a bundle know no configuration
        asked = asked.model_copy(update={"prefer_source": services.options.prefer_sources})
    question = asked.model_dump(mode="json")
    choice = ExportChoice(sessions, start, end, code)
    is_sealed = new.passphrase is not None
    return ExportRequest(wanted, choice, question, is_sealed, study.chosen)


def _prepared_export(services: ServicesDep, account: AccountDep, token: str) -> PreparedExport:
    prepared = services.exports.find(account.id, token)
    is_backup = prepared is not None and isinstance(prepared.request, BackupRequest)
    # Whose role has changed since may keep the study, and no accounts.
    if prepared is None or (is_backup and Permission.ADMINISTER not in MAY[account.role]):
        raise HTTPException(404, gettext("This export no longer exists. Prepare it again."))
    return prepared
