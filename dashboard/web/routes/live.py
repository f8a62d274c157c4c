"""The live page: its events, the open session, the switch of the camera, and the preview.

While the camera is switched off, no face is captured until somebody turns it on again. The preview
shows an administrator the picture for a minute at a time; it is kept nowhere.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import Field, StrictBool
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission, Scope
from dashboard.analysis.query import same_label
from dashboard.languages.names import MOVEMENT_NAMES
from dashboard.questions.comparison.computing import card_in_use
from dashboard.web import schemas
from dashboard.web.agent_feed import Onlooker
from dashboard.web.authentication import AccountDep, Pass, login_token, pass_of, still_holds
from dashboard.web.chosen_study import APPLIANCE_ONLY
from dashboard.web.errors import event_answer, may_refuse, refuses_by
from dashboard.web.event_streams import EventStream
from dashboard.web.guards.permissions import may, needs
from dashboard.web.rendering import NavigationEntry, render
from dashboard.web.services import ReaderDep, Services, ServicesDep, StudyDep, new_key
from edge_agent.core import clock
from edge_agent.core.clock import Every
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import NewSession, SessionSetting
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.live.preview import PreviewEnded
from edge_agent.timeline.read.base import Trend, flags_of
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.stimuli import ReadingSum, SessionStimulus
from edge_agent.timeline.study.capture_switch import CaptureSwitch
from edge_agent.timeline.study.past import PastMarker
from edge_agent.timeline.study.people import ConsentState, RosterQuery, consenting, read_roster
from edge_agent.timeline.study.sessions import Study

log = logging.getLogger(__name__)
router = APIRouter(tags=["live"], dependencies=[needs(Permission.SEE)])
NAVIGATION = NavigationEntry(
    N_("Live"), "/live", 10, "M3 12h4l2.5-6 4.5 12 2.5-6H21", of="appliance"
)

FIRST_KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC)
"""The kinds whose tiles stand beside the expression; pressures share a tile."""
STRIP_MS = 120_000
CHECK_SECONDS = 15.0
_MOST_READY = 200
"""Beyond this a code is typed: a list of thousands helps nobody, and costs every visit."""
CLOCK_SECONDS = 1.0
PATH = "/api/v1/capture"
PREVIEW_PATH = "/api/v1/preview"
_NEVER = N_(
    'The preview is off. To allow it, set preview = "allowed" under [capture] in the '
    "configuration file."
)


@router.get("/live", include_in_schema=False)
def live_page(
    request: Request, services: ServicesDep, study: StudyDep, reader: ReaderDep
) -> Response:
    """Show what the camera and the sensors see now; a fleet has its own first page."""
    if services.fleet is not None:
        return RedirectResponse("/fleet", 303)
    recent = _last_minutes(reader)
    start = {
        "session": get_session(study).model_dump(mode="json"),
        "kinds": [_tile(kind) for kind in VitalKind],
        "first": FIRST_KINDS,
        "vitals": [reading.model_dump() for reading in get_latest_vitals(reader)],
        "strip": _recent(recent),
        "simulated": recent.simulated,
        "unusable": sorted(UNUSABLE),
        "movements": MOVEMENT_NAMES,
        "least": _least_of_a_name(services),
        "rest": (rest := get_rest(study, reader)) and rest.model_dump(mode="json"),
    }
    choices = session_choices(services)
    return render(
        request,
        "live.html",
        start=start,
        choices=choices,
        preview=services.options.preview,
        seat=services.options.vision.seat if services.options.vision.whose == "seat" else None,
        first_tiles=[kind.spec.tile for kind in FIRST_KINDS],
        first_steps=services.first_steps.is_open(),
    )


def _least_of_a_name(services: Services) -> float | None:
    """Return the probability below which the agent's model gives a face no name; ``None``: not
    known.
    """
    if services.options.vision.uncertain_below is not None:
        return services.options.vision.uncertain_below
    used = card_in_use(services.options.database, services.options.models)
    if used is None:
        return None
    card, is_fitted = used
    prior = card.fitted_prior if is_fitted else None
    return card.uncertain_below if prior is None else prior.uncertain_below


@router.get(
    "/api/v1/live",
    operation_id="stream_live",
    response_class=StreamingResponse,
    responses=event_answer(),
)
async def live_events(
    request: Request, services: ServicesDep, only: Literal["alerts"] | None = None
) -> Response:
    """Stream server-sent events: ``expression``, ``vital``, ``health``, ``session``, ``agent``,
    ``state``, ``preview``, ``alerts`` and ``clock`` (the device's, each second), each with JSON
    data; or the alerts only.

    The stream ends when the login ends or the dashboard stops; clients reconnect by themselves.
    """
    held = pass_of(request)
    events = _alert_events(services, held) if only else _events(services, held)
    return EventStream(request, events, held.key)


@router.get("/api/v1/live/recent", operation_id="get_recent_seconds")
def get_recent(reader: ReaderDep) -> list[schemas.RecentSecond]:
    """Return the data of the last two minutes, by seconds; seconds without a face are left
    out.
    """
    return [
        schemas.RecentSecond.model_validate(second) for second in _recent(_last_minutes(reader))
    ]


@router.get("/api/v1/session", operation_id="get_open_session")
def get_session(study: StudyDep) -> schemas.SessionState:
    """Return the open session, its condition and its markers."""
    return session_state(study)


@router.get("/api/v1/session/rest", operation_id="get_rest")
def get_rest(study: StudyDep, reader: ReaderDep) -> schemas.Rest | None:
    """Return the heart rate of the open session at rest: in its baseline, or else in the last
    stretch called neutral, once that has ended; null without one, or where nothing measured it.
    """
    session = study.open_session()
    if session is None:
        return None
    now_ms = clock.now().wall_ms
    rest = None
    if session.id in (times := reader.resting_times([session])):
        rest = SessionStimulus(session.id, session.participant, False, "", *times[session.id], None)
    else:
        for one in reader.conditions_of(session):
            if one.end_ms is not None and same_label(one.label) == Emotion.NEUTRAL:
                rest = SessionStimulus(
                    *(session.id, session.participant, False, one.label),
                    *(one.start_ms, one.end_ms, None),
                )
    if rest is None or rest.end_ms > now_ms:
        return None
    sums: defaultdict[str, list[ReadingSum]] = defaultdict(list)
    for _, own in reader.vital_sums([rest], [VitalKind.HEART_RATE]):
        if not flags_of(own.flags) & UNUSABLE:
            sums[own.source].append(own)
    if not sums:
        return None
    return schemas.Rest(
        session=session.id,
        label=rest.condition,
        start=rest.start_ms,
        end=rest.end_ms,
        heart_rate={
            source: math.fsum(part.total for part in parts) / sum(part.n for part in parts)
            for source, parts in sorted(sums.items())
        },
    )


@router.get("/api/v1/vitals/latest", operation_id="get_latest_vitals")
def get_latest_vitals(reader: ReaderDep) -> list[schemas.VitalModel]:
    """Return the newest reading of each kind."""
    return [
        schemas.VitalModel.model_validate(reading) for reading in reader.latest_vitals().values()
    ]


@router.post(
    "/api/v1/session",
    operation_id="start_session",
    status_code=201,
    responses=may_refuse(400, 409),
    dependencies=[needs(Permission.RUN), APPLIANCE_ONLY],
)
@refuses_by("which protocols there are")
def start_session(
    new: schemas.SessionToStart, study: StudyDep, account: AccountDep, services: ServicesDep
) -> schemas.SessionState:
    """Open a session now, with a protocol when one is named.

    Raises:
        StudyError: a rule of the study forbids it.
        ProtocolError: there is no such protocol, or it cannot be used.
    """
    open_session(new.new_session(), new.protocol, account.name, services)
    return session_state(study)


def open_session(new: NewSession, protocol: str | None, actor: str, services: Services) -> None:
    """Open a session now, with a protocol when one is named.

    Raises:
        StudyError: a rule of the study forbids it.
        ProtocolError: there is no such protocol, or it cannot be used.
    """
    if protocol:
        program = services.options.library.find(protocol)
        services.protocol_runner.start_session(new, program, actor=actor)
    else:
        services.commands.start_session(new, actor=actor)


@router.post(
    "/api/v1/session/end",
    operation_id="end_session",
    responses=may_refuse(409),
    dependencies=[needs(Permission.RUN), APPLIANCE_ONLY],
)
def end_session(
    study: StudyDep,
    account: AccountDep,
    services: ServicesDep,
    which: schemas.EndedSession | None = None,
) -> schemas.SessionState:
    """Close the open session now.

    One that has ended already stays as it is, as after a double click.

    Raises:
        StudyError: no session is open, or there is none of that number.
    """
    number = which.session if which else None
    is_open = study.open_session()
    ended = {session.id for session in study.sessions() if session.end_ms is not None}
    if number in ended:
        return session_state(study)
    if number is not None and is_open is not None and number != is_open.id:
        raise StudyError(N_("There is no session {number}. Reload the page."), number=number)
    services.commands.end_session(actor=account.name)
    return session_state(study)


@router.post(
    "/api/v1/session/markers",
    operation_id="add_marker",
    status_code=201,
    responses=may_refuse(409),
    dependencies=[needs(Permission.RUN, Scope.MARKERS), APPLIANCE_ONLY],
)
def add_marker(
    new: schemas.PressedMarker, study: StudyDep, account: AccountDep, services: ServicesDep
) -> schemas.SessionState:
    """Add a marker to the open session: now, at the time at which it was pressed, or when the
    program's own clock says.

    ``stimulus_start`` opens the condition that it names.
    """
    commands = services.commands
    if new.at is None and new.sent_ms is not None:
        who = f"{account.name}:{new.sender}"
        at, offset = services.sender_clocks.instant(who, new.sent_ms, clock.now())
        commands.add_marker(new.kind, new.label, at, actor=account.name)
        if offset is not None:
            services.notes.note(account.name, "sender_clock", f"http:{new.sender}: {offset}")
    elif new.at is None:
        commands.add_marker(new.kind, new.label, actor=account.name)
    else:
        pressed = PastMarker(new.at, new.kind, new.label, new.session)
        commands.add_pressed_marker(pressed, actor=account.name)
    return session_state(study)


def session_choices(services: Services) -> dict[str, object]:
    """Return the choices of the form that starts a session.

    Raises:
        StoreError: the database cannot be read.
    """
    options = services.options
    others = [
        one.code
        for state in (ConsentState.NONE, ConsentState.WITHDRAWN)
        for one in read_roster(options.database, RosterQuery(consent=state)).rows
    ]
    return {
        "ready": consenting(options.database, _MOST_READY),
        "others": others,
        "most_ready": _MOST_READY,
        "once": new_key(),
        "purposes": options.purposes,
        "settings": list(SessionSetting),
        "protocols": options.library.list_all(),
    }


def session_state(study: Study) -> schemas.SessionState:
    """Return the open session with its condition and markers."""
    session = study.open_session()
    present = study.present_standing()
    standing = None if present is None else schemas.StandingNow.model_validate(present)
    if session is None:
        return schemas.SessionState(session=None, condition=None, markers=[], standing=standing)
    own = study.own_neutral(session.id)
    return schemas.SessionState(
        standing=standing,
        own_neutral=own and own.state,
        session=schemas.SessionModel.model_validate(session),
        condition=study.open_condition(),
        markers=[
            schemas.MarkerModel.model_validate(marker) for marker in study.markers(session.id)
        ],
    )


def _last_minutes(reader: Reader) -> Trend:
    at = clock.now().wall_ms
    return reader.trend(at - STRIP_MS, at, STRIP_MS // 1000)


def _recent(trend: Trend) -> list[dict[str, Any]]:
    """Return the seconds that the database knows already, so that the strip does not begin
    empty.
    """
    names = {emotion.value: values for emotion, values in trend.means.items()}
    shares = {emotion.value: values for emotion, values in trend.shares.items()} | {
        "uncertain": trend.uncertain
    }
    return [
        {
            "at": start,
            "probabilities": {
                name: round(values[index] or 0.0, 3) for name, values in names.items()
            },
            "label": max(shares, key=lambda name: shares[name][index] or 0.0),
        }
        for index, start in enumerate(trend.starts)
        if trend.rows[index]
    ]


async def _events(services: Services, held: Pass) -> AsyncGenerator[str, None]:
    """Yield the agent's messages as server-sent events until the pass or the dashboard ends."""
    # After how many milliseconds a browser connects again by itself.
    yield "retry: 2000\n\n"
    checked = clock.boot_seconds()
    clock_timer = Every(CLOCK_SECONDS, at_once=True)
    told = ""
    with services.live.listen() as listener:
        while not services.stopping.is_set():
            if clock_timer.due():
                yield f'event: clock\ndata: {{"type":"clock","at":{clock.now().wall_ms}}}\n\n'
            for event in await listener.take(within_s=services.alerts.LOOK_S):
                yield event
            await services.alerts.refresh()
            event = services.alerts.event()
            if event != told:
                told = event
                yield told
            if clock.boot_seconds() - checked >= CHECK_SECONDS:
                if not await is_let_in(services, held):
                    return
                checked = clock.boot_seconds()
                # A comment of the protocol: it keeps proxies from closing a silent connection.
                yield ": still here\n\n"


async def _alert_events(services: Services, held: Pass) -> AsyncGenerator[str, None]:
    """Yield the open alerts whenever they change, until the pass or the dashboard ends."""
    yield "retry: 2000\n\n"
    check_timer = Every(CHECK_SECONDS)
    told = ""
    while not services.stopping.is_set():
        await services.alerts.refresh()
        event = services.alerts.event()
        if event != told:
            told = event
            yield told
        if check_timer.due():
            if not await is_let_in(services, held):
                return
            yield ": still here\n\n"
        with suppress(TimeoutError):
            async with asyncio.timeout(services.alerts.LOOK_S):
                await services.stopping.wait()


def _tile(kind: VitalKind) -> dict[str, object]:
    """Return the values that the page needs to show readings of a kind."""
    spec = kind.spec
    return {
        "kind": kind.value,
        "title": spec.tile,
        "unit": spec.unit_shown,
        "digits": spec.decimals,
        "stream": spec.stream,
        "colour": spec.colour,
    }


async def is_let_in(services: Services, held: Pass) -> bool:
    """Tell whether a stream may go on; not, when the database cannot be read."""
    try:
        return await run_in_threadpool(still_holds, services, held)
    except StoreError as error:
        log.warning("an event stream ends: %s", error)
        return False


class CaptureState(schemas.ApiModel):
    """The state of the camera switch."""

    on: bool
    since: int | None = Field(
        description="Since when it is off, UTC milliseconds since 1970; null: on, or not known"
    )
    by: str = Field(description="Who turned it off: an account, or mqtt; empty: it is on")


class NewCapture(schemas.ApiModel):
    """The wanted state of the camera switch."""

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

    While it is off, no face is seen or recorded, and the timeline keeps why; readings of sensors
    are still recorded.
    """
    services.commands.switch_camera(on=wanted.on, actor=account.name)
    return _state(CaptureSwitch(services.options.database))


def _state(switch: CaptureSwitch) -> CaptureState:
    off = switch.off()
    if off is None:
        return CaptureState(on=True, since=None, by="")
    return CaptureState(on=False, since=off.since_ms, by=off.by)


preview_router = APIRouter(tags=["live"], dependencies=[needs(Permission.ADMINISTER)])


@preview_router.post(
    PREVIEW_PATH,
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
        lambda action, detail: services.notes.note(account.name, action, detail),
    )
    preview = await services.previews.start(onlooker)
    return StreamingResponse(
        preview.parts(),
        media_type="application/octet-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


@preview_router.post(
    f"{PREVIEW_PATH}/more",
    operation_id="prolong_preview",
    status_code=204,
    responses=may_refuse(409),
)
async def prolong_preview(request: Request, services: ServicesDep) -> None:
    """Extend the preview of this login to a minute from now."""
    services.previews.prolong(login_token(request))


def _may_look(services: Services, token: str) -> PreviewEnded | None:
    """Return why a login may not see the picture now; ``None``: it may."""
    try:
        account = services.accounts.of_token(token)
        if account is None:
            return PreviewEnded.LOGIN
        if not may(account, Permission.ADMINISTER, services.options):
            return PreviewEnded.ROLE
        if services.study.open_session() is not None:
            return PreviewEnded.SESSION
    except StoreError:
        return PreviewEnded.DATABASE
    return None
