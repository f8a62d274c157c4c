"""``/metrics``: the state of the appliance for Prometheus and its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission
from dashboard.web.agent_feed import agent_messages
from dashboard.web.guards.permissions import METRICS_PATH, needs
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.timeline.read.reader import database_bytes
from edge_agent.timeline.upkeep.health_history import health_minutes

router = APIRouter(dependencies=[needs(Permission.SEE)])


@router.get(METRICS_PATH, include_in_schema=False)
async def metrics(request: Request, services: ServicesDep) -> Response:
    """Return the state as OpenMetrics, or as Prometheus' older text if the client asks for it."""
    agent = await agent_messages(services.options.live_socket)
    accept = request.headers.get("accept", "")
    return await run_in_threadpool(_exposition, services, agent, accept)


def _exposition(
    services: Services, agent: Mapping[str, Mapping[str, Any]], accept: str
) -> Response:
    from dashboard.web.prometheus import ApplianceState, exposition

    at_ms = clock.now().wall_ms
    database = services.options.database
    reader = services.reader
    minutes = health_minutes(database, 0, at_ms)
    span = reader.span()
    state = ApplianceState(
        device=services.options.device,
        at_ms=at_ms,
        uptime_s=clock.boot_seconds() - services.started_s,
        agent=agent,
        reported_ms=minutes[-1].at_ms if minutes else None,
        recorded_ms=span[1] if span else None,
        rows=reader.counts(),
        database_bytes=database_bytes(database),
        vitals=tuple(reader.latest_vitals().values()),
        alerts=services.alerts.standing(),
        session_open=services.study.open_session() is not None,
    )
    text, media_type = exposition(state, accept)
    return Response(text, media_type=media_type)
