"""The switch of the camera: off, and nothing is captured until somebody turns it on again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field, StrictBool

from dashboard.accounts.roles import Permission
from dashboard.web.guards.permissions import needs
from dashboard.web.login_guard import AccountDep
from dashboard.web.schemas import ApiModel
from dashboard.web.services import ServicesDep
from edge_agent.store.study.capture_switch import CaptureSwitch

router = APIRouter(tags=["live"], dependencies=[needs(Permission.SEE)])
PATH = "/api/v1/capture"


class CaptureState(ApiModel):
    """Whether the camera is switched on."""

    on: bool
    since: int | None = Field(
        description="Since when it is off, UTC milliseconds since 1970; null: on, or not known"
    )
    by: str = Field(description="Who turned it off: an account, or mqtt; empty: it is on")


class NewCapture(ApiModel):
    """What the camera is to be."""

    on: StrictBool


@router.get(PATH, operation_id="get_capture")
def get_capture(services: ServicesDep) -> CaptureState:
    """Tell whether the camera is switched on. It may be closed all the same: see the live feed."""
    return _state(CaptureSwitch(services.options.database))


@router.put(PATH, operation_id="switch_capture", dependencies=[needs(Permission.RUN)])
def switch_capture(
    wanted: Annotated[NewCapture, Body()], services: ServicesDep, account: AccountDep
) -> CaptureState:
    """Turn the camera on or off, also after a restart; the agent obeys within two seconds.

    While it is off, nothing is seen or recorded, and the timeline keeps why.
    """
    services.commands.switch_camera(on=wanted.on, actor=account.name)
    return _state(CaptureSwitch(services.options.database))


def _state(switch: CaptureSwitch) -> CaptureState:
    off = switch.off()
    if off is None:
        return CaptureState(on=True, since=None, by="")
    return CaptureState(on=False, since=off.since_ms, by=off.by)
