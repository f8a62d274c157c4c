"""Health of the appliance: agent, database and models, and the last day minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.languages.names import translate
from dashboard.web import schemas
from dashboard.web.agent_feed import agent_messages
from dashboard.web.guards.permissions import needs
from dashboard.web.health_figures import BUCKETS, HEIGHT, health_figures
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.services import OptionsDep, Services, ServicesDep
from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.core.support import read_support
from edge_agent.core.texts import N_
from edge_agent.timeline.read.reader import database_bytes, models_in_use
from edge_agent.timeline.upkeep.health_history import DAY_MS, HealthMinute, health_minutes

router = APIRouter(tags=["health"])
NAVIGATION = NavigationEntry(
    title=N_("Health"),
    path="/health",
    position=70,
    icon="M12 20s-8-5-8-11a4.5 4.5 0 018-2.8A4.5 4.5 0 0120 9c0 6-8 11-8 11z",
    of="appliance",
    group=DEVICE,
)


@router.get("/healthz", include_in_schema=False, dependencies=[needs(Permission.OPEN)])
async def alive() -> dict[str, str]:
    """Answer without a login, to show only that this process runs."""
    return {"status": "ok"}


class HealthMinuteModel(schemas.ApiModel):
    """The appliance at one minute of the last day, and what it lost since the minute before."""

    at: schemas.ShownMs = Field(validation_alias="at_ms")
    fps: float | None = Field(description="Frames per second; null: the camera was not to run")
    frames_dropped: int = Field(description="Frames skipped because a newer one was there")
    rows_dropped: int = Field(description="Rows that could not be written")
    celsius: float | None = Field(description="Temperature of the processor; null: not known")
    disk_free: int | None = Field(description="Bytes on the data disk; null: not known")


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last 24 hours of the appliance.

    Attributes:
        end_ms: now.
        minutes: a row a minute while the agent ran.
    """

    end_ms: int
    minutes: list[HealthMinute]


def _last_day(options: OptionsDep) -> LastDay:
    end_ms = clock.now().wall_ms
    return LastDay(end_ms, health_minutes(options.database, end_ms - DAY_MS, end_ms))


LastDayDep = Annotated[LastDay, Depends(_last_day)]


@router.get(
    "/api/v1/health/history",
    operation_id="get_health_history",
    dependencies=[needs(Permission.SEE)],
)
def get_history(day: LastDayDep) -> list[HealthMinuteModel]:
    """Return the last 24 hours of the appliance, a row a minute while the agent ran."""
    return [HealthMinuteModel.model_validate(one) for one in day.minutes]


def _health(services: ServicesDep) -> schemas.HealthModel:
    """Return the state of database and models, and nothing of the agent."""
    reader = services.reader
    database = services.options.database
    span = reader.span()
    support = read_support()
    return schemas.HealthModel(
        device=services.options.device,
        version=__version__,
        database_bytes=database_bytes(database),
        counts=reader.counts(),
        first=span[0] if span else None,
        last=span[1] if span else None,
        models=[schemas.ModelInUse.model_validate(used) for used in models_in_use(database)],
        agent=None,
        letters_failed=_failed_letters(services),
        support_contact=support.contact,
        support_until=support.until,
    )


def _failed_letters(services: Services) -> list[schemas.FailedLetter]:
    sender = services.letter_sender
    letters = []
    for plan in services.letters.all():
        for which, perhaps in (
            ([one for one in plan.addresses if one.error], False),
            ([one for one in plan.addresses if one.is_unknown], True),
        ):
            if which:
                last = max(which, key=lambda one: one.tried_ms)
                letters.append(
                    schemas.FailedLetter(
                        participant=plan.person.code,
                        addresses=len(which),
                        at=last.tried_ms,
                        error=translate(last.error),
                        perhaps_sent=perhaps,
                    )
                )
        waiting = [one for one in sender.due(plan) if not one.error] if sender.waits else []
        if waiting:
            letters.append(
                schemas.FailedLetter(
                    participant=plan.person.code,
                    addresses=len(waiting),
                    at=sender.waits_since_ms,
                    error=translate(sender.waits),
                )
            )
    return letters


HealthDep = Annotated[schemas.HealthModel, Depends(_health)]


@router.get("/api/v1/health", operation_id="get_health", dependencies=[needs(Permission.SEE)])
async def get_health(options: OptionsDep, health: HealthDep) -> schemas.HealthModel:
    """Return the state of agent, database and models."""
    agent = await agent_messages(options.live_socket)
    return health.model_copy(update={"agent": agent.get("health")})


@router.get("/health", include_in_schema=False, dependencies=[needs(Permission.SEE)])
def health_page(request: Request, health: HealthDep, day: LastDayDep) -> Response:
    """Show the state of agent, database and models; the agent's part is filled by the live feed."""
    return render(
        request,
        "health.html",
        health=health,
        history=health_figures(day.minutes, day.end_ms),
        history_end=day.minutes[-1].at_ms if day.minutes else None,
        buckets=BUCKETS,
        history_height=HEIGHT,
    )
