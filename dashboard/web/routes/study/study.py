"""Participants, consent and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from dashboard.protocols.file import ProtocolError, list_protocols
from dashboard.web.login_guard import AccountDep
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.routes.live import open_session
from dashboard.web.schemas import SessionModel
from dashboard.web.services import ReaderDep, Services, ServicesDep, StudyDep
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Purpose, Session, SessionSetting
from edge_agent.store.read.overview import consents, session_counts

router = APIRouter(tags=["study"])
NAVIGATION = NavigationEntry(
    title="Study",
    path="/study",
    position=30,
    icon="M9 4h6v3H9zM8 5H5v16h14V5h-3M8 12h8M8 16h5",
)
_STUDY = "/study"
# of templates/_consent_text.html; records name the version that was agreed to
CONSENT_VERSION = "3"

CodeField = Annotated[str, Form(max_length=100)]


@router.get(_STUDY, include_in_schema=False)
def study_page(request: Request, services: ServicesDep) -> Response:
    """Show participants, their consent, and sessions."""
    return _page(request, services)


@router.post("/study/participants", include_in_schema=False)
def create_participant(
    request: Request, services: ServicesDep, account: AccountDep, code: CodeField = ""
) -> Response:
    """Add a participant under the code given, or one that is made up."""
    try:
        participant = services.study.create_participant(code.strip() or None)
    except StudyError as error:
        return _page(request, services, str(error))
    services.accounts.record(account.name, "participant_create", participant.code)
    return RedirectResponse(f"/study/participants/{participant.code}/consent", 303)


@router.get("/study/participants/{code}/consent", include_in_schema=False)
def consent_page(request: Request, study: StudyDep, code: str) -> Response:
    """Show the text that a participant agrees to."""
    return _consent_page(request, study.has_consent(code), code)


@router.post("/study/participants/{code}/consent", include_in_schema=False)
def give_consent(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    code: str,
    agreed: Annotated[str, Form(max_length=10)] = "",
    text_version: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Record that the participant agreed to the text that was shown."""
    if agreed != "yes" or text_version != CONSENT_VERSION:
        problem = (
            "Tick the box once the participant has read this text and agreed; nothing was recorded."
        )
        return _consent_page(request, services.study.has_consent(code), code, problem)
    services.study.give_consent(code, CONSENT_VERSION)
    services.accounts.record(account.name, "consent_give", code)
    return RedirectResponse(_STUDY, 303)


@router.post("/study/participants/{code}/withdraw", include_in_schema=False)
def withdraw_consent(
    request: Request, services: ServicesDep, account: AccountDep, code: str
) -> Response:
    """Record that the participant withdrew, which ends their session, and lead to the page that
    offers erasure.
    """
    try:
        services.study.withdraw_consent(code)
    except StudyError as error:
        return _page(request, services, str(error))
    services.accounts.record(account.name, "consent_withdraw", code)
    return RedirectResponse(f"/study/participants/{code}/erase", 303)


@dataclass(frozen=True, slots=True)
class SessionForm:
    """What a person chose for a new session, as typed."""

    participant: str
    purpose: str
    setting: str
    protocol: str
    name: str


def _session_form(
    participant: CodeField = "",
    purpose: Annotated[str, Form(max_length=40)] = "",
    setting: Annotated[str, Form(max_length=40)] = SessionSetting.OTHER.value,
    protocol: Annotated[str, Form(max_length=64)] = "",
    name: Annotated[str, Form(max_length=200)] = "",
) -> SessionForm:
    return SessionForm(participant, purpose, setting, protocol, name)


SessionFormDep = Annotated[SessionForm, Depends(_session_form)]


@router.post("/study/sessions", include_in_schema=False)
def start_session(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    form: SessionFormDep,
) -> Response:
    """Open a session now and lead to the page of its protocol, or to the live page, where its
    markers are set.
    """
    try:
        session = open_session(
            services,
            form.participant,
            _purpose(form.purpose),
            _setting(form.setting),
            form.name,
            form.protocol,
        )
    except (StudyError, ProtocolError) as error:
        return _page(request, services, str(error))
    services.accounts.record(account.name, "session_start", str(session.id))
    return RedirectResponse("/protocol" if form.protocol else "/live", 303)


@router.post("/study/sessions/end", include_in_schema=False)
def end_session(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Close the open session now."""
    try:
        session = services.study.end_session()
    except StudyError as error:
        return _page(request, services, str(error))
    services.accounts.record(account.name, "session_end", str(session.id))
    return RedirectResponse(_STUDY, 303)


@router.get("/study/sessions/{number}", include_in_schema=False)
def session_page(request: Request, reader: ReaderDep, study: StudyDep, number: int) -> Response:
    """Show one session and its markers."""
    session = _find(reader.session_list(), number)
    return render(request, "session.html", session=session, markers=study.markers(number))


@router.get("/api/v1/sessions")
def get_sessions(reader: ReaderDep) -> list[SessionModel]:
    """List all sessions, newest first."""
    return [SessionModel.model_validate(session) for session in reader.session_list()]


def _page(request: Request, services: Services, problem: str = "") -> Response:
    study = services.study
    database = services.options.database
    running = services.protocol_runner.view()
    known = consents(database)
    participants = study.participants()
    ready = [p.code for p in participants if p.code in known and known[p.code].withdrawn_ms is None]
    return render(
        request,
        "study.html",
        status_code=409 if problem else 200,
        problem=problem,
        participants=participants,
        consents=known,
        ready=ready,
        sessions=study.sessions(),
        counts=session_counts(database),
        open_session=study.open_session(),
        purposes=services.options.purposes,
        settings=list(SessionSetting),
        protocols=list_protocols(services.options.protocols),
        running=running is not None and not running.is_over,
    )


def _consent_page(request: Request, has_consent: bool, code: str, problem: str = "") -> Response:
    return render(
        request,
        "consent.html",
        status_code=409 if problem else 200,
        code=code,
        has_consent=has_consent,
        text_version=CONSENT_VERSION,
        problem=problem,
    )


def _purpose(text: str) -> Purpose:
    try:
        return Purpose(text)
    except ValueError as error:
        raise StudyError(
            f"Purpose {text!r} is not known. Choose one of: {', '.join(Purpose)}."
        ) from error


def _setting(text: str) -> SessionSetting:
    try:
        return SessionSetting(text)
    except ValueError as error:
        raise StudyError(
            f"Setting {text!r} is not known. Choose one of: {', '.join(SessionSetting)}."
        ) from error


def _find(sessions: list[Session], number: int) -> Session:
    session = next((one for one in sessions if one.id == number), None)
    if session is None:
        raise HTTPException(404)
    return session
