"""The participant's page: full screen, opened by a token, and without a single number that was
measured.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, Response

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext
from dashboard.protocols.media import find_media, media_type
from dashboard.protocols.running import ProtocolView
from dashboard.protocols.spoken import text_of_screen, texts_for
from dashboard.web.event_streams import EventStream
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import render
from dashboard.web.routes.protocol.operator import follow
from dashboard.web.schemas import Answer
from dashboard.web.services import OptionsDep, ProtocolRunnerDep, Services, ServicesDep

router = APIRouter(
    prefix="/participate", include_in_schema=False, dependencies=[needs(Permission.OPEN)]
)


def _view(runner: ProtocolRunnerDep, token: str) -> ProtocolView:
    """Return the protocol that a token belongs to; a wrong one finds nothing."""
    view = runner.view_of(token)
    if view is None:
        raise HTTPException(404)
    return view


def _open_view(view: Annotated[ProtocolView, Depends(_view)]) -> ProtocolView:
    """Return the protocol of a token while it is not over; afterwards nothing is shown or taken."""
    if view.is_over:
        raise HTTPException(410, gettext("The session has ended, and this page with it."))
    return view


ProtocolViewDep = Annotated[ProtocolView, Depends(_open_view)]


@router.get("/{token}")
def participant_page(request: Request, runner: ProtocolRunnerDep, token: str) -> Response:
    """Show the page of the protocol that the token belongs to."""
    view = runner.view_of(token)
    if view is None or view.is_over:
        return render(request, "participate_gone.html", 404 if view is None else 410)
    return render(request, "participate.html", token=token, texts=texts_for(view))


@router.get("/{token}/events", dependencies=[Depends(_view)])
async def participant_events(request: Request, services: ServicesDep, token: str) -> Response:
    """Stream what is to be shown now, whenever that changes; that it is over, too.

    While the stream is open, the page counts as open.
    """
    return EventStream(request, _events(services, token), token)


@router.post("/{token}/ready", status_code=204, dependencies=[Depends(_open_view)])
def ready(runner: ProtocolRunnerDep, token: str) -> None:
    """The participant is there, and may be shown something."""
    runner.set_ready(token)


@router.post("/{token}/answer", status_code=204, dependencies=[Depends(_open_view)])
def answer(runner: ProtocolRunnerDep, token: str, message: Answer) -> None:
    """Take an answer to the question of a screen."""
    runner.answer(token, message.step, message.value)


@router.post("/{token}/ended", status_code=204, dependencies=[Depends(_open_view)])
def media_ended(runner: ProtocolRunnerDep, token: str, message: Answer) -> None:
    """The sound or video of a screen has come to its end."""
    runner.media_ended(token, message.step)


@router.post("/{token}/failed", status_code=204, dependencies=[Depends(_open_view)])
def media_failed(runner: ProtocolRunnerDep, token: str, message: Answer) -> None:
    """The file of a screen cannot be shown by this browser."""
    runner.media_failed(token, message.step)


@router.get("/{token}/media/{step}")
def media(view: ProtocolViewDep, options: OptionsDep, step: int) -> Response:
    """Send the file of a screen."""
    if not 0 <= step < len(view.screens) or not view.screens[step].file:
        raise HTTPException(404)
    name = view.screens[step].file
    try:
        place = find_media(options.protocols, name)
    except ValueError as error:
        raise HTTPException(404) from error
    if not place.is_file():
        raise HTTPException(404)
    return FileResponse(
        place, media_type=media_type(name), headers={"Cache-Control": "private, max-age=3600"}
    )


async def _events(services: Services, token: str) -> AsyncGenerator[str, None]:
    """Write what is to be shown until the protocol is over."""
    if not services.protocol_runner.join(token):
        yield _event(services.protocol_runner.view_of(token))
        return
    try:
        async with aclosing(
            follow(services, lambda: _event(services.protocol_runner.view_of(token)))
        ) as texts:
            async for text in texts:
                yield text
    finally:
        services.protocol_runner.leave(token)


def _event(view: ProtocolView | None) -> str:
    shown: dict[str, object]
    if view is None or view.is_over:
        shown = {"screen": "end"}
    else:
        shown = _shown(view)
    return f"event: screen\ndata: {json.dumps(shown, ensure_ascii=False)}\n\n"


def _shown(view: ProtocolView) -> dict[str, object]:
    """Return what the page shows; nothing of what is measured is in it."""
    screen = view.screen
    if screen is None or view.state != "running":
        return {"screen": "break" if view.ready else "hello", "begun": view.begun}
    following = view.screens[view.step + 1 : view.step + 2]
    return {
        "screen": screen.kind.value,
        "step": view.step,
        "turn": view.step_seq,
        "start_ms": view.start_ms,
        "text": text_of_screen(view, screen.text),
        "media": screen.media,
        "scale": screen.scale,
        "timed": screen.seconds is not None,
        "next_picture": view.step + 1 if following and following[0].media == "picture" else None,
    }
