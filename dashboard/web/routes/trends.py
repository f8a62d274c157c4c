"""The page and API of trends: expression, heart rate and blood pressure over a range of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from dashboard.accounts.roles import Permission
from dashboard.charts.chart import Chart
from dashboard.charts.trends import TREND_VITALS, TrendData, compared_rows, steps_from, trend_chart
from dashboard.fleet.clocks import ClockOff
from dashboard.fleet.known import TrendReader
from dashboard.languages.current import gettext
from dashboard.web import schemas
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import NavigationEntry, render
from dashboard.web.services import Services, ServicesDep
from edge_agent.core import clock
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.study import MarkerKind
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.base import Trend, VitalTrend
from edge_agent.store.read.reader import Reader

router = APIRouter(tags=["trends"], dependencies=[needs(Permission.SEE)])
NAVIGATION = NavigationEntry(
    N_("Trends"), "/trends", 20, "M3 18l5-7 4 3 4.5-7L21 11M3 21h18", by_device=True
)

_HOUR_MS = 3_600_000
_LONGEST_MS = 100 * 366 * 24 * _HOUR_MS
_BUCKETS = 200
_DRAWN_MARKERS = (MarkerKind.NOTE, MarkerKind.BASELINE)


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


def _timeline(services: ServicesDep, device: Device = "") -> TrendReader:
    """Return the reader: of this appliance's file, or of the database of a fleet."""
    if services.fleet is None:
        if device:
            text = gettext("device = {device}: this dashboard shows one appliance. Leave it out.")
            raise HTTPException(404, text.format(device=device))
        return services.reader
    from dashboard.fleet.timeline import FleetTimeline  # psycopg: only with dashboard.source

    timeline = FleetTimeline(services.fleet, device or None)
    if not timeline.is_known():
        text = gettext("device = {device}: no such device has sent a timeline. See the page Fleet.")
        raise HTTPException(404, text.format(device=device))
    return timeline


TimelineDep = Annotated[TrendReader, Depends(_timeline)]


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """The devices that the page offers, and the one it shows.

    Attributes:
        services: of this dashboard.
        reader: reads the trends of the device.
        device: the one that is shown; empty: this appliance, or all together.
    """

    services: Services
    reader: TrendReader
    device: str

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
        from dashboard.fleet.timeline import FleetTimeline  # psycopg: with dashboard.source

        assert isinstance(self.reader, FleetTimeline)
        return self.reader.clocks_off(start_ms, end_ms, buckets)

    def usual_range(self, span: tuple[int, int] | None, now_ms: int) -> RangeChoice:
        """Return the range to begin with."""
        if self.services.fleet is not None:
            return RANGES_BY_KEY["24h"]
        return usual_range(self.services.reader, span, now_ms)


def _chosen_device(services: ServicesDep, reader: TimelineDep, device: Device = "") -> DeviceChoice:
    return DeviceChoice(services, reader, device)


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


@router.get("/trends", include_in_schema=False)
def trends_page(
    request: Request,
    of: DeviceChoiceDep,
    movements: MovementsDep,
    key: Annotated[str | None, Query(alias="range", max_length=10)] = None,
    start: Annotated[schemas.EpochMs | None, Query()] = None,
    end: Annotated[schemas.EpochMs | None, Query()] = None,
    beside: Annotated[schemas.EpochMs | None, Query()] = None,
) -> Response:
    """Show a range that ends now (``range``), or one of the reader's own (``start`` and ``end``).

    Without either it is what ``usual_range`` says. ``beside`` is the start of another range of the
    same length, to compare with; ``movement`` adds a movement of the face to the chart.
    """
    now_ms = clock.now().wall_ms
    last = end if end is not None else now_ms
    reader = of.reader
    span = reader.span()
    choice = RANGES_BY_KEY.get(key or "") or of.usual_range(span, last)
    first = start if start is not None else last - choice.length_ms
    problem = _problem_of(first, last)
    data = None if problem else read_trends(reader, first, last, movements=movements)
    other = None if problem else _read_beside(reader, beside, last - first, movements)
    kept = urlencode([("device", of.device)] * bool(of.device) + _chosen(movements))
    return render(
        request,
        "trends.html",
        status_code=422 if problem else 200,
        problem=problem,
        ranges=RANGES,
        chosen=choice if start is None and end is None else None,
        start=first,
        end=last,
        chart=trend_chart(data) if data else None,
        steps=steps_from(first, last, now_ms),
        beside=beside,
        beside_chart=_beside_chart(other) if other else None,
        compared=compared_rows(data, other) if data and other else (),
        vitals=data.drawn_vitals() if data else (),
        moved=movements,
        movements=tuple(MovementKind) if _has_moved(of) else (),
        kept=f"&{kept}" if kept else "",
        simulated=bool(data and _is_simulated(data)),
        made_up=of.services.fleet is None and _has_made_up_times(of.services.reader, first, last),
        is_empty=not (_has_anything(data) or _has_moved(of, first, last)),
        span=span,
        devices=of.names,
        clocks_off=() if problem else of.clocks_off(first, last),
        chosen_device=of.device,
    )


@router.get("/api/v1/trends", operation_id="get_trends", responses=may_refuse(404))
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
    span = _checked(start, end)
    data = read_trends(of.reader, *span, tuple(VitalKind), buckets, movements)
    return schemas.TrendsModel(
        start=start,
        end=end,
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


@router.get("/api/v1/trends/chart", operation_id="get_trends_chart", responses=may_refuse(404))
def get_trends_chart(
    reader: TimelineDep, movements: MovementsDep, start: Start, end: End
) -> schemas.ChartModel:
    """Return the same as the chart that the trends page draws."""
    chart = trend_chart(read_trends(reader, *_checked(start, end), movements=movements))
    return schemas.ChartModel.model_validate(
        chart.as_dict() | {"rows": [list(row) for row in chart.rows]}
    )


@router.get(
    "/api/v1/trends/chart/now", operation_id="get_trends_chart_now", responses=may_refuse(404)
)
def get_trends_chart_now(
    reader: TimelineDep, movements: MovementsDep, length: Length
) -> schemas.ChartModel:
    """Return the chart of a range that ends now, by the clock of this machine."""
    end_ms = clock.now().wall_ms
    return get_trends_chart(reader, movements, end_ms - length, end_ms)


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
        return TrendData(
            start_ms=start_ms,
            end_ms=end_ms,
            trend=reader.trend(start_ms, end_ms, buckets),
            vitals=vitals,
            conditions=reader.conditions(start_ms, end_ms),
            markers=[one for one in reader.markers(start_ms, end_ms) if one.kind in _DRAWN_MARKERS],
        )


def _has_made_up_times(reader: Reader, start_ms: int, end_ms: int) -> bool:
    """Return whether a session in a range has times that are made up."""
    return any(
        session.has_made_up_times
        and session.start_ms < end_ms
        and (session.end_ms or end_ms) > start_ms
        for session in reader.session_list()
    )


def _has_anything(data: TrendData | None) -> bool:
    if data is None:
        return False
    return any(data.trend.rows) or any(any(vital.n) for vital in data.vitals.values())


def _has_moved(of: DeviceChoice, start_ms: int = 0, end_ms: int = 2**62) -> bool:
    return of.services.fleet is None and of.services.reader.has_movements(start_ms, end_ms)


def _chosen(movements: tuple[MovementKind, ...]) -> list[tuple[str, str]]:
    return [("movement", kind.value) for kind in movements]


def _read_beside(
    reader: TrendReader, start_ms: int | None, length_ms: int, movements: tuple[MovementKind, ...]
) -> TrendData | None:
    """Read the range to compare with; ``None`` without one, or where nothing was recorded in it."""
    if start_ms is None:
        return None
    data = read_trends(reader, start_ms, start_ms + length_ms, movements=movements)
    return data if _has_anything(data) else None


def _beside_chart(data: TrendData) -> Chart:
    """Return the chart of the range to compare with; two charts of a page have two ids."""
    return replace(trend_chart(data), id="trend-beside", title=gettext("The range to compare with"))


def _problem_of(start_ms: int, end_ms: int) -> str:
    if end_ms <= start_ms:
        return gettext("The end must be after the start. Choose another range.")
    if end_ms - start_ms > _LONGEST_MS:
        return gettext("The range is longer than a hundred years. Choose a shorter one.")
    return ""


def _checked(start_ms: int, end_ms: int) -> tuple[int, int]:
    problem = _problem_of(start_ms, end_ms)
    if problem:
        raise HTTPException(
            422,
            gettext("start = {start_ms}, end = {end_ms}: {problem}").format(
                start_ms=start_ms, end_ms=end_ms, problem=problem
            ),
        )
    return start_ms, end_ms


def _is_simulated(data: TrendData) -> bool:
    return data.trend.simulated or any(vital.simulated for vital in data.vitals.values())


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
