"""Health of the appliance and its alerts, none of which is a medical alarm."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission
from dashboard.charts.health import BUCKETS, HEIGHT, health_figures
from dashboard.languages.current import gettext
from dashboard.languages.names import translate
from dashboard.web import schemas
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.live import agent_messages
from dashboard.web.login import AccountDep
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.services import OptionsDep, Services, ServicesDep
from edge_agent import __version__
from edge_agent.alerts.rules import DISCLAIMER, KIND_NAMES, rule_title
from edge_agent.config.alerts import AlertKind
from edge_agent.core import clock
from edge_agent.core.support import read_support
from edge_agent.core.texts import N_
from edge_agent.store.read.reader import database_bytes, models_in_use
from edge_agent.store.upkeep.health_history import DAY_MS, health_minutes
from edge_agent.store.write.alert_log import AlertEntry, AlertFilter

router = APIRouter(tags=["health"])
NAVIGATION = NavigationEntry(
    title=N_("Health"),
    path="/health",
    position=70,
    icon="M12 20s-8-5-8-11a4.5 4.5 0 018-2.8A4.5 4.5 0 0120 9c0 6-8 11-8 11z",
    of="appliance",
    group=DEVICE,
)
ALERTS_NAVIGATION = NavigationEntry(
    N_("Alerts"),
    "/alerts",
    72,
    "M6 16V10a6 6 0 0112 0v6l2 2H4zM10 21h4",
    of="appliance",
    group=DEVICE,
)
PAGE_ROWS = 50
_ENDINGS = {
    "over": N_("over"),
    "not_known": N_("no longer known"),
    "rule_removed": N_("rule removed"),
}


@router.get("/healthz", include_in_schema=False, dependencies=[needs(Permission.OPEN)])
async def alive() -> dict[str, str]:
    """Answer without a login, to show only that this process runs."""
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


class HealthMinuteModel(schemas.ApiModel):
    """The appliance at one minute of the last day, and what it lost since the minute before."""

    at: schemas.ShownMs = Field(validation_alias="at_ms")
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
async def get_health(services: ServicesDep) -> schemas.HealthModel:
    """Return the state of agent, database and models."""
    agent = await agent_messages(services.options.live_socket)
    return await run_in_threadpool(_read, services, agent.get("health"))


def _read(services: Services, agent: dict[str, Any] | None) -> schemas.HealthModel:
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
        agent=agent,
        support_contact=support.contact,
        support_until=support.until,
    )


alerts_router = APIRouter(tags=["alerts"], dependencies=[needs(Permission.SEE)])

WantedKind = Annotated[
    AlertKind | None,
    BeforeValidator(lambda text: None if text == "" else text),
    Query(description="Left out: all kinds"),
]


class AlertModel(BaseModel):
    """An alert."""

    model_config = ConfigDict(from_attributes=True)

    id: int = Field(description="Its number")
    rule: str = Field(description="Name of its rule")
    kind: AlertKind = Field(description="What the rule watches")
    text: str = Field(description="What is so")
    value: float | None = Field(description="What was measured when it began; null: nothing is")
    session: int | None = Field(description="Session that was open then; null: none was")
    raised_ms: int = Field(description="When it began, UTC milliseconds")
    ended_ms: int | None = Field(description="When it ended; null: it stands")
    ending: Literal["over", "not_known", "rule_removed"] | None = Field(
        description="Why it ended; not_known: nothing was heard of it for five minutes"
    )
    quiet: bool = Field(description="Whether it began in quiet hours")
    acknowledged_ms: int | None = Field(description="When somebody acknowledged it")
    acknowledged_by: str | None = Field(description="Who")
    sent: int = Field(description="Addresses that were told that it began")
    not_sent: int = Field(description="Addresses that could not be told yet")

    @classmethod
    def of(cls, alert: AlertEntry) -> AlertModel:
        """Return the model of an alert; it names no address."""
        begun = [one for one in alert.deliveries if one.event == "raised"]
        sent = sum(one.sent_ms is not None for one in begun)
        # Deliveries name the addresses that were written to, and are only counted here.
        names = [name for name in cls.model_fields if name not in {"sent", "not_sent"}]
        values = {name: getattr(alert, name) for name in names} | {"text": translate(alert.text)}
        return cls(**values, sent=sent, not_sent=len(begun) - sent)


class AlertPage(BaseModel):
    """A page of the log."""

    disclaimer: str = Field(description="What an alert is not")
    matching: int = Field(description="How many alerts are wanted")
    alerts: list[AlertModel] = Field(description="Those of this page, the newest first")


def _wanted(
    start: schemas.Moment = None,
    end: schemas.Moment = None,
    kind: WantedKind = None,
    state: Literal["", "open", "ended", "unacknowledged"] = "",
) -> AlertFilter:
    return AlertFilter(start, end, kind or "", state)


FilterDep = Annotated[AlertFilter, Depends(_wanted)]


@alerts_router.get("/alerts", include_in_schema=False)
def alerts_page(
    request: Request, services: ServicesDep, wanted: FilterDep, page: schemas.PageNumber = 1
) -> Response:
    """Show the open alerts, the log, and the alert rules."""
    matching, rows = services.alerts.log.page(wanted, PAGE_ROWS, page)
    return render(
        request,
        "alerts.html",
        standing=services.alerts.standing(),
        rows=rows,
        matching=matching,
        page=page,
        pages=max(1, math.ceil(matching / PAGE_ROWS)),
        wanted=wanted,
        chosen=urlencode(
            schemas.given(
                start=wanted.start_ms, end=wanted.end_ms, kind=wanted.kind, state=wanted.state
            )
        ),
        kinds=[(kind.value, gettext(KIND_NAMES[kind])) for kind in AlertKind],
        options=services.alerts.options,
        title_of=rule_title,
        targets=_targets(services),
        endings=_ENDINGS,
        disclaimer=gettext(DISCLAIMER),
    )


@alerts_router.get("/api/v1/alerts", operation_id="list_alerts")
def get_alerts(services: ServicesDep, wanted: FilterDep, page: schemas.PageNumber = 1) -> AlertPage:
    """Return fifty alerts of the log."""
    matching, rows = services.alerts.log.page(wanted, PAGE_ROWS, page)
    return AlertPage(
        disclaimer=gettext(DISCLAIMER),
        matching=matching,
        alerts=[AlertModel.of(alert) for alert in rows],
    )


@alerts_router.post(
    "/alerts/{number}/acknowledge", include_in_schema=False, dependencies=[needs(Permission.RUN)]
)
def acknowledge_on_page(
    number: schemas.Number, services: ServicesDep, account: AccountDep
) -> Response:
    """Acknowledge an alert, and show the page again."""
    services.commands.acknowledge_alert(number, actor=account.name)
    return RedirectResponse("/alerts", 303)


@alerts_router.post(
    "/api/v1/alerts/{number}/acknowledge",
    operation_id="acknowledge_alert",
    responses=may_refuse(409),
    dependencies=[needs(Permission.RUN)],
)
def acknowledge(number: schemas.Number, services: ServicesDep, account: AccountDep) -> AlertModel:
    """Acknowledge an alert; only the first acknowledgement is stored."""
    return AlertModel.of(services.commands.acknowledge_alert(number, actor=account.name))


def _targets(services: Services) -> list[str]:
    """Return the names of the addresses; they hold no secret."""
    options = services.alerts.options
    try:
        return [target.name for target in options.targets()]
    except (OSError, ValueError):
        return [target.name for target in options.targets_without_file()] + [
            gettext("alerts.notify_file cannot be read")
        ]
