"""Participants, consents and sessions: the page, and the API for a study that has already taken
place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from dashboard.accounts.roles import Permission
from dashboard.languages.names import translate
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY, ChosenStudiesDep, ChosenStudyDep
from dashboard.web.errors import may_refuse
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import STUDY, NavigationEntry, render
from dashboard.web.routes.live import end_session, open_session, session_choices
from dashboard.web.schemas import ApiModel, EndedSession, GivenMs, PastSessionModel, SessionModel
from dashboard.web.services import ServicesDep, StudyDep
from dashboard.web.session_lists import LAST_PAGE, SessionsDep, SessionsQuestion, address_of
from edge_agent.core.errors import StudyError
from edge_agent.core.instruments import LONGEST, InstrumentName, instruments_text
from edge_agent.core.participant_codes import misread_codes
from edge_agent.core.study import NewSession, new_session_of
from edge_agent.core.texts import N_
from edge_agent.timeline.database.dashboard_file import refuse_account_name
from edge_agent.timeline.read.reader import session_counts
from edge_agent.timeline.study.exclusions import left_out_of
from edge_agent.timeline.study.past import PastSession, rows_taken
from edge_agent.timeline.study.people import ConsentState, RosterOrder, RosterQuery, read_roster
from edge_agent.timeline.study.sessions import Study

router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN)])
NAVIGATION = NavigationEntry(
    N_("Participants and sessions"), "/study", 30, by_device=True, group=STUDY
)
_STUDY = "/study"
CONSENT_PAGE = "/study/participants/{code}/consent"
# of templates/_consent_text.html; records name the version that was agreed to
CONSENT_VERSION = "9"

_SESSION_ROWS = 10

CodeField = Annotated[str, Form(max_length=100)]
OnceField = Annotated[str, Form(max_length=40)]


@dataclass(frozen=True, slots=True)
class StudyQuestion:
    """The wanted pages of the two lists, with search and order."""

    participants: RosterQuery = field(default_factory=RosterQuery)
    sessions: SessionsQuestion = field(default_factory=SessionsQuestion)

    def address(self, **changes: int) -> str:
        """Return the address of the page with another page of a list."""
        part = self.participants
        words = {
            "search": part.search,
            "consent": part.consent or "",
            "order": "" if part.order is RosterOrder.CODE else part.order,
            "page": part.page,
        }
        return address_of(_STUDY, {**words, **self.sessions.words(), **changes})


def _question(
    sessions: SessionsDep,
    search: Annotated[str, Query(max_length=100)] = "",
    consent: Annotated[ConsentState | Literal[""], Query()] = "",
    order: Annotated[RosterOrder, Query()] = RosterOrder.CODE,
    page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
) -> StudyQuestion:
    return StudyQuestion(RosterQuery(search.strip(), consent or None, order, page), sessions)


QuestionDep = Annotated[StudyQuestion, Depends(_question)]


@router.get(_STUDY, include_in_schema=False)
def study_page(
    request: Request,
    services: ServicesDep,
    of_study: ChosenStudyDep,
    question: QuestionDep,
    participant: Annotated[str, Query(max_length=100)] = "",
    protocol: Annotated[str, Query(max_length=64)] = "",
    ended: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Show participants, their consent, and sessions.

    A participant and a protocol that the address names are those chosen for the next session.
    """
    is_read_only = of_study.devices is not None
    study = of_study.study
    sessions = study.sessions()
    shown = question.sessions.shown(sessions, _SESSION_ROWS)
    database = of_study.database
    running = None if is_read_only else services.protocol_runner.view()
    return render(
        request,
        "study.html",
        question=question.participants,
        roster=read_roster(database, question.participants),
        roster_address=lambda page: of_study.address(question.address(page=page)),
        choices=None if is_read_only else session_choices(services),
        chosen=participant,
        protocol=protocol,
        shown=shown,
        session_question=question.sessions,
        session_count=len(sessions),
        session_address=lambda page: of_study.address(question.address(session_page=page)),
        ended=next((one for one in sessions if one.id == ended and one.end_ms), None),
        counts=session_counts(database, [one.id for one in shown.rows]),
        left_out=left_out_of(database, [one.id for one in shown.rows if one.left_out]),
        open_session=study.open_session(),
        standing=None if is_read_only else study.present_standing(),
        read_only=is_read_only,
        running=running is not None and not running.is_over,
    )


@router.get("/api/v1/sessions", operation_id="list_sessions", responses=may_refuse(404))
def get_sessions(study: ChosenStudiesDep) -> list[SessionModel]:
    """List all sessions, newest first; of several devices with the numbers that they have there."""
    return [SessionModel.model_validate(session) for session in study.reader.session_list()]


people_router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])


class NewParticipant(ApiModel):
    """A participant to add."""

    code: str | None = Field(
        None, max_length=32, description="Pseudonymous code, never a name; null: one is made up"
    )
    simulated: StrictBool = Field(False, description="Whether they are made up")


class ParticipantModel(ApiModel):
    """A participant."""

    code: str = Field(description="Pseudonymous code")
    simulated: bool = Field(description="Whether they are made up")
    remarks: list[str] = Field(
        description="Sentences on what other programs may take the code for, such as a number"
    )


class PastConsent(ApiModel):
    """A consent that was given."""

    text_version: str = Field(max_length=40, description="Version of the text that they read")
    given: GivenMs


class AddedSession(SessionModel):
    """A session that was added after its time."""

    rows: int = Field(
        description="Rows of the timeline recorded in its time; they belong to the participant now"
    )


@people_router.post(
    "/api/v1/participants",
    operation_id="create_participant",
    status_code=201,
    responses=may_refuse(409),
)
def create_participant(
    new: NewParticipant, services: ServicesDep, account: AccountDep
) -> ParticipantModel:
    """Add a participant."""
    refuse_account_name(services.options.database, new.code)
    made = services.commands.create_participant(
        new.code, simulated=new.simulated, actor=account.name
    )
    remarks = remarks_on(made.code, services.study)
    return ParticipantModel(code=made.code, simulated=made.simulated, remarks=remarks)


def remarks_on(code: str, study: Study) -> list[str]:
    """Return what other programs may take a participant's code for, in the language in use."""
    others = [one.code for one in study.participants() if one.code != code]
    return [translate(remark) for remark in misread_codes([code], others)]


@people_router.post(
    "/api/v1/participants/{code}/consents",
    operation_id="record_past_consent",
    status_code=201,
    responses=may_refuse(409),
)
def give_past_consent(
    code: str, new: PastConsent, services: ServicesDep, account: AccountDep
) -> PastConsent:
    """Record that a participant agreed to a text at a time that has passed."""
    services.commands.give_consent(code, new.text_version, new.given, actor=account.name)
    return new


@people_router.post(
    "/api/v1/sessions", operation_id="add_past_session", status_code=201, responses=may_refuse(409)
)
def create_session(
    new: PastSessionModel, services: ServicesDep, account: AccountDep
) -> AddedSession:
    """Add a session that has taken place.

    What was recorded in its time belongs to its participant from then on: ``rows`` says how much.
    """
    session = PastSession(
        about=new.new_session(), start_ms=new.start, end_ms=new.end, simulated=new.simulated
    )
    made = services.commands.add_past_session(session, actor=account.name)
    rows = rows_taken(services.options.database, made)
    return AddedSession(**SessionModel.model_validate(made).model_dump(), rows=rows)


@people_router.post("/study/participants", include_in_schema=False, dependencies=[form_of(_STUDY)])
def add_participant(
    services: ServicesDep, account: AccountDep, code: CodeField = "", once: OnceField = ""
) -> Response:
    """Add a participant under the code given, or one that is made up; a second click adds none."""

    def add() -> str:
        new = NewParticipant.model_validate({"code": code.strip() or None})
        made = create_participant(new, services, account)
        return CONSENT_PAGE.format(code=made.code)

    return RedirectResponse(services.once.run(once, add), 303)


@people_router.get(CONSENT_PAGE, include_in_schema=False)
def consent_page(request: Request, study: StudyDep, code: str) -> Response:
    """Show the text that a participant agrees to."""
    return render(
        request,
        "consent.html",
        code=code,
        remarks=remarks_on(code, study),
        has_consent=study.has_consent(code),
        text_version=CONSENT_VERSION,
    )


class ConsentForm(BaseModel):
    """The form of a consent: the ticked box, and the version of the text above it."""

    agreed: str = Field("", max_length=10)
    text_version: str = Field("", max_length=40)


@people_router.post(
    CONSENT_PAGE, include_in_schema=False, dependencies=[form_of(CONSENT_PAGE, ConsentForm)]
)
def give_consent(
    services: ServicesDep, account: AccountDep, code: str, form: Annotated[ConsentForm, Form()]
) -> Response:
    """Record that the participant agreed to the text that was shown."""
    if form.agreed != "yes" or form.text_version != CONSENT_VERSION:
        raise StudyError(
            N_(
                "Tick the box once the participant has read this text and agreed. Nothing was "
                "recorded."
            ),
            field="agreed",
        )
    services.commands.give_consent(code, CONSENT_VERSION, actor=account.name)
    return RedirectResponse(f"{_STUDY}?{urlencode({'participant': code})}", 303)


@people_router.post(
    "/study/participants/{code}/withdraw", include_in_schema=False, dependencies=[form_of(_STUDY)]
)
def withdraw_consent(services: ServicesDep, account: AccountDep, code: str) -> Response:
    """Record that the participant withdrew, which ends their session, and lead to the page that
    offers erasure.
    """
    services.commands.withdraw_consent(code, actor=account.name)
    services.exports.forget_all()  # one that waits for its download may hold them
    return RedirectResponse(f"/study/participants/{code}/erase", 303)


sessions_router = APIRouter(tags=["study"], dependencies=[needs(Permission.RUN), APPLIANCE_ONLY])


class SessionForm(BaseModel):
    """The form of a new session: the texts of its fields, as typed."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[str, Field(max_length=LONGEST)]]

    protocol: str = Field("", max_length=64)
    once: str = Field("", max_length=40)

    def new_session(self) -> NewSession:
        """Return the session that is wanted; the study's own rules judge its code and name."""
        values = dict(self.__pydantic_extra__)
        fields = {name: values.pop(f"instrument-{name}", "").strip() for name in InstrumentName}
        # A semicolon ends what is stated under a name.
        stated = {str(name): text.replace(";", ",") for name, text in fields.items() if text}
        if stated:
            values["instruments"] = instruments_text(stated)
        return new_session_of(values)


@sessions_router.post("/study/sessions", include_in_schema=False, dependencies=[form_of(_STUDY)])
def start_session_of_page(
    services: ServicesDep, account: AccountDep, form: Annotated[SessionForm, Form()]
) -> Response:
    """Open a session now and lead to the page of its protocol, or to the live page, where its
    markers are set; a second click opens none.
    """

    def start() -> str:
        open_session(form.new_session(), form.protocol, account.name, services)
        return "/protocol" if form.protocol else "/live"

    return RedirectResponse(services.once.run(form.once, start), 303)


@sessions_router.post(
    "/study/sessions/end", include_in_schema=False, dependencies=[form_of(_STUDY)]
)
def end_session_of_page(
    services: ServicesDep, account: AccountDep, session: Annotated[int | None, Form(ge=0)] = None
) -> Response:
    """Close the open session now, and redirect to the study page, which links to it."""
    is_open = services.study.open_session()
    end_session(services.study, account, services, EndedSession(session=session))
    number = session if session is not None or is_open is None else is_open.id
    return RedirectResponse(f"{_STUDY}?ended={number}", 303)
