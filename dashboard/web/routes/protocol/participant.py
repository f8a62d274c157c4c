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

from dashboard.protocols.media import find_media, media_type
from dashboard.protocols.runner import View
from dashboard.web.rendering import render
from dashboard.web.routes.protocol.operator import event_stream, follow
from dashboard.web.schemas import Answer
from dashboard.web.services import ConductorDep, OptionsDep, Services, ServicesDep

router = APIRouter(prefix="/participate", include_in_schema=False)


def _view(conductor: ConductorDep, token: str) -> View:
    """Return the protocol that a token belongs to; a wrong one finds nothing."""
    view = conductor.view_of(token)
    if view is None:
        raise HTTPException(404)
    return view


ViewDep = Annotated[View, Depends(_view)]


@router.get("/{token}")
def participant_page(request: Request, conductor: ConductorDep, token: str) -> Response:
    """Show the page of the protocol that the token belongs to."""
    view = conductor.view_of(token)
    if view is None:
        return render(request, "participate_gone.html", 404)
    return render(request, "participate.html", token=token, texts=view.texts)


@router.get("/{token}/events", dependencies=[Depends(_view)])
async def participant_events(services: ServicesDep, token: str) -> Response:
    """Stream what is to be shown now, whenever that changes.

    While the stream is open, the page counts as open.
    """
    return event_stream(_events(services, token))


@router.post("/{token}/ready", status_code=204, dependencies=[Depends(_view)])
def ready(conductor: ConductorDep, token: str) -> None:
    """The participant is there, and may be shown something."""
    conductor.arrive(token)


@router.post("/{token}/answer", status_code=204, dependencies=[Depends(_view)])
def answer(conductor: ConductorDep, token: str, said: Answer) -> None:
    """Take an answer to the question of a screen."""
    conductor.answer(token, said.step, said.value)


@router.post("/{token}/ended", status_code=204, dependencies=[Depends(_view)])
def media_ended(conductor: ConductorDep, token: str, said: Answer) -> None:
    """The sound or video of a screen has come to its end."""
    conductor.media_ended(token, said.step)


@router.post("/{token}/failed", status_code=204, dependencies=[Depends(_view)])
def media_failed(conductor: ConductorDep, token: str, said: Answer) -> None:
    """The file of a screen cannot be shown by this browser."""
    conductor.media_failed(token, said.step)


@router.get("/{token}/media/{step}")
def media(view: ViewDep, options: OptionsDep, step: int) -> Response:
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
    if not services.conductor.join(token):
        yield _event(services.conductor.view_of(token))
        return
    try:
        async with aclosing(
            follow(services, lambda: _event(services.conductor.view_of(token)))
        ) as texts:
            async for text in texts:
                yield text
    finally:
        services.conductor.leave(token)


def _event(view: View | None) -> str:
    shown: dict[str, object]
    if view is None or view.is_over:
        shown = {"screen": "end"}
    else:
        shown = _shown(view)
    return f"event: screen\ndata: {json.dumps(shown, ensure_ascii=False)}\n\n"


def _shown(view: View) -> dict[str, object]:
    """Return what the page shows; nothing of what is measured is in it."""
    screen = view.screen
    if screen is None or view.state != "running":
        return {"screen": "break" if view.ready else "hello", "begun": view.begun}
    following = view.screens[view.step + 1 : view.step + 2]
    return {
        "screen": screen.kind.value,
        "step": view.step,
        "turn": view.turn,
        "start_ms": view.start_ms,
        "text": screen.text,
        "media": screen.media,
        "scale": screen.scale,
        "timed": screen.seconds is not None,
        "next_picture": view.step + 1 if following and following[0].media == "picture" else None,
    }
