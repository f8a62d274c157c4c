"""The devices of a fleet: which are online, how old that state is, and which need attention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.fleet.known import BAD, PAGE_DEVICES, SHOWN, WORTH_A_LOOK, FleetDevice, Shown
from dashboard.languages.current import gettext
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import NavigationEntry, render
from dashboard.web.schemas import ApiModel, PageNumber, ShownMs, given
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.texts import N_

if TYPE_CHECKING:
    from dashboard.fleet.postgres import FleetDatabase


router = APIRouter(tags=["fleet"], dependencies=[needs(Permission.SEE)])
NAVIGATION = NavigationEntry(
    N_("Fleet"), "/fleet", 15, "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z", of="fleet"
)

Name = Annotated[str, Query(max_length=200, description="Part of the names that are wanted")]
Which = Annotated[Shown, Query(description="Which devices")]


class AlarmModel(ApiModel):
    """Something on a device that a person should look at."""

    name: str
    text: str = Field(description="As the device says it, in English")


class SensorModel(ApiModel):
    """A Bluetooth sensor of a device."""

    source: str
    connected: bool


class FleetDeviceModel(ApiModel):
    """A device of the fleet as far as the collector knows it."""

    name: str
    state: str = Field(description="online, silent (not heard for three minutes) or offline")
    since: ShownMs | None = Field(description="When that state began; null: not known")
    heard_seconds: float | None = Field(description="Since it was last heard; null: never")
    reasons: list[str] = Field(description="Why it needs attention; empty: it does not")
    version: str | None = Field(description="Of its program; null: not known")
    health_seconds: float | None = Field(description="Age of its newest health; null: none")
    health_by_device: bool = Field(
        description="Whether that age is by the device's own clock: the broker had kept the health"
    )
    alarms: list[AlarmModel]
    frames_per_second: float | None = Field(
        description="Of the camera; null: it is not meant to run now, or nothing is known"
    )
    sensors: list[SensorModel]
    disk_free_percent: float | None
    disk_free_bytes: int | None
    outbox: int | None = Field(description="Messages that wait on it for the broker")
    waiting: int | None = Field(description="Changes that wait on it for the collector")
    lost: int = Field(description="Changes that will not come")
    applied: int | None = Field(
        description="Position up to which all is there; null: it sends no timeline"
    )
    copied: bool | None = Field(
        description="Whether all that it held at the start of its stream is there"
    )
    holes: bool = Field(description="Whether messages are missing between others")
    clock_ahead_ms: int | None = Field(
        description="How far its clock was ahead, less the time on the way of its quickest message"
    )
    clock_doubt_ms: int | None = Field(
        description="How closely another message agrees; null: none does, and the newest one counts"
    )
    timeline_seconds: float | None = Field(description="Since its timeline was last heard")


class FleetModel(ApiModel):
    """A page of the devices of a fleet, those that need attention first."""

    source: str = Field(description="Server and database that this is read from")
    matching: int = Field(description="How many devices match what was asked for")
    total: int = Field(description="All devices there are")
    online: int = Field(description="How many of all are online")
    attention: int = Field(description="How many of all need attention")
    page: int
    pages: int
    devices: list[FleetDeviceModel]


@router.get("/api/v1/fleet", operation_id="get_fleet", responses=may_refuse(404))
def get_fleet(
    services: ServicesDep, name: Name = "", shown: Which = "all", page: PageNumber = 1
) -> FleetModel:
    """Return fifty devices of the fleet: their states, and which need attention."""
    from dashboard.fleet.postgres import read_devices  # psycopg: only with dashboard.source

    database = fleet_of(services)
    answer = read_devices(database, name.strip(), shown, page)
    return FleetModel(
        source=database.source.shown,
        matching=answer.matching,
        total=answer.total,
        online=answer.online,
        attention=answer.attention,
        page=page,
        pages=max(1, math.ceil(answer.matching / PAGE_DEVICES)),
        devices=[_model(device) for device in answer.devices],
    )


def fleet_of(services: Services) -> FleetDatabase:
    """Return the fleet's database; refuse if this dashboard shows one appliance."""
    if services.fleet is None:
        raise HTTPException(
            404,
            gettext(
                "This dashboard shows one appliance. To show many, set dashboard.source in its "
                "configuration."
            ),
        )
    return services.fleet


def _model(device: FleetDevice) -> FleetDeviceModel:
    health = device.health
    disk = health.get("disk") or {}
    return FleetDeviceModel(
        name=device.name,
        state=device.state,
        since=device.since_ms,
        heard_seconds=device.heard_s,
        reasons=list(device.reasons),
        version=device.version,
        health_seconds=device.health_s,
        health_by_device=device.health_by_device,
        alarms=[AlarmModel(name=one["name"], text=one["text"]) for one in _list(health, "alarms")],
        frames_per_second=(health.get("camera") or {}).get("fps"),
        sensors=[
            SensorModel(source=one["source"], connected=one["connected"])
            for one in _list(health, "sensors")
        ],
        disk_free_percent=disk.get("free_percent"),
        disk_free_bytes=disk.get("free_bytes"),
        outbox=(health.get("mqtt") or {}).get("outbox"),
        waiting=device.waiting,
        lost=device.lost,
        applied=device.applied,
        copied=device.copied,
        holes=device.holes,
        clock_ahead_ms=device.clock_ahead_ms,
        clock_doubt_ms=device.clock_doubt_ms,
        timeline_seconds=device.timeline_s,
    )


def _list(health: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return list(health.get(key) or ())


@router.get("/fleet", include_in_schema=False)
def fleet_page(
    request: Request,
    fleet: Annotated[FleetModel, Depends(get_fleet)],
    name: Name = "",
    shown: Which = "all",
) -> Response:
    """Show the devices, those that need attention first."""
    return render(
        request,
        "fleet.html",
        fleet=fleet,
        bad=BAD,
        reasons={**BAD, **WORTH_A_LOOK},
        choices=SHOWN,
        name=name,
        shown=shown,
        chosen=urlencode(given(name=name, shown=shown)),
        at_ms=clock.now().wall_ms,
    )
