"""The people whose weeks an account may see: everybody, or those that a carer was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import Field

from dashboard.accounts.roles import Permission, Role
from dashboard.charts.week import Sparkline, SparklineDay, week_sparkline
from dashboard.questions.week.answer import DayModel
from dashboard.questions.week.counting import count_days, nothing_on, today, together, weeks_until
from dashboard.questions.week.words import say
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.entering import PEOPLE, home_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import NavigationEntry, render
from dashboard.web.schemas import ApiModel, ShownMs
from dashboard.web.services import ServicesDep
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.study.people import ConsentState, Enrolled, everybody

router = APIRouter(tags=["study"], dependencies=[needs(Permission.WEEK), APPLIANCE_ONLY])
home_router = APIRouter(include_in_schema=False, dependencies=[needs(Permission.OWN)])
NAVIGATION = NavigationEntry(
    title=N_("People"),
    path=PEOPLE,
    position=25,
    icon="M16 20v-1.5a3.5 3.5 0 00-3.5-3.5h-6A3.5 3.5 0 003 18.5V20M9.5 11a3.5 3.5 0 100-7 3.5 3.5 "
    "0 000 7zM21 20v-1.5a3.5 3.5 0 00-2.6-3.4M15.5 4.2a3.5 3.5 0 010 6.6",
    of="appliance",
)
_MOST = 60
_MOST_NAMED = 12


class ListedDayModel(ApiModel):
    """One of the last days of a person."""

    day: str = Field(description="The day, such as 2026-11-28, by the clock of the device")
    sessions: int = Field(description="Sessions that were open on it")
    recorded: bool = Field(description="Whether anything was recorded: a session was open")
    face_ms: int = Field(description="How long a face was read in them, milliseconds")
    distress_ms: int = Field(description="How long it showed sadness, anger or fear")
    heart_rate: float | None = Field(description="Mean heart rate, 1/min; null: not measured")


class ListedPersonModel(ApiModel):
    """Somebody whose week may be seen."""

    code: str = Field(description="Pseudonymous code")
    simulated: bool = Field(description="Made up")
    sessions: int = Field(description="How many sessions they have")
    latest: ShownMs | None = Field(description="Start of the latest session; null: none")
    recorded: ShownMs | None = Field(
        description="Time of the newest row of the latest session; null: no session"
    )
    has_consent: bool = Field(description="Whether a session may start: consent holds")
    consent_withdrawn: ShownMs | None = Field(
        description="When consent was withdrawn: nothing more is recorded; null: it was not"
    )
    days: list[ListedDayModel] = Field(description="The last seven days, today last")


@dataclass(frozen=True, slots=True)
class _Listed:
    """Somebody whose week may be seen, with the last days and the week that they make."""

    person: ListedPersonModel
    days: list[DayModel]
    week: DayModel


def _people_listed(services: ServicesDep, account: AccountDep) -> list[_Listed]:
    """Return the people whose weeks the account may see, those recorded last first."""
    if account.role is Role.CARER:
        people = services.carers.people_of(account.id)
    else:
        people = everybody(services.options.database)
    calendar = weeks_until(today(None), 1, None)
    recent: dict[str, list[Session]] = {one.code: [] for one in people}
    for session in services.reader.session_list():
        if session.participant in recent and calendar.touches(session):
            recent[session.participant].append(session)
    sessions = list(chain.from_iterable(recent.values()))
    counted = count_days(services.reader, sessions, calendar, [VitalKind.HEART_RATE])
    nothing = nothing_on(calendar)
    return [
        _person_of(one, counted.get(one.code, nothing), recent[one.code])
        for one in sorted(people, key=lambda one: (-(one.recorded_ms or 0), one.code.casefold()))
    ]


def _person_of(person: Enrolled, days: list[DayModel], sessions: list[Session]) -> _Listed:
    model = ListedPersonModel(
        code=person.code,
        simulated=person.simulated,
        sessions=person.sessions,
        latest=person.latest_ms,
        recorded=person.recorded_ms,
        has_consent=person.consent is ConsentState.GIVEN,
        consent_withdrawn=person.withdrawn_ms,
        days=[
            ListedDayModel(
                day=day.first.isoformat(),
                sessions=sum(
                    one.start_ms < day.end and (one.end_ms is None or one.end_ms > day.start)
                    for one in sessions
                ),
                recorded=bool(day.recorded_days),
                face_ms=day.face_ms,
                distress_ms=day.distress_ms,
                heart_rate=_rate_of(day),
            )
            for day in days
        ],
    )
    return _Listed(model, days, together(days))


def _rate_of(period: DayModel) -> float | None:
    mean = period.vitals.get(VitalKind.HEART_RATE)
    return None if mean is None else mean.mean


def _sparkline_of(days: list[DayModel]) -> Sparkline:
    return week_sparkline(
        [SparklineDay(one.emotions, bool(one.recorded_days), _rate_of(one)) for one in days]
    )


def _days_away(person: ListedPersonModel) -> int:
    """Return for how many days nothing was recorded; 0: on one of the last, or never."""
    if person.recorded is None or not _is_unseen(person):
        return 0
    latest = datetime.fromtimestamp(person.recorded / 1000).astimezone().date()
    return (datetime.fromisoformat(person.days[-1].day).date() - latest).days


def _is_unseen(person: ListedPersonModel) -> bool:
    """Return whether nothing was recorded on the last days."""
    return not any(day.recorded for day in person.days)


def _longest_unseen_first(listed: list[_Listed]) -> list[_Listed]:
    """Return the people with those unseen behind the others, whom nobody recorded longest first.

    Those who were never recorded come last: most are still to begin.
    """
    seen = [one for one in listed if not _is_unseen(one.person)]
    away = [one for one in listed if _is_unseen(one.person) and one.person.latest is not None]
    never = [one for one in listed if _is_unseen(one.person) and one.person.latest is None]
    return seen + away[::-1] + never


ListedDep = Annotated[list[_Listed], Depends(_people_listed)]


@router.get("/api/v1/people", operation_id="list_people")
def get_people(listed: ListedDep) -> list[ListedPersonModel]:
    """List the people whose weeks the account may see, those recorded last first."""
    return [one.person for one in listed]


@router.get(PEOPLE, include_in_schema=False)
def people_page(request: Request, account: AccountDep, listed: ListedDep) -> Response:
    """Show a card for each person; a carer of one person sees the week at once."""
    if account.role is Role.CARER and len(listed) == 1:
        return RedirectResponse(f"/study/participants/{listed[0].person.code}/days", 303)
    return render(
        request,
        "people.html",
        people=[
            (one.person, _sparkline_of(one.days), say("in_short", one.week), _days_away(one.person))
            for one in _longest_unseen_first(listed[:_MOST])
        ],
        days=weeks_until(today(None), 1, None).days,
        everybody=len(listed),
        unseen=[one.person.code for one in _longest_unseen_first(listed) if _is_unseen(one.person)],
        most_named=_MOST_NAMED,
    )


@home_router.get("/")
def home(account: AccountDep) -> Response:
    """Redirect to the first page of the account."""
    return RedirectResponse(home_of(account), 303)
