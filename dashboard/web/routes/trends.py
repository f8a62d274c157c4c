"""The page and API of trends: expression, heart rate and blood pressure over a range of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response
from pydantic import Field

from dashboard.accounts.roles import Permission, Role
from dashboard.charts.chart import Chart
from dashboard.charts.ranges import compared_rows, steps_from
from dashboard.charts.trends import TREND_VITALS, TrendData, trend_chart
from dashboard.fleet.known import ClockOff
from dashboard.languages.current import gettext
from dashboard.languages.names import people, said_of, session_name, sessions_text
from dashboard.questions.basis import faces_read_by, read_by_text, simulated_text
from dashboard.web import schemas
from dashboard.web.authentication import AccountDep, current_account
from dashboard.web.errors import may_refuse, refuses_by
from dashboard.web.guards.permissions import Needs, needs
from dashboard.web.rendering import NavigationEntry, render
from dashboard.web.routes.participants import own_person
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.measures import Measure, MovementKind, offered_movements
from edge_agent.core.study import MarkerKind, Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import Trend, TrendReader, VitalTrend
from edge_agent.timeline.read.reader import Reader, SessionsReader
from edge_agent.timeline.study.people import RosterOrder, RosterQuery, list_entry_of, read_roster

NAVIGATION = NavigationEntry(
    N_("Trends"),
    "/trends",
    20,
    "M3 18l5-7 4 3 4.5-7L21 11M3 21h18",
    by_device=True,
    # A carer comes from a person: there is nothing to see without one.
    beside=Permission.SEE,
)

_HOUR_MS = 3_600_000
_LONGEST_MS = 100 * 366 * 24 * _HOUR_MS
_BUCKETS = 200
_DRAWN_MARKERS = (MarkerKind.NOTE, MarkerKind.BASELINE)
_NEEDED_FOR_SESSIONS = Needs(Permission.RUN)
_NEEDED_FOR_PEOPLE = Needs(Permission.STUDY)


@dataclass(frozen=True, slots=True)
class RangeChoice:
    """A range that ends now."""

    key: str
    title: str
    length_ms: int


RANGES = (
    RangeChoice("10m", N_("10 min"), _HOUR_MS // 6),
    RangeChoice("1h", N_("1 hour"), _HOUR_MS),
    RangeChoice("24h", N_("24 hours"), 24 * _HOUR_MS),
    RangeChoice("7d", N_("7 days"), 7 * 24 * _HOUR_MS),
    RangeChoice("30d", N_("30 days"), 30 * 24 * _HOUR_MS),
)
RANGES_BY_KEY = {choice.key: choice for choice in RANGES}
OTHER_RANGES = (RANGES_BY_KEY["10m"],)
"""Those that stand behind *Other range*: a recording that has just begun is shown by itself."""

Start = Annotated[schemas.EpochMs, Query()]
End = Annotated[schemas.EpochMs, Query()]
Length = Annotated[int, Query(ge=1, le=_LONGEST_MS, description="Milliseconds")]
Buckets = Annotated[int, Query(ge=1, le=2000, description="About how many buckets")]


Device = Annotated[
    str,
    Query(
        max_length=200,
        description="With dashboard.source: whose timeline; empty: all devices together",
    ),
]


Participant = Annotated[
    str,
    Query(max_length=100, description="Only the sessions of this participant, by code; empty: all"),
]
SessionNumber = Annotated[
    Annotated[int, Field(ge=0, le=2**53)] | Literal[""],
    Query(description="Only this session, by its number; empty: all"),
]


@dataclass(frozen=True, slots=True)
class ChosenTrends:
    """The participant or session whose trends are shown, and nobody else's.

    Attributes:
        participant: code.
        session: number; ``None``: all sessions of the participant.
        sessions: those of the participant, newest first.
    """

    participant: str
    session: int | None
    sessions: tuple[Session, ...]

    @property
    def shown(self) -> tuple[Session, ...]:
        """The sessions whose trends are shown."""
        return tuple(one for one in self.sessions if self.session in (None, one.id))

    @property
    def name(self) -> str:
        """The name of the session, or its number; empty without one."""
        if self.session is None:
            return ""
        return session_name(self.shown[0].name, self.session)


async def _may_choose(
    request: Request, participant: Participant = "", session: SessionNumber = ""
) -> None:
    """Refuse who may see the device's trends but no participants, and a carer who names nobody.

    A session tells whose it is, as its report does.
    """
    account = current_account(request)
    if account.role is Role.CARER:
        if not participant and session == "":
            text = gettext("A carer sees the trends of one person. Choose one on the page People.")
            raise HTTPException(403, text)
        return
    if session != "":
        await _NEEDED_FOR_SESSIONS(request)
    if participant:
        await _NEEDED_FOR_PEOPLE(request)


router = APIRouter(tags=["trends"], dependencies=[needs(Permission.TRENDS), Depends(_may_choose)])


def _chosen(
    services: ServicesDep,
    account: AccountDep,
    _: Annotated[None, Depends(_may_choose)],
    participant: Participant = "",
    session: SessionNumber = "",
) -> ChosenTrends | None:
    """Return whose trends were asked for; ``None``: those of the whole timeline."""
    if not participant and session == "":
        return None
    if services.fleet is not None:
        text = gettext(
            "The trends of a fleet know no participant and no session. Leave {name} out, or open "
            "the dashboard of the device."
        )
        raise HTTPException(422, text.format(name="participant" if participant else "session"))
    listed = services.reader.session_list()
    if account.role is Role.CARER:
        # Nobody else is told of, not even that they are there.
        own = {one.code for one in services.carers.people_of(account.id)}
        listed = [one for one in listed if one.participant in own]
    wanted = next((one for one in listed if one.id == session), None)
    if session != "" and wanted is None:
        text = gettext("session = {number}: there is no such session. See the Study page.")
        raise HTTPException(404, text.format(number=session))
    code = participant or (wanted.participant if wanted else "")
    try:
        if account.role is Role.CARER:
            whose = own_person(services, account, code).code
        else:
            whose = list_entry_of(services.options.database, code).code
    except StudyError as error:
        raise HTTPException(404, said_of(error)) from error
    if wanted is not None and wanted.participant != whose:
        text = gettext(
            "session = {number}: it is a session of {other}, not of {participant}. Leave one of "
            "the two out."
        )
        raise HTTPException(
            404, text.format(number=session, other=wanted.participant, participant=whose)
        )
    number = None if wanted is None else wanted.id
    views = ("participant_view", whose) if number is None else ("session_view", str(number))
    services.views.note(account, *views)
    return ChosenTrends(whose, number, tuple(one for one in listed if one.participant == whose))


ChosenDep = Annotated[ChosenTrends | None, Depends(_chosen)]


def _timeline(services: ServicesDep, chosen: ChosenDep, device: Device = "") -> TrendReader:
    """Return the reader: of this appliance's file, or of the database of a fleet."""
    if services.fleet is None:
        if device:
            text = gettext("device = {device}: this dashboard shows one appliance. Leave it out.")
            raise HTTPException(404, text.format(device=device))
        if chosen is not None:
            return SessionsReader(services.options.database, chosen.shown)
        return services.reader
    from dashboard.fleet.trends import FleetTrends  # psycopg: only with dashboard.source

    timeline = FleetTrends(services.fleet, device or None)
    if not timeline.is_known():
        text = gettext("device = {device}: no such device has sent a timeline. See the page Fleet.")
        raise HTTPException(404, text.format(device=device))
    return timeline


TimelineDep = Annotated[TrendReader, Depends(_timeline)]


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """The devices that the page offers, and what it shows of which.

    Attributes:
        services: of this dashboard.
        reader: reads the trends.
        device: the one that is shown; empty: this appliance, or all together.
        chosen: the participant or session that is shown; ``None``: everybody.
        people: those of a carer; ``None``: everybody may be chosen.
    """

    services: Services
    reader: TrendReader
    device: str
    chosen: ChosenTrends | None
    people: tuple[str, ...] | None = None

    @property
    def names(self) -> list[str] | None:
        """The devices to choose from; ``None`` on an appliance."""
        if self.services.fleet is None:
            return None
        from dashboard.fleet.postgres import device_names  # psycopg: with dashboard.source

        return device_names(self.services.fleet)

    def clocks_off(
        self, start_ms: int, end_ms: int, buckets: int = _BUCKETS
    ) -> tuple[ClockOff, ...]:
        """Return the devices whose times were corrected in a range; only for all together."""
        if self.services.fleet is None:
            return ()
        from dashboard.fleet.trends import FleetTrends  # psycopg: with dashboard.source

        assert isinstance(self.reader, FleetTrends)
        return self.reader.clocks_off(start_ms, end_ms, buckets)

    def usual_range(self, span: tuple[int, int] | None, now_ms: int) -> RangeChoice:
        """Return the range to begin with."""
        if self.services.fleet is not None:
            return RANGES_BY_KEY["24h"]
        # Of a chosen participant nothing tells when somebody else was recorded.
        reader = self.reader if self.chosen is not None else self.services.reader
        assert isinstance(reader, Reader)
        return usual_range(reader, span, now_ms)

    def latest_recording(self) -> tuple[int, int] | None:
        """Return the range that the page of a participant or session begins with.

        ``None`` for everybody, without a recording, and where one goes on: that range ends now.
        """
        if self.chosen is None or not self.chosen.shown:
            return None
        assert isinstance(self.reader, SessionsReader)
        if self.chosen.session is not None:
            span = self.reader.span()
            return None if span is None else (span[0], span[1] + 1)
        recorded = self.reader.latest_recording(RANGES_BY_KEY["24h"].length_ms)
        is_open = self.chosen.shown[0].end_ms is None
        if recorded and is_open and recorded[1] > clock.now().wall_ms - _HOUR_MS:
            return None
        return recorded

    def participants(self) -> list[str]:
        """Return the participants to choose from: those with the latest sessions, by code."""
        if self.services.fleet is not None:
            return []
        if self.people is not None:
            return list(self.people)
        latest = read_roster(self.services.options.database, RosterQuery(order=RosterOrder.LATEST))
        codes = {one.code for one in latest.rows if one.sessions}
        return sorted(codes | ({self.chosen.participant} if self.chosen else set()))

    def rows_kept_since(self, start_ms: int, end_ms: int) -> int | None:
        """Return since when there are all rows, where chosen sessions of a range are older."""
        if not isinstance(self.reader, SessionsReader):
            return None
        return self.reader.rows_kept_since(start_ms, end_ms)


def _chosen_device(
    services: ServicesDep,
    account: AccountDep,
    reader: TimelineDep,
    chosen: ChosenDep,
    device: Device = "",
) -> DeviceChoice:
    people = None
    if account.role is Role.CARER:
        people = tuple(one.code for one in services.carers.people_of(account.id))
    return DeviceChoice(services, reader, device, chosen, people)


DeviceChoiceDep = Annotated[DeviceChoice, Depends(_chosen_device)]


def _movements(
    services: ServicesDep,
    movement: Annotated[
        list[MovementKind] | None, Query(description="Movements of the face that are shown, too")
    ] = None,
) -> tuple[MovementKind, ...]:
    """Return the movements that were chosen."""
    if movement and services.fleet is not None:
        text = gettext(
            "movement = {name}: the trends of a fleet have no movements. Open the dashboard of the "
            "device, or export them."
        )
        raise HTTPException(422, text.format(name=movement[0]))
    return tuple(dict.fromkeys(movement or ()))


MovementsDep = Annotated[tuple[MovementKind, ...], Depends(_movements)]


def usual_range(reader: Reader, span: tuple[int, int] | None, now_ms: int) -> RangeChoice:
    """Return the default range: an hour while something is recorded, less for a recording that has
    just begun.
    """
    if span is None or span[1] < now_ms - _HOUR_MS:
        return RANGES_BY_KEY["24h"]
    earlier = now_ms - _HOUR_MS, now_ms - RANGES_BY_KEY["10m"].length_ms
    has_begun_before = any(
        next(rows(*earlier), None) for rows in (reader.expression_rows, reader.vital_rows)
    )
    return RANGES_BY_KEY["1h" if has_begun_before else "10m"]


def read_trends(
    reader: TrendReader,
    start_ms: int,
    end_ms: int,
    kinds: tuple[VitalKind, ...] | None = None,
    buckets: int = _BUCKETS,
    movements: tuple[MovementKind, ...] = (),
) -> TrendData:
    """Read everything that the trends of a range need.

    Args:
        reader: of the database.
        start_ms: start of the range, UTC.
        end_ms: end of the range.
        kinds: vitals; ``None``: those that the chart draws.
        buckets: at most so many.
        movements: movements of the face; only an appliance's own reader has them.
    """
    with reader.at_one_moment():
        if kinds is None:
            recorded = reader.recorded_kinds()
            kinds = tuple(
                kind for kind in TREND_VITALS if kind.spec.tested_by_default or kind in recorded
            )
        vitals: dict[Measure, VitalTrend] = {
            kind: reader.vital_trend(kind, start_ms, end_ms, buckets) for kind in kinds
        }
        if movements:
            assert isinstance(reader, Reader)
            for one in movements:
                vitals[one] = reader.movement_trend(one, start_ms, end_ms, buckets)
        trend = reader.trend(start_ms, end_ms, buckets)
        return TrendData(
            start_ms=start_ms,
            end_ms=end_ms,
            trend=trend,
            vitals=vitals,
            conditions=reader.conditions(start_ms, end_ms),
            markers=[one for one in reader.markers(start_ms, end_ms) if one.kind in _DRAWN_MARKERS],
            face_ms=reader.face_ms(trend) if isinstance(reader, Reader) else None,
        )


@router.get("/api/v1/trends", operation_id="get_trends", responses=may_refuse(404))
@refuses_by("the end is after the start, and the measures are of the face")
def get_trends(
    of: DeviceChoiceDep,
    movements: MovementsDep,
    start: Start,
    end: End,
    buckets: Buckets = _BUCKETS,
) -> schemas.TrendsModel:
    """Return shares of expressions, and mean, least and most of the vital signs and of chosen
    movements, from ``start`` to ``end``.
    """
    span = _checked_range(start, end)
    data = read_trends(of.reader, *span, tuple(VitalKind), buckets, movements)
    return schemas.TrendsModel(
        start=start,
        end=end,
        participant=of.chosen.participant if of.chosen else None,
        session=of.chosen.session if of.chosen else None,
        rows_kept_since=of.rows_kept_since(start, end),
        expression=_expression_model(data.trend),
        vitals={
            kind.value: schemas.VitalTrendModel.model_validate(vital)
            for kind, vital in data.vitals.items()
            if isinstance(kind, VitalKind)
        },
        movements={
            kind.value: schemas.VitalTrendModel.model_validate(data.vitals[kind])
            for kind in movements
        },
        clocks_off=[
            schemas.ClockOffModel.model_validate(one) for one in of.clocks_off(start, end, buckets)
        ],
    )


def _checked_range(start_ms: int, end_ms: int) -> tuple[int, int]:
    problem = _problem_of(start_ms, end_ms)
    if problem:
        raise HTTPException(
            422,
            gettext("start = {start_ms}, end = {end_ms}: {problem}").format(
                start_ms=start_ms, end_ms=end_ms, problem=problem
            ),
        )
    return start_ms, end_ms


def _problem_of(start_ms: int, end_ms: int) -> str:
    if end_ms <= start_ms:
        return gettext("The end must be after the start. Choose another range.")
    if end_ms - start_ms > _LONGEST_MS:
        return gettext("The range is longer than a hundred years. Choose a shorter one.")
    return ""


def _expression_model(trend: Trend) -> schemas.ExpressionTrend:
    shares = {emotion.value: list(values) for emotion, values in trend.shares.items()}
    return schemas.ExpressionTrend(
        resolution=trend.resolution,
        bucket_ms=trend.bucket_ms,
        starts=list(trend.starts),
        shares=shares | {"uncertain": list(trend.uncertain)},
        rows=list(trend.rows),
        frames=list(trend.frames),
        simulated=trend.simulated,
    )


@router.get("/api/v1/trends/chart", operation_id="get_trends_chart", responses=may_refuse(404))
@refuses_by("the end is after the start, and the measures are of the face")
def get_trends_chart(
    services: ServicesDep,
    reader: TimelineDep,
    chosen: ChosenDep,
    movements: MovementsDep,
    start: Start,
    end: End,
) -> schemas.ChartModel:
    """Return the same as the chart that the trends page draws."""
    span = _checked_range(start, end)
    data = read_trends(reader, *span, movements=movements)
    chart = trend_chart(data, simulated=_is_made_up(services, chosen, *span))
    return schemas.ChartModel.model_validate(
        chart.as_dict() | {"rows": [list(row) for row in chart.rows]}
    )


@router.get(
    "/api/v1/trends/chart/now", operation_id="get_trends_chart_now", responses=may_refuse(404)
)
def get_trends_chart_now(
    services: ServicesDep,
    reader: TimelineDep,
    chosen: ChosenDep,
    movements: MovementsDep,
    length: Length,
) -> schemas.ChartModel:
    """Return the chart of a range that ends now, by the clock of this machine."""
    end_ms = clock.now().wall_ms
    return get_trends_chart(services, reader, chosen, movements, end_ms - length, end_ms)


@router.get("/trends", include_in_schema=False)
def trends_page(
    request: Request,
    of: DeviceChoiceDep,
    movements: MovementsDep,
    key: Annotated[str | None, Query(alias="range", max_length=10)] = None,
    start: Annotated[schemas.FieldMs, Query()] = None,
    end: Annotated[schemas.FieldMs, Query()] = None,
    beside: Annotated[schemas.EpochMs | None, Query()] = None,
) -> Response:
    """Show a range that ends now (``range``), or one of the reader's own (``start`` and ``end``).

    Without either it is the latest recording of a participant or session, for everybody what
    ``usual_range`` says. ``beside`` is the start of another range of the same length, to compare
    with; ``movement`` adds a movement of the face to the chart, and ``participant`` or ``session``
    leaves out everybody else.
    """
    now_ms = clock.now().wall_ms
    reader = of.reader
    span = reader.span()
    latest = of.latest_recording() if key is None and start is None and end is None else None
    if latest:
        start, end = latest
    last = end if end is not None else now_ms
    choice = RANGES_BY_KEY.get(key or "") or of.usual_range(span, last)
    first = start if start is not None else last - choice.length_ms
    problem = _problem_of(first, last)
    data = None if problem else read_trends(reader, first, last, movements=movements)
    other = None if problem else _read_beside(reader, beside, last - first, movements)
    whose = of.chosen
    made_up = _is_made_up(of.services, whose, first, last)
    kept = urlencode(
        [("device", of.device)] * bool(of.device)
        + ([("participant", whose.participant)] if whose and whose.session is None else [])
        + ([("session", str(whose.session))] if whose and whose.session is not None else [])
        + [("movement", kind.value) for kind in movements]
    )
    return render(
        request,
        "trends.html",
        status_code=422 if problem else 200,
        problem=problem,
        ranges=[one for one in RANGES if one not in OTHER_RANGES],
        other_ranges=OTHER_RANGES,
        chosen=choice if start is None and end is None else None,
        is_latest=latest is not None,
        was_asked=key is not None or (latest is None and start is not None),
        start=first,
        end=last,
        chart=trend_chart(data, other, simulated=made_up) if data else None,
        steps=steps_from(first, last, now_ms),
        beside=beside,
        beside_chart=_beside_chart(other, data) if other and data else None,
        compared=compared_rows(data, other) if data and other else (),
        vitals=data.drawn_vitals() if data else (),
        moved=movements,
        movements=offered_movements(movements) if _has_moved(of) else (),
        kept=f"&{kept}" if kept else "",
        simulated=bool(data and _is_simulated(data)),
        source=_source_of(of, first, last, simulated=bool(data and _is_simulated(data))),
        made_up=any(
            one.has_made_up_times for one in _drawn_sessions(of.services, whose, first, last)
        ),
        is_empty=not (_has_anything(data) or _has_moved(of, first, last)),
        span=span,
        devices=of.names,
        clocks_off=() if problem else of.clocks_off(first, last),
        chosen_device=of.device,
        whose=whose,
        participants=of.participants,
        rows_kept_since=None if problem else of.rows_kept_since(first, last),
    )


def _read_beside(
    reader: TrendReader, start_ms: int | None, length_ms: int, movements: tuple[MovementKind, ...]
) -> TrendData | None:
    """Read the range to compare with; ``None`` without one, or where nothing was recorded in it."""
    if start_ms is None:
        return None
    data = read_trends(reader, start_ms, start_ms + length_ms, movements=movements)
    return data if _has_anything(data) else None


def _beside_chart(data: TrendData, shown: TrendData) -> Chart:
    """Return the chart of the range to compare with; two charts of a page have two ids."""
    title = gettext("The range to compare with")
    return replace(trend_chart(data, shown), id="trend-beside", title=title)


def _is_simulated(data: TrendData) -> bool:
    return data.trend.simulated or any(vital.simulated for vital in data.vitals.values())


def _sessions_in(services: Services, start_ms: int, end_ms: int) -> list[Session]:
    """Return the sessions of this appliance that lie in a range, or reach into it."""
    if services.fleet is not None:
        return []
    return [
        one
        for one in services.reader.session_list()
        if one.start_ms < end_ms and (one.end_ms or end_ms) > start_ms
    ]


def _drawn_sessions(
    services: Services, chosen: ChosenTrends | None, start_ms: int, end_ms: int
) -> list[Session]:
    """Return the sessions in a range: all of them, or the chosen participant's."""
    own = _sessions_in(services, start_ms, end_ms)
    if chosen is None:
        return own
    numbers = {one.id for one in chosen.shown}
    return [one for one in own if one.id in numbers]


def _is_made_up(
    services: Services, chosen: ChosenTrends | None, start_ms: int, end_ms: int
) -> bool:
    """Return whether all that is drawn is simulated; of everybody nothing says so."""
    if chosen is None:
        return False
    own = _drawn_sessions(services, chosen, start_ms, end_ms)
    return bool(own) and all(one.simulated for one in own)


def _source_of(of: DeviceChoice, start_ms: int, end_ms: int, *, simulated: bool) -> str:
    """Say below the chart of whom the data are and which models read the faces."""
    own = _drawn_sessions(of.services, of.chosen, start_ms, end_ms)
    parts = []
    if own:
        count = len({one.participant for one in own})
        parts.append(f"{people(count)}, {sessions_text(len(own))}.")
        if count > 1:
            parts.append(gettext("Neighbouring bars and points can be of different people."))
    if simulated:
        parts.append(simulated_text(own))
    models = _models_of(of, own, start_ms, end_ms)
    if models:
        parts.append(read_by_text(models))
    return " ".join(parts)


def _models_of(of: DeviceChoice, own: list[Session], start_ms: int, end_ms: int) -> tuple[str, ...]:
    """Return the models that read the faces in a range; of chosen people those in their sessions.

    When another model came into use says that somebody else was recorded.
    """
    if of.services.fleet is not None:
        return ()
    spans = [(start_ms, end_ms)]
    if of.chosen is not None:
        spans = [(max(one.start_ms, start_ms), min(one.end_ms or end_ms, end_ms)) for one in own]
    return faces_read_by(of.services.reader, *spans)


def _has_anything(data: TrendData | None) -> bool:
    if data is None:
        return False
    return any(data.trend.rows) or any(any(vital.n) for vital in data.vitals.values())


def _has_moved(of: DeviceChoice, start_ms: int = 0, end_ms: int = 2**62) -> bool:
    return isinstance(of.reader, Reader) and of.reader.has_movements(start_ms, end_ms)
