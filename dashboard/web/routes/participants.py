"""One participant: consents, attributes, sessions over time, days and weeks, and erasure after the
code was typed once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta, tzinfo
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from dashboard.accounts.roles import Account, Permission, Role
from dashboard.charts.week import DayInWords
from dashboard.languages.current import gettext
from dashboard.languages.figures import hours_in_words
from dashboard.languages.names import said_of
from dashboard.languages.refused import PLAIN_DATE
from dashboard.questions.week.answer import DAYS, DaysModel, WeekQuery, WeekSummaryModel
from dashboard.questions.week.computing import Days
from dashboard.questions.week.counting import last_day, today
from dashboard.questions.week.words import Week, days_in_words, in_minutes, say, weeks_in_words
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY, ChosenStudyDep
from dashboard.web.errors import may_refuse, refuses_by
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.schemas import ApiModel
from dashboard.web.services import Services, ServicesDep
from dashboard.web.session_lists import SessionsDep
from edge_agent.core import clock
from edge_agent.core.errors import DataFileError, StoreError, StudyError
from edge_agent.core.study import (
    AGE_BAND,
    AGE_BANDS,
    LENGTH,
    MEDICATION,
    SEX,
    SEXES,
    AttributeUse,
    Session,
)
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import Reader, consents, session_counts
from edge_agent.timeline.read.session_reader import SessionMeans, read_session_means
from edge_agent.timeline.study.people import (
    Enrolled,
    attribute_use_of,
    attributes_of,
    consents_of,
    list_entry_of,
)
from edge_agent.timeline.study.standing import standing_of
from edge_agent.timeline.upkeep.erasure import is_erasable, plan_erasure
from edge_agent.vitals.zone_names import zone_named

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY)])
ATTRIBUTES_PAGE = "/study/participants/{code}/attributes"
ERASURE_PAGE = "/study/participants/{code}/erase"
_SESSION_ROWS = 20
_ATTRIBUTE_USE = {
    AttributeUse.NONE: N_("none kept"),
    AttributeUse.HERE: N_("kept on this device only"),
    AttributeUse.SHARED: N_("kept, and may be included in exports"),
}
_WEEKS = (1, 4)
_KNOWN = (AGE_BAND, SEX, MEDICATION)


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session with what was recorded in it."""

    session: Session
    means: SessionMeans


def _person(
    services: ServicesDep, account: AccountDep, study: ChosenStudyDep, code: str
) -> Enrolled:
    """Return the participant that an address names, and note that their data are looked at.

    For a carer there is nobody but the people of the own list.
    """
    try:
        if account.role is Role.CARER:
            person = own_person(services, account, code)
        else:
            person = list_entry_of(study.database, code)
    except StudyError as error:
        raise HTTPException(404, said_of(error)) from error
    services.views.note(account, "participant_view", study.named(person.code))
    return person


PersonDep = Annotated[Enrolled, Depends(_person)]


def own_person(services: Services, account: Account, code: str) -> Enrolled:
    """Return somebody of a carer's list.

    Raises:
        StudyError: nobody of the list has that code, whether or not there is such a participant.
    """
    # The lists name people of this appliance; a device of a fleet may have others of these codes.
    own = [] if services.fleet is not None else services.carers.people_of(account.id)
    for one in own:
        if one.code.casefold() == code.casefold():
            return one
    raise StudyError(
        N_(
            "{code} is not on your list of people. An administrator can add them on the Accounts "
            "page."
        ),
        code=code,
    )


@router.get("/study/participants/{code}", include_in_schema=False)
def participant_page(
    request: Request, study: ChosenStudyDep, person: PersonDep, question: SessionsDep
) -> Response:
    """Show one participant: consents, attributes, and sessions over time."""
    database, reader = study.database, study.reader
    sessions = [one for one in reader.session_list() if one.participant == person.code]
    shown = question.shown(sessions, _SESSION_ROWS)
    lines = _lines(reader, shown.rows)
    path = f"/study/participants/{quote(person.code)}"
    measured = {kind for line in lines for kind in line.means.vitals}
    return render(
        request,
        "participant.html",
        person=person,
        consents=consents_of(database, person.code),
        attributes=attributes_of(database).get(person.code, {}),
        attribute_use=_ATTRIBUTE_USE[attribute_use_of(database, person.code)],
        standing=None if study.device else standing_of(database, person.code),
        hours_in_words=hours_in_words,
        lines=lines,
        kinds=[kind for kind in VitalKind if kind in measured],
        sessions=sessions,
        shown=shown,
        question=question,
        session_address=lambda page: study.address(question.address(path, session_page=page)),
    )


def _lines(reader: Reader, sessions: Sequence[Session]) -> list[SessionLine]:
    """Return the sessions of a page with their means, each of which is read row by row."""
    with reader.connect() as connection:
        means = read_session_means(connection, sessions)
    return [SessionLine(one, means[one.id]) for one in sessions]


days_router = APIRouter(tags=["study"], dependencies=[needs(Permission.WEEK)])


@dataclass(frozen=True, slots=True)
class DaysQuestion:
    """Which days of a participant are shown.

    Attributes:
        weeks: how many.
        last: the last day.
        today: the present day.
        zone: whose midnights divide the days; ``None``: that of this machine.
        zone_name: as it was given.
    """

    weeks: int
    last: date
    today: date
    zone: tzinfo | None
    zone_name: str

    def address(
        self, path: str, *, weeks: int | None = None, shift: int = 0, whole: bool = False
    ) -> str:
        """Return the address of other weeks: more of them, later ones, or with details."""
        last = min(self.today, self.last + timedelta(days=shift))
        words = {"weeks": f"{weeks or self.weeks}", "to": last.isoformat()}
        words["zone"] = self.zone_name
        if last == self.today:
            del words["to"]  # an address that is kept shows the present week when it is opened
        if whole:
            words["whole"] = "yes"
        return f"{path}?{urlencode({name: word for name, word in words.items() if word})}"


def _one_week(
    to: Annotated[
        Annotated[date, Field(ge=date(1970, 4, 1)), PLAIN_DATE] | None,
        Query(description=WeekQuery.model_fields["to"].description),
    ] = None,
    zone: Annotated[
        str, Query(max_length=64, description=WeekQuery.model_fields["zone"].description)
    ] = "",
) -> DaysQuestion:
    try:
        where = zone_named(zone)
    except DataFileError as error:
        raise HTTPException(422, f"zone = {said_of(error)}") from error
    try:
        last = last_day(to, where)
    except StudyError as error:
        raise HTTPException(422, said_of(error)) from error
    return DaysQuestion(1, last, today(where), where, zone)


OneWeekDep = Annotated[DaysQuestion, Depends(_one_week)]


def _question(
    one_week: OneWeekDep, weeks: Annotated[int, Query(ge=1, le=5, description="How many weeks")] = 1
) -> DaysQuestion:
    return replace(one_week, weeks=weeks)


QuestionDep = Annotated[DaysQuestion, Depends(_question)]


def _days(
    services: ServicesDep, study: ChosenStudyDep, question: QuestionDep, person: PersonDep
) -> Days:
    asked = person.code, question.last, question.weeks, question.zone
    return services.computing.call(days_in_words, study.database, *asked)


DaysDep = Annotated[Days, Depends(_days)]


def _weeks(study: ChosenStudyDep, question: QuestionDep, person: PersonDep) -> list[Week]:
    # Not in a process of its own, whose start takes longer than this.
    asked = person.code, question.last, question.zone, question.weeks
    return weeks_in_words(study.database, *asked)


@days_router.get("/study/participants/{code}/days", include_in_schema=False)
def days_page(
    request: Request,
    services: ServicesDep,
    study: ChosenStudyDep,
    question: QuestionDep,
    person: PersonDep,
    weeks: Annotated[list[Week], Depends(_weeks)],
    *,
    whole: bool = False,
) -> Response:
    """Show the week of one participant at a glance, or several weeks.

    What takes longer, the details, comes with several weeks, and where they are asked for.
    """
    path = f"/study/participants/{person.code}/days"

    def address(*, weeks: int | None = None, shift: int = 0, whole: bool = False) -> str:
        return study.address(question.address(path, weeks=weeks, shift=shift, whole=whole))

    def trends_of(day: DayInWords) -> str:
        words = {"start": day.start_ms, "end": day.end_ms, "participant": person.code}
        return f"/trends?{urlencode(words)}"

    days = _days(services, study, question, person) if whole or question.weeks > 1 else None
    return render(
        request,
        "days.html",
        person=person,
        weeks=[one.model for one in weeks],
        pictures=[one.picture for one in weeks],
        days=days and days.model,
        kinds=days.kinds if days else (),
        compared=days.compared_kinds if days else (),
        rule=say("rule"),
        in_minutes=in_minutes,
        question=question,
        choices=_WEEKS,
        span=DAYS,
        address=address,
        trends_of=None if study.device else trends_of,
        latest=weeks[-1].latest_ms,
        latest_week=_week_of(weeks[-1], question, address),
        standing=None if study.device else standing_of(study.database, person.code),
        hours_in_words=hours_in_words,
    )


def _week_of(week: Week, question: DaysQuestion, address: Callable[..., str]) -> str:
    """Return the address of the week of the latest session; empty where there is none."""
    if week.latest_ms is None:
        return ""
    day = clock.utc_at(week.latest_ms).astimezone(question.zone).date()
    return address(shift=(day - question.last).days)


@days_router.get(
    "/api/v1/participants/{code}/days",
    operation_id="get_participant_days",
    responses=may_refuse(404),
)
@refuses_by("which time zones there are")
def get_days(days: DaysDep) -> DaysModel:
    """Return the weeks of one participant: described, compared with the week before, not tested."""
    return days.model


@days_router.get(
    "/api/v1/participants/{code}/week",
    operation_id="get_participant_week",
    responses=may_refuse(404),
)
@refuses_by("which time zones there are")
def get_week(study: ChosenStudyDep, question: OneWeekDep, person: PersonDep) -> WeekSummaryModel:
    """Return the week of one participant at a glance: three numbers beside those of the own last
    eight weeks, and a sentence.
    """
    return _weeks(study, question, person)[0].model


attributes_router = APIRouter(
    tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY]
)


def _known(services: ServicesDep, code: str) -> str:
    """Return a participant's code as stored, whatever case it was typed in."""
    known = {one.code.casefold(): one.code for one in services.study.participants()}
    if code.casefold() not in known:
        raise HTTPException(404)
    return known[code.casefold()]


CodeDep = Annotated[str, Depends(_known)]


class AttributesModel(ApiModel):
    """The attributes of a participant, and the consent to them."""

    consent: AttributeUse = Field(
        description="none: none are kept; here: kept on this appliance; shared: in exports, too"
    )
    attributes: dict[str, str] = Field(
        max_length=20, description="age_band, sex, medication, and fields of the study's own"
    )


@attributes_router.get(
    "/api/v1/participants/{code}/attributes",
    operation_id="get_participant_attributes",
    responses=may_refuse(409),
)
def get_attributes(code: str, services: ServicesDep) -> AttributesModel:
    """Return the attributes of a participant, and the consent to them."""
    use = attribute_use_of(services.options.database, code)
    return AttributesModel(consent=use, attributes=_kept(services, code))


@attributes_router.put(
    "/api/v1/participants/{code}/attributes",
    operation_id="set_participant_attributes",
    responses=may_refuse(409),
)
def put_attributes(
    code: str, new: AttributesModel, services: ServicesDep, account: AccountDep
) -> AttributesModel:
    """Replace the consent to attributes, and the attributes themselves: both, or nothing.

    A prepared export may hold attributes that may not be shared any more: it is deleted, too.
    """
    # An empty value removes an attribute.
    gone = dict.fromkeys(_kept(services, code), "")
    given = {name: value for name, value in new.attributes.items() if value.strip()}
    values = None if new.consent is AttributeUse.NONE else gone | given
    services.commands.agree_to_attributes(code, new.consent, values=values, actor=account.name)
    services.exports.forget_all()
    return AttributesModel(consent=new.consent, attributes=_kept(services, code))


class AttributeForm(BaseModel):
    """The form of a participant's attributes, as typed."""

    use: str = Field("", max_length=20)
    age_band: str = Field("", max_length=100)
    sex: str = Field("", max_length=100)
    medication: str = Field("", max_length=200)
    others: str = Field("", max_length=4000)

    def attributes(self) -> AttributesModel:
        """Return the attributes.

        Raises:
            StudyError: nothing was chosen, or a line of the other fields has no equals sign.
        """
        if self.use not in list(AttributeUse):
            raise StudyError(N_("Choose what they agreed to."), field="use")
        known = self.model_dump(include=set(_KNOWN))
        return AttributesModel.model_validate(
            {"consent": self.use, "attributes": known | _fields(self.others)}
        )


@attributes_router.get(ATTRIBUTES_PAGE, include_in_schema=False)
def attributes_page(request: Request, services: ServicesDep, code: CodeDep) -> Response:
    """Show the attributes of a participant, and the consent to them."""
    now = get_attributes(code, services)
    kept = now.attributes
    return render(
        request,
        "attributes.html",
        code=code,
        has_consent=services.study.has_consent(code),
        use=now.consent,
        kept=kept,
        others="\n".join(f"{name}={kept[name]}" for name in kept if name not in _KNOWN),
        age_bands=AGE_BANDS,
        sexes=SEXES,
        length=LENGTH,
    )


@attributes_router.post(
    ATTRIBUTES_PAGE,
    include_in_schema=False,
    dependencies=[form_of(ATTRIBUTES_PAGE, AttributeForm, rest="others")],
)
def change_attributes(
    services: ServicesDep, account: AccountDep, code: str, form: Annotated[AttributeForm, Form()]
) -> Response:
    """Store the consent to attributes and the attributes themselves."""
    put_attributes(code, form.attributes(), services, account)
    return RedirectResponse("/study", 303)


def _kept(services: Services, code: str) -> dict[str, str]:
    told = attributes_of(services.options.database)
    return next((kept for one, kept in told.items() if one.casefold() == code.casefold()), {})


def _fields(text: str) -> dict[str, str]:
    """Return the fields of lines such as ``handedness=left``.

    Raises:
        StudyError: a line has no equals sign.
    """
    fields: dict[str, str] = {}
    for line in filter(None, (one.strip() for one in text.splitlines())):
        name, sign, value = line.partition("=")
        if not sign or not value.strip():
            raise StudyError(
                N_("{line!r}: write name=value on each line, such as handedness=left."),
                line=line,
                field="others",
            )
        fields[name.strip()] = value
    return fields


erasure_router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])


@erasure_router.get(ERASURE_PAGE, include_in_schema=False)
def erase_page(request: Request, services: ServicesDep, code: CodeDep) -> Response:
    """Show what would be erased, and ask for the code."""
    database = services.options.database
    sessions = [session for session in services.study.sessions() if session.participant == code]
    counts = session_counts(database)
    return render(
        request,
        "erase.html",
        code=code,
        consent=consents(database).get(code),
        is_open=any(session.end_ms is None for session in sessions),
        plan=plan_erasure(database, code),
        expressions=sum(counts[session.id].expressions for session in sessions),
        readings=sum(counts[session.id].vitals for session in sessions),
    )


@erasure_router.post(ERASURE_PAGE, include_in_schema=False, dependencies=[form_of(ERASURE_PAGE)])
def erase(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    code: str,
    typed: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Erase the participant whose code was typed, and say what was erased.

    The answer's text names nobody.
    """
    if typed.strip().casefold() != code.casefold():
        raise StudyError(
            N_("You typed {typed}, not {code}. Nothing was erased."),
            typed=typed.strip() or gettext("Nothing"),
            code=code,
            field="typed",
        )
    if is_erasable(services.options.database, code):
        # They may hold the participant, and one that is being written reads the old rows. What
        # cannot be deleted is told by the erasure, which tries again.
        with suppress(StoreError):
            services.exports.forget_all()
    done = services.commands.erase_participant(code, actor=account.name)
    try:
        services.erased.forget()
    except StoreError as error:  # the worker tries again
        done = replace(done, left=(*done.left, str(error)))
    services.protocol_runner.forget(code)
    return render(request, "erased.html", done=done)
