"""The two pages of a protocol.

The operator's page shows the present screen and the next ones, and has the keys that pause, skip
and end. The participant's page is opened by a token and fills the screen; it holds not one number
that was measured.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from secrets import compare_digest
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import said_if_ours, translate
from dashboard.protocols.experiments import (
    CONNECTOR,
    PAGE,
    ExperimentError,
    file_type,
    key_of,
    read_file,
)
from dashboard.protocols.file import ProtocolError
from dashboard.protocols.library import Library, ProtocolOrigin
from dashboard.protocols.manikins import figures
from dashboard.protocols.media import MediaKind, find_media, media_type
from dashboard.protocols.runner import ProtocolRunner, ProtocolView, text_of_screen, texts_for
from dashboard.protocols.state import FrameReport, FromExperiment
from dashboard.protocols.steps import Screen
from dashboard.web import schemas
from dashboard.web.authentication import AccountDep, Pass, pass_of
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.delivery import LOOPBACK, qr_code
from dashboard.web.errors import event_answer, may_refuse
from dashboard.web.event_streams import EventStream
from dashboard.web.guards.permissions import needs
from dashboard.web.guards.security import IN_A_FRAME, LARGER
from dashboard.web.rendering import STUDY, NavigationEntry, render
from dashboard.web.routes.live import CHECK_SECONDS, is_let_in
from dashboard.web.services import OptionsDep, ProtocolRunnerDep, Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.texts import N_

router = APIRouter(tags=["protocol"], dependencies=[needs(Permission.RUN), APPLIANCE_ONLY])

NAVIGATION = NavigationEntry(
    N_("Protocol"), "/protocol", 34, of="appliance", group=STUDY, also="/protocols"
)
UPLOAD = "/api/v1/protocols/upload"
ORIGINS = {
    ProtocolOrigin.OWN: N_("made here"),
    ProtocolOrigin.CONFIGURED: N_("of your folder"),
    ProtocolOrigin.SHIPPED: N_("shipped example"),
}
SIGN_OF_LIFE_S = 5.0
_CONNECTOR = Path(__file__).parents[1] / "static/js/affect-edge.js"


@router.get("/protocol", include_in_schema=False)
def protocol_page(request: Request, services: ServicesDep) -> Response:
    """Show the protocol that runs, how the last one ended, or all of them where none has run."""
    view = services.protocol_runner.view()
    if view is None:
        return list_page(request, services)
    state = protocol_state_model(view)
    return render(
        request,
        "protocol.html",
        state=state.model_dump(mode="json"),
        qr_code=qr_code(f"{request.base_url}{state.participant_path[1:]}"),
        is_loopback=request.url.hostname in LOOPBACK,
    )


def list_page(request: Request, services: Services) -> Response:
    """Return the page of all protocols, and of how one is made or brought."""
    running = services.protocol_runner.view()
    return render(
        request,
        "protocols.html",
        protocols=services.options.library.list_all(),
        origins=ORIGINS,
        running=running is not None and not running.is_over,
        most_mib=LARGER[UPLOAD] // 2**20,
    )


@router.get("/api/v1/protocols", operation_id="list_protocols")
def get_protocols(options: OptionsDep) -> list[schemas.ProtocolEntry]:
    """List the protocol files, those that cannot be used with the reason."""
    return [
        schemas.ProtocolEntry(
            name=one.name,
            title=one.title,
            problem=one.problem and translate(one.problem),
            origin=one.origin,
        )
        for one in options.library.list_all()
    ]


@router.get("/api/v1/protocol", operation_id="get_protocol_state", responses=may_refuse(409))
def get_protocol(runner: ProtocolRunnerDep) -> schemas.ProtocolStateModel:
    """Return the state of the running protocol, or how the last one ended."""
    return _state(runner)


@router.post("/api/v1/protocol/go", operation_id="continue_protocol", responses=may_refuse(409))
def go_on(runner: ProtocolRunnerDep) -> schemas.ProtocolStateModel:
    """Start the protocol, or resume it after a pause, as soon as the participant is ready."""
    runner.go()
    return _state(runner)


@router.post("/api/v1/protocol/pause", operation_id="pause_protocol", responses=may_refuse(409))
def pause(runner: ProtocolRunnerDep) -> schemas.ProtocolStateModel:
    """Pause the protocol; the open condition ends now."""
    runner.pause()
    return _state(runner)


@router.post(
    "/api/v1/protocol/skip", operation_id="skip_protocol_screen", responses=may_refuse(409)
)
def skip(runner: ProtocolRunnerDep) -> schemas.ProtocolStateModel:
    """Skip the present screen."""
    runner.skip()
    return _state(runner)


@router.post(
    "/api/v1/protocol/repeat", operation_id="repeat_protocol_screen", responses=may_refuse(409)
)
def repeat(runner: ProtocolRunnerDep) -> schemas.ProtocolStateModel:
    """Begin the present screen again."""
    runner.repeat()
    return _state(runner)


@router.post("/api/v1/protocol/end", operation_id="end_protocol", responses=may_refuse(409))
def end(
    runner: ProtocolRunnerDep, services: ServicesDep, account: AccountDep
) -> schemas.ProtocolStateModel:
    """End protocol and session now."""
    runner.end()
    state = _state(runner)
    services.notes.note(account.name, "session_end", str(state.session.id))
    return state


@router.get(
    "/api/v1/protocol/events",
    operation_id="stream_protocol",
    response_class=StreamingResponse,
    responses=event_answer(),
)
async def protocol_events(request: Request, services: ServicesDep) -> Response:
    """Stream server-sent events ``protocol``: its state, whenever something changes."""
    held = pass_of(request)
    return EventStream(request, _events(services, held), held.key)


def protocol_state_model(view: ProtocolView) -> schemas.ProtocolStateModel:
    """Return the state of a protocol for programs and the operator's page."""
    return schemas.ProtocolStateModel(
        session=schemas.SessionModel.model_validate(view.session),
        title=view.title,
        state=view.state.value,
        reason=translate(view.reason),
        begun=view.begun,
        step=view.step,
        screens=[
            schemas.ScreenModel(
                title=said_if_ours(one.title),
                kind=one.kind.value,
                seconds=one.seconds,
                condition=one.condition,
            )
            for one in view.screens
        ],
        remaining_ms=view.remaining_ms,
        participant_present=view.present,
        participant_ready=view.ready,
        participant_path=f"/participate/{view.token}",
        answers=view.answers,
        problem=translate(view.problem),
        reports=[translate(one) for one in view.reports],
    )


async def follow(services: Services, look: Callable[[], str]) -> AsyncGenerator[str, None]:
    """Yield the text of ``look`` whenever it changes, with keep-alive messages between, until the
    dashboard stops.
    """
    yield "retry: 1000\n\n"
    event = services.protocol_runner.watch()
    stop = asyncio.ensure_future(services.stopping.wait())
    last = ""
    try:
        while not services.stopping.is_set():
            text = look()
            yield text if text != last else ": still here\n\n"
            last = text
            changed = asyncio.ensure_future(event.wait())
            await asyncio.wait(
                {changed, stop}, timeout=SIGN_OF_LIFE_S, return_when=asyncio.FIRST_COMPLETED
            )
            changed.cancel()
            # Cleared before the next look, so that no change is missed.
            event.clear()
    finally:
        stop.cancel()
        services.protocol_runner.unwatch(event)


async def _events(services: Services, held: Pass) -> AsyncGenerator[str, None]:
    """Write the state for as long as the login or token holds and may see it."""
    checked = clock.boot_seconds()
    async for text in follow(services, lambda: _event(services.protocol_runner.view())):
        yield text
        if clock.boot_seconds() - checked >= CHECK_SECONDS:
            if not await is_let_in(services, held):
                return
            checked = clock.boot_seconds()


def _event(view: ProtocolView | None) -> str:
    if view is None:
        data = "null"
    else:
        data = protocol_state_model(view).model_dump_json()
    return f"event: protocol\ndata: {data}\n\n"


def _state(runner: ProtocolRunner) -> schemas.ProtocolStateModel:
    view = runner.view()
    if view is None:
        raise StudyError(
            N_("No protocol has run since the dashboard started. Start a session with one.")
        )
    return protocol_state_model(view)


participant_router = APIRouter(
    prefix="/participate", include_in_schema=False, dependencies=[needs(Permission.OPEN)]
)


def _view(runner: ProtocolRunnerDep, token: str) -> ProtocolView:
    """Return the protocol that a token belongs to; answer 404 for an unknown one."""
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


@participant_router.get("/{token}")
def participant_page(
    request: Request, runner: ProtocolRunnerDep, options: OptionsDep, token: str
) -> Response:
    """Show the page of the protocol that the token belongs to."""
    view = runner.view_of(token)
    if view is None or view.is_over:
        return render(request, "participate_gone.html", 404 if view is None else 410)
    texts = texts_for(view)
    return render(
        request,
        "participate.html",
        token=token,
        texts=texts,
        figures=figures(),
        preview=None,
        declares=options.vision.whose == "declared",
    )


@participant_router.get("/{token}/events", dependencies=[Depends(_view)])
async def participant_events(request: Request, services: ServicesDep, token: str) -> Response:
    """Stream the present screen whenever it changes, and the end of the protocol.

    While the stream is open, the page counts as open.
    """
    return EventStream(request, _participant_events(services, token), token)


@participant_router.post("/{token}/ready", status_code=204, dependencies=[Depends(_open_view)])
def ready(runner: ProtocolRunnerDep, token: str) -> None:
    """Record that the participant is ready."""
    runner.set_ready(token)


@participant_router.post("/{token}/declare", status_code=204, dependencies=[Depends(_open_view)])
def declare(runner: ProtocolRunnerDep, token: str) -> None:
    """Record that the face which leads now is the participant's."""
    runner.declare(token)


@participant_router.post("/{token}/answer", status_code=204, dependencies=[Depends(_open_view)])
def answer(runner: ProtocolRunnerDep, token: str, message: schemas.Answer) -> None:
    """Store an answer to the question of a screen."""
    runner.answer(token, message.step, message.value)


@participant_router.post("/{token}/ended", status_code=204, dependencies=[Depends(_open_view)])
def media_ended(runner: ProtocolRunnerDep, token: str, message: schemas.Answer) -> None:
    """Record that the sound or video of a screen has come to its end."""
    runner.media_ended(token, message.step)


@participant_router.post("/{token}/experiment", status_code=204, dependencies=[Depends(_open_view)])
def from_experiment(
    runner: ProtocolRunnerDep, token: str, message: schemas.ExperimentMessage
) -> None:
    """Record a marker or a trial of the experiment that the page shows."""
    runner.note_experiment(token, FromExperiment(**message.model_dump()))


@participant_router.post("/{token}/failed", status_code=204, dependencies=[Depends(_open_view)])
def media_failed(runner: ProtocolRunnerDep, token: str, message: schemas.Answer) -> None:
    """Record that this browser cannot show the file of a screen."""
    runner.media_failed(token, message.step)


@participant_router.post("/{token}/clock", dependencies=[Depends(_view)])
async def clock_now() -> schemas.ClockModel:
    """Return the clock by which screens are due, so that the page can tell when it showed them."""
    return schemas.ClockModel(boot_ms=clock.boot_seconds() * 1000)


@participant_router.post("/{token}/frame", status_code=204, dependencies=[Depends(_view)])
def frame(runner: ProtocolRunnerDep, token: str, message: schemas.Frame) -> None:
    """Record when the page showed the first frame of what it shows now."""
    runner.note_frame(token, FrameReport(**message.model_dump()))


@participant_router.get("/{token}/media/{step}")
def media(view: ProtocolViewDep, options: OptionsDep, step: int) -> Response:
    """Send the file of a screen."""
    place = _file_of(view, options.library, step)
    if view.screens[step].media is MediaKind.EXPERIMENT:
        raise HTTPException(404)
    return FileResponse(
        place, media_type=media_type(place.name), headers={"Cache-Control": "private, max-age=3600"}
    )


def _file_of(view: ProtocolView, library: Library, step: int) -> Path:
    """Return the file of a screen; answer 404 where there is none."""
    if not 0 <= step < len(view.screens) or not view.screens[step].file:
        raise HTTPException(404)
    try:
        folder = library.place_of(view.name)[1].parent
        place = find_media(folder, view.screens[step].file)
    except (ValueError, ProtocolError) as error:
        raise HTTPException(404) from error
    if not place.is_file():
        raise HTTPException(404)
    return place


@participant_router.get("/experiment/{key}/{step}/{name:path}")
def experiment_file(
    runner: ProtocolRunnerDep, options: OptionsDep, key: str, step: int, name: str
) -> Response:
    """Send a file of an experiment to its frame, which belongs to no origin and has no cookie."""
    view = runner.view()
    if view is None or view.is_over:
        raise HTTPException(404)
    # As bytes: ``compare_digest`` refuses text beyond ASCII.
    if not compare_digest(key_of(view.token).encode(), key.encode()):
        raise HTTPException(404)
    place = _file_of(view, options.library, step)
    if view.screens[step].media is not MediaKind.EXPERIMENT:
        raise HTTPException(404)
    return framed_file(place, name)


def framed_file(place: Path, name: str) -> Response:
    """Return a file of an experiment as an answer to its frame; answer 404 where there is none."""
    if name == CONNECTOR:
        return FileResponse(_CONNECTOR, media_type=file_type(name), headers=IN_A_FRAME)
    try:
        size, pieces = read_file(place, name)
    except ExperimentError as error:
        raise HTTPException(404) from error
    headers = IN_A_FRAME | {"Content-Length": str(size)}
    return StreamingResponse(pieces, media_type=file_type(name), headers=headers)


async def _participant_events(services: Services, token: str) -> AsyncGenerator[str, None]:
    """Yield the screens to show until the protocol is over."""
    if not services.protocol_runner.join(token):
        yield _participant_event(services.protocol_runner.view_of(token))
        return
    try:
        # Closed in any case, or its event would be watched for ever.
        async with aclosing(
            follow(services, lambda: _participant_event(services.protocol_runner.view_of(token)))
        ) as texts:
            async for text in texts:
                yield text
    finally:
        services.protocol_runner.leave(token)


def _participant_event(view: ProtocolView | None) -> str:
    shown: dict[str, object]
    if view is None or view.is_over:
        shown = {"screen": "end"}
    else:
        shown = _shown(view)
    return f"event: screen\ndata: {json.dumps(shown, ensure_ascii=False)}\n\n"


def _shown(view: ProtocolView) -> dict[str, object]:
    """Return what the participant's page shows; it holds no measurement."""
    screen = view.screen
    if screen is None or view.state != "running":
        return {"screen": "break" if view.ready else "hello", "begun": view.begun}
    # The page loads the next picture beforehand, so that it appears when it is due.
    following = view.screens[view.step + 1 : view.step + 2]
    shown = shown_screen(screen, text_of_screen(view, screen.text)) | {
        "step": view.step,
        "turn": view.step_seq,
        "start_ms": view.start_ms,
        "next_picture": view.step + 1 if following and following[0].media == "picture" else None,
    }
    if screen.media is MediaKind.EXPERIMENT:
        shown["page"] = f"/participate/experiment/{key_of(view.token)}/{view.step}/{PAGE}"
    return shown


def shown_screen(screen: Screen, text: str) -> dict[str, object]:
    """Return what the participant's page shows of a screen."""
    return {
        "screen": screen.kind.value,
        "text": text,
        "media": screen.media,
        "scale": screen.scale,
        "question": _question(screen),
        "timed": screen.seconds is not None,
    }


def _question(screen: Screen) -> dict[str, object] | None:
    """Return a question as the participant's page asks it, without its name in the data."""
    if screen.question is None:
        return None
    asked = asdict(screen.question)
    del asked["name"]
    return asked
