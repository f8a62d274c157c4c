"""Standing sessions: hours in which sessions of a person begin and end by themselves.

The person agrees to them apart from the study's consent, and one button takes them back.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from dashboard.accounts.roles import Permission
from dashboard.languages.figures import WEEKDAYS, hours_in_words
from dashboard.web.authentication import AccountDep
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.errors import may_refuse
from dashboard.web.forms import form_of
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.routes.participants import CodeDep, PersonDep
from dashboard.web.schemas import ApiModel, ShownMs
from dashboard.web.services import ServicesDep
from edge_agent.core.errors import StudyError
from edge_agent.core.standing import Schedule, clock_text, daily_hours
from edge_agent.core.study import Purpose, SessionSetting, choice_named
from edge_agent.core.texts import N_
from edge_agent.timeline.study.standing import Standing, standing_of

router = APIRouter(tags=["study"], dependencies=[needs(Permission.WEEK), APPLIANCE_ONLY])
change_router = APIRouter(tags=["study"], dependencies=[needs(Permission.STUDY), APPLIANCE_ONLY])
PAGE = "/study/participants/{code}/standing"
SIGN = f"{PAGE}/sign"
PERSON_PAGE = "/study/participants/{code}"
_API = "/api/v1/participants/{code}/standing"
# of templates/standing.html; records name the version that was agreed to
TEXT_VERSION = "standing 1"

_ALL_DAYS = range(1, 8)
_START, _END = "08:00", "21:00"


class HoursModel(ApiModel):
    """Hours that begin on one day of the week, by the clock of the appliance."""

    weekday: int = Field(description="1 (Monday) to 7")
    start: str = Field(description="Such as 08:00")
    end: str = Field(description="Such as 21:00; one that does not follow start is of the next day")


class StandingModel(ApiModel):
    """The standing session of a participant."""

    participant: str = Field(description="Pseudonymous code")
    hours: list[HoursModel] = Field(description="When sessions begin and end by themselves")
    purpose: Purpose
    setting: SessionSetting = Field(description="Where they take place")
    text_version: str = Field(description="Version of the text that was agreed to")
    since: ShownMs = Field(description="When it was agreed to")


class NewStanding(ApiModel):
    """Hours to which a participant agreed."""

    days: list[Annotated[int, Field(ge=1, le=7)]] = Field(
        min_length=1, max_length=7, description="Days of the week, 1 is Monday"
    )
    start: str = Field(max_length=20, description="Such as 08:00, by the clock of the appliance")
    end: str = Field(
        max_length=20,
        description="Such as 21:00 or 24:00; one that does not follow start is of the next day",
    )
    purpose: Purpose
    setting: SessionSetting = Field(SessionSetting.HOME, description="Where they take place")
    text_version: str = Field(
        min_length=1, max_length=100, description="Version of the text that they agreed to"
    )

    def schedule(self) -> Schedule:
        """Return what was agreed to.

        Raises:
            StudyError: no day, or a time that cannot be read.
        """
        hours = daily_hours(self.days, self.start, self.end)
        return Schedule(self.text_version, hours, self.purpose, self.setting)


class StandingForm(BaseModel):
    """The form of a standing session, as typed."""

    days: list[str] = Field([], max_length=7)
    start: str = Field("", max_length=20)
    end: str = Field("", max_length=20)
    purpose: str = Field("", max_length=40)
    setting: str = Field("", max_length=40)
    agreed: str = Field("", max_length=10)
    text_version: str = Field("", max_length=40)

    def new(self) -> NewStanding:
        """Return what was agreed to.

        Raises:
            StudyError: the box was not ticked below the present text, or a choice is unknown.
        """
        if self.agreed != "yes" or self.text_version != TEXT_VERSION:
            raise StudyError(
                N_(
                    "Tick the box once the participant has read this text and agreed. Nothing was "
                    "recorded."
                ),
                field="agreed",
            )
        given = self.model_dump(include={"start", "end", "text_version"})
        days = [int(day) for day in self.days if day in map(str, _ALL_DAYS)]
        return NewStanding.model_construct(
            days=days,
            purpose=choice_named(Purpose, "purpose", self.purpose),
            setting=choice_named(SessionSetting, "setting", self.setting),
            **given,
        )


def _model_of(one: Standing) -> StandingModel:
    schedule = one.schedule
    return StandingModel(
        participant=one.participant,
        hours=[
            HoursModel(weekday=at.weekday, start=clock_text(at.start), end=clock_text(at.end))
            for at in schedule.hours
        ],
        purpose=schedule.purpose,
        setting=schedule.setting,
        text_version=schedule.text_version,
        since=one.since_ms,
    )


@router.get(_API, operation_id="get_standing_session", responses=may_refuse(404))
def get_standing(services: ServicesDep, person: PersonDep) -> StandingModel | None:
    """Return the hours in which sessions of a participant begin by themselves; null: none."""
    present = standing_of(services.options.database, person.code)
    return None if present is None else _model_of(present)


@change_router.put(_API, operation_id="give_standing_session", responses=may_refuse(404, 409))
def put_standing(
    code: CodeDep, new: NewStanding, services: ServicesDep, account: AccountDep
) -> StandingModel | None:
    """Record that a participant agreed to hours in which sessions begin and end by themselves.

    They replace earlier ones, whose open session ends.
    """
    services.commands.give_standing(code, new.schedule(), actor=account.name)
    present = standing_of(services.options.database, code)
    return None if present is None else _model_of(present)


@change_router.delete(
    _API, operation_id="take_back_standing_session", status_code=204, responses=may_refuse(404, 409)
)
def delete_standing(code: CodeDep, services: ServicesDep, account: AccountDep) -> None:
    """Take back the hours of a participant; a session that began by itself ends now."""
    services.commands.take_back_standing(code, actor=account.name)


@change_router.get(PAGE, include_in_schema=False)
def standing_page(request: Request, services: ServicesDep, code: CodeDep) -> Response:
    """Show the text that a participant agrees to, and the form of the hours."""
    present = standing_of(services.options.database, code)
    hours = present.schedule.hours if present else ()
    first = next(iter(hours), None)
    return render(
        request,
        "standing.html",
        code=code,
        has_consent=services.study.has_consent(code),
        present=present,
        in_words=hours_in_words(hours),
        weekdays=[(str(day), WEEKDAYS[day - 1]) for day in _ALL_DAYS],
        days=[str(one.weekday) for one in hours] or [str(day) for day in _ALL_DAYS],
        start=clock_text(first.start) if first else _START,
        end=clock_text(first.end) if first else _END,
        purposes=services.options.purposes,
        settings=list(SessionSetting),
        text_version=TEXT_VERSION,
        whose=services.options.vision.whose,
        seat=services.options.vision.seat if services.options.vision.whose == "seat" else None,
    )


@change_router.get(SIGN, include_in_schema=False)
def sign_page(request: Request, services: ServicesDep, code: CodeDep) -> Response:
    """Show the sign for the door, with the hours where some are declared."""
    present = standing_of(services.options.database, code)
    return render(
        request,
        "sign.html",
        code=code,
        purpose=present.schedule.purpose if present else None,
        hours=hours_in_words(present.schedule.hours) if present else "",
    )


@change_router.post(PAGE, include_in_schema=False, dependencies=[form_of(PAGE, StandingForm)])
def give_standing(
    services: ServicesDep, account: AccountDep, code: CodeDep, form: Annotated[StandingForm, Form()]
) -> Response:
    """Record the hours to which the participant agreed below the text that was shown."""
    put_standing(code, form.new(), services, account)
    return _to_person(code)


@change_router.post(
    f"{PAGE}/take-back", include_in_schema=False, dependencies=[form_of(PERSON_PAGE)]
)
def take_back_standing(services: ServicesDep, account: AccountDep, code: CodeDep) -> Response:
    """Take back the hours of a participant; a second click changes nothing."""
    delete_standing(code, services, account)
    return _to_person(code)


def _to_person(code: str) -> Response:
    return RedirectResponse(f"{PERSON_PAGE.format(code=quote(code))}#standing-title", 303)
