"""How the appliance is: the agent's own report, the database, the models in use."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission
from dashboard.charts.health_history import BUCKETS, HEIGHT, health_figures
from dashboard.web.api.agent_feed import agent_messages
from dashboard.web.guards.permissions import needs
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.schemas import ApiModel, EpochMs, HealthModel, ModelInUse
from dashboard.web.services import OptionsDep, Services, ServicesDep
from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.core.support import read_support
from edge_agent.core.texts import N_
from edge_agent.store.read.overview import database_bytes, models_in_use
from edge_agent.store.upkeep.health_history import DAY_MS, health_minutes

router = APIRouter(tags=["health"])
NAVIGATION = NavigationEntry(
    title=N_("Health"),
    path="/health",
    position=70,
    icon="M12 20s-8-5-8-11a4.5 4.5 0 018-2.8A4.5 4.5 0 0120 9c0 6-8 11-8 11z",
    of="appliance",
)


@router.get("/healthz", include_in_schema=False, dependencies=[needs(Permission.OPEN)])
async def alive() -> dict[str, str]:
    """Tell anyone, without a login, that this process answers; nothing more."""
    return {"status": "ok"}


@router.get("/health", include_in_schema=False, dependencies=[needs(Permission.SEE)])
def health_page(request: Request, services: ServicesDep) -> Response:
    """Show the state of agent, database and models; the agent's part is filled by the live feed."""
    end_ms = clock.now().wall_ms
    minutes = health_minutes(services.options.database, end_ms - DAY_MS, end_ms)
    return render(
        request,
        "health.html",
        health=_read(services, None),
        history=health_figures(minutes, end_ms),
        history_end=minutes[-1].at_ms if minutes else None,
        buckets=BUCKETS,
        history_height=HEIGHT,
    )


class HealthMinuteModel(ApiModel):
    """The appliance at one minute of the last day, and what it lost since the minute before."""

    at: EpochMs = Field(validation_alias="at_ms")
    fps: float | None = Field(description="Frames per second; null: the camera was not to run")
    frames_dropped: int = Field(description="Frames skipped because a newer one was there")
    rows_dropped: int = Field(description="Rows that could not be written")
    celsius: float | None = Field(description="Temperature of the processor; null: not known")
    disk_free: int | None = Field(description="Bytes on the data disk; null: not known")


@router.get(
    "/api/v1/health/history",
    operation_id="get_health_history",
    dependencies=[needs(Permission.SEE)],
)
def get_history(options: OptionsDep) -> list[HealthMinuteModel]:
    """Return the last 24 hours of the appliance, a row a minute while the agent ran."""
    end_ms = clock.now().wall_ms
    minutes = health_minutes(options.database, end_ms - DAY_MS, end_ms)
    return [HealthMinuteModel.model_validate(one) for one in minutes]


@router.get("/api/v1/health", operation_id="get_health", dependencies=[needs(Permission.SEE)])
async def get_health(services: ServicesDep) -> HealthModel:
    """Tell the state of agent, database and models."""
    agent = await agent_messages(services.options.live_socket)
    return await run_in_threadpool(_read, services, agent.get("health"))


def _read(services: Services, agent: dict[str, Any] | None) -> HealthModel:
    reader = services.reader
    database = services.options.database
    span = reader.span()
    support = read_support()
    return HealthModel(
        device=services.options.device,
        version=__version__,
        database_bytes=database_bytes(database),
        counts=reader.counts(),
        first=span[0] if span else None,
        last=span[1] if span else None,
        models=[ModelInUse.model_validate(used) for used in models_in_use(database)],
        agent=agent,
        support_contact=support.contact,
        support_until=support.until,
    )
