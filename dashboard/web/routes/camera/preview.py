"""The camera's picture for an administrator, for a minute at a time: streamed, and kept nowhere."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from dashboard.accounts.roles import MAY, Permission
from dashboard.web.api.description import may_refuse
from dashboard.web.guards.permissions import lacks_second_factor, needs
from dashboard.web.login_guard import AccountDep, login_token
from dashboard.web.preview.relay import Onlooker
from dashboard.web.services import Services, ServicesDep
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.texts import N_
from edge_agent.runtime.preview.messages import Ended

router = APIRouter(tags=["live"], dependencies=[needs(Permission.ADMINISTER)])
PATH = "/api/v1/preview"
_NEVER = N_(
    "The preview is switched off. Whoever may change the configuration file can allow it: "
    'preview = "allowed" under [capture].'
)


@router.post(
    PATH,
    operation_id="start_preview",
    response_class=StreamingResponse,
    responses=may_refuse(409)
    | {200: {"description": "Parts: a line of JSON (until, bytes, ended), then a JPEG picture"}},
)
async def start_preview(request: Request, services: ServicesDep, account: AccountDep) -> Response:
    """Stream the camera's picture to this browser, at most five frames per second, for a minute.

    It ends by itself; every open page Live says that somebody looks. Beginning and end are audited.
    """
    if not services.options.preview:
        raise StudyError(_NEVER)
    token = login_token(request)
    onlooker = Onlooker(
        account.name,
        token,
        lambda: _may_look(services, token),
        lambda action, detail: services.commands.note(account.name, action, detail),
    )
    preview = await services.previews.start(onlooker)
    return StreamingResponse(
        preview.parts(),
        media_type="application/octet-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


@router.post(
    f"{PATH}/more", operation_id="prolong_preview", status_code=204, responses=may_refuse(409)
)
async def prolong_preview(request: Request, services: ServicesDep) -> None:
    """Let the preview of this login last a minute from now."""
    services.previews.prolong(login_token(request))


def _may_look(services: Services, token: str) -> Ended | None:
    """Return why a login may not look at the picture now; ``None``: it may."""
    try:
        account = services.accounts.of_token(token)
        if account is None:
            return Ended.LOGIN
        if account.must_change or Permission.ADMINISTER not in MAY[account.role]:
            return Ended.ROLE
        if lacks_second_factor(account, services.options):
            return Ended.ROLE
        if services.study.open_session() is not None:
            return Ended.SESSION
    except StoreError:
        return Ended.DATABASE
    return None
