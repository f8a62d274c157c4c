"""One participant by day and week, for whoever looks after one: page and API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.analysis.days import DAYS, Days, DaysModel, day_sentence, read_days
from dashboard.languages.current import gettext
from dashboard.languages.names import said_of, weekday
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.login import AccountDep
from dashboard.web.rendering import render
from dashboard.web.services import ServicesDep
from dashboard.web.study import ChosenStudyDep
from edge_agent.core import clock
from edge_agent.core.errors import DataFileError, StudyError
from edge_agent.store.study.people import Enrolled, enrolled
from edge_agent.vitals.csv import zone_named

router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY)])
_EASTERNMOST = timedelta(hours=14)
_WEEKS = (1, 4)


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

    def address(self, path: str, *, weeks: int | None = None, shift: int = 0) -> str:
        """Return the address of other weeks: another number of them, or later ones."""
        last = min(self.today, self.last + timedelta(days=shift))
        words = {"weeks": weeks or self.weeks, "to": last.isoformat(), "zone": self.zone_name}
        if last == self.today:
            del words["to"]  # an address that is kept shows the present week when it is opened
        return f"{path}?{urlencode({name: word for name, word in words.items() if word})}"


def _question(
    weeks: Annotated[int, Query(ge=1, le=5, description="How many weeks")] = 1,
    to: Annotated[
        date | None, Query(ge=date(1970, 4, 1), description="The last day; left out: today")
    ] = None,
    zone: Annotated[
        str,
        Query(
            max_length=64,
            description="Time zone of the days, such as Europe/Berlin; empty: that of this machine",
        ),
    ] = "",
) -> DaysQuestion:
    try:
        where = zone_named(zone)
    except DataFileError as error:
        raise HTTPException(422, f"zone = {said_of(error)}") from error
    now_s = clock.now().wall_ms / 1000
    today = datetime.fromtimestamp(now_s, where).date()
    if to is not None and to > (datetime.fromtimestamp(now_s, UTC) + _EASTERNMOST).date():
        text = gettext("to = {day}: this day is still to come. Choose one up to {today}.")
        raise HTTPException(422, text.format(day=to, today=today))
    return DaysQuestion(weeks, to or today, today, where, zone)


QuestionDep = Annotated[DaysQuestion, Depends(_question)]


def _read(study: ChosenStudyDep, code: str, question: DaysQuestion) -> tuple[Enrolled, Days]:
    try:
        person = enrolled(study.database, code)
    except StudyError as error:
        raise HTTPException(404, said_of(error)) from error
    days = read_days(study.database, person.code, question.last, question.weeks, question.zone)
    return person, days


@router.get("/study/participants/{code}/days", include_in_schema=False)
def days_page(
    request: Request,
    services: ServicesDep,
    account: AccountDep,
    study: ChosenStudyDep,
    question: QuestionDep,
    code: str,
) -> Response:
    """Show the weeks of one participant, with strips of their days."""
    person, days = _read(study, code, question)
    services.views.note(account, "participant_view", study.named(person.code))
    path = f"/study/participants/{person.code}/days"

    def address(**changes: int) -> str:
        return study.address(question.address(path, **changes))

    return render(
        request,
        "days.html",
        person=person,
        days=days.model,
        pictures=days.pictures,
        kinds=days.kinds,
        compared=days.compared_kinds,
        question=question,
        choices=_WEEKS,
        span=DAYS,
        address=address,
        in_words=day_sentence,
        weekday=weekday,
        latest_week=_week_of(days, question, address),
    )


def _week_of(days: Days, question: DaysQuestion, address: Callable[..., str]) -> str:
    """Return the address of the week of the latest session; empty where there is none."""
    if days.model.latest is None:
        return ""
    day = datetime.fromtimestamp(days.model.latest / 1000, question.zone).date()
    return address(shift=(day - question.last).days)


@router.get(
    "/api/v1/participants/{code}/days",
    operation_id="get_participant_days",
    responses=may_refuse(404),
)
def get_days(
    services: ServicesDep,
    account: AccountDep,
    study: ChosenStudyDep,
    question: QuestionDep,
    code: str,
) -> DaysModel:
    """Return the weeks of one participant: described, compared with the week before, not tested."""
    person, days = _read(study, code, question)
    services.views.note(account, "participant_view", study.named(person.code))
    return days.model
