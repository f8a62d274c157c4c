"""The timeline of a session as shapes (conditions, expression and vitals on one axis), and two
sessions beside each other.

The page draws them as SVG, so that screen and paper show the same without a script. The axis is the
time since the session's start, or since a condition's; a second session is laid over the first by
it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashboard.charts.axes import Axis, round_step
from dashboard.charts.marks import path_of, rectangle_path
from dashboard.charts.trends import TrendData
from dashboard.languages.figures import decimal, general, with_sign
from dashboard.languages.macros import Macros
from dashboard.languages.names import state_name, translate, vital_label, with_unit
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.study import Marker, MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import Trend
from edge_agent.timeline.read.faces_in_view import UnknownStretch
from edge_agent.timeline.read.sessions import SessionSummary
from edge_agent.timeline.study.exclusions import Exclusion

_MACROS = Macros(Path(__file__).parent)
_BAND = 24.0
_SHARES = 96.0
_PANEL = 74.0
_CAPTION = 32.0
_LEFT = 44.0
_RIGHT = 10.0
_FLAGS = 20.0
_AXIS = 24.0
_LETTER = 7.2
"""Width of a letter of the labels, a little more than it needs."""
_STEPS_S = (5, 10, 15, 30, *(60 * m for m in (1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 480, 1440)))
_BREAK_MS = 10_000
_NAMED = frozenset({MarkerKind.NOTE, MarkerKind.BASELINE})


@dataclass(frozen=True, slots=True)
class SessionRecording(TrendData):
    """The recorded data of one session; one that is open ends now.

    Attributes:
        zero_ms: what the axis counts from; ``None``: the start.
        left_out: what is left out of the analysis at present.
        not_known: stretches with a face that may not be the participant's.
    """

    zero_ms: int | None = None
    left_out: Sequence[Exclusion] = ()
    not_known: Sequence[UnknownStretch] = ()

    @property
    def zero(self) -> int:
        """Origin of the time axis, ms since 1970 (UTC)."""
        return self.start_ms if self.zero_ms is None else self.zero_ms


@dataclass(frozen=True, slots=True)
class ChartBox:
    """A rectangle; ``name`` says what its colour or its text is."""

    x: float
    y: float
    width: float
    height: float
    name: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A line that goes through, as SVG writes its path, and what it shows.

    ``dots`` are those points of a kind that is measured now and then. ``second`` is whether it is
    of the session laid over. ``name`` is that of the kind.
    """

    path: str
    dots: tuple[tuple[float, float], ...]
    colour: str
    second: bool
    name: str = ""


@dataclass(frozen=True, slots=True)
class PanelTick:
    """A place on an axis with its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Room for lines of one unit: caption, its height, ticks of the vertical axis, and lines."""

    caption: str
    top: float
    bottom: float
    ticks: tuple[PanelTick, ...]
    lines: tuple[ChartLine, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """Condition band and shares of expression of one session."""

    caption: str
    caption_y: float
    bands: tuple[ChartBox, ...]
    top: float
    bottom: float
    bars: tuple[ChartBox, ...]

    def shapes(self) -> dict[str, str]:
        """Return one SVG path for all bars of each name."""
        return paths_of(self.bars)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that is drawn, in units of the picture.

    Attributes:
        width: of the picture.
        height: of the picture.
        left: where the axis begins.
        right: where it ends.
        strips: one for each session.
        panels: of the vitals.
        ticks: of the time axis.
        flags: numbered notes and baselines of the first session.
        left_out: stretches that are left out of the analysis, with their reasons; of one session
            over all that is drawn, of two each over its own strip.
        not_known: stretches of the strips with a face that may not be the participant's.
        foot: where the panels end.
    """

    width: float
    height: float
    left: float
    right: float
    strips: tuple[Strip, ...]
    panels: tuple[Panel, ...]
    ticks: tuple[PanelTick, ...]
    flags: tuple[PanelTick, ...]
    left_out: tuple[ChartBox, ...]
    not_known: tuple[ChartBox, ...]
    foot: float


@dataclass(frozen=True, slots=True)
class PanelScale:
    """Turns values of a panel into heights, from its top and over its height."""

    low: float
    high: float
    step: float
    top: float
    height: float = _PANEL

    @classmethod
    def of(
        cls, values: Sequence[float], top: float, height: float = _PANEL, steps: int = 2
    ) -> PanelScale:
        """Return the scale that holds these values between round ones, in about so many steps."""
        # At least 1 a step, or noise would fill the panel.
        step = round_step(max(float(steps), max(values) - min(values)), steps)
        low = math.floor(min(values) / step) * step
        # Equal values at a round number have no height of their own.
        high = max(math.ceil(max(values) / step) * step, low + step)
        return cls(low, high, step, top, height)

    def at(self, value: float) -> float:
        """Return the height of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.top + (1 - share) * self.height, 1)

    def ticks(self) -> tuple[PanelTick, ...]:
        """Return the round values, from the lowest."""
        count = round((self.high - self.low) / self.step)
        values = [self.low + number * self.step for number in range(count + 1)]
        return tuple(PanelTick(self.at(value), general(value)) for value in values)


def named_markers(markers: Iterable[Marker]) -> list[Marker]:
    """Return the markers that the picture numbers: notes and baselines."""
    return [marker for marker in markers if marker.kind in _NAMED]


def since_start(ms: float) -> str:
    """Write a time since the start: ``4:05``, ``1:04:05``, or ``−0:30`` before it."""
    # Rounded first: −0.4 s is 0:00 and not −0:00.
    if round(ms / 1000) < 0:
        return f"−{since_start(-ms)}"
    seconds = round(ms / 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{seconds:02d}"
    return f"{minutes}:{seconds:02d}"


def session_timeline(recordings: Sequence[tuple[str, SessionRecording]], width: float) -> Timeline:
    """Return the picture of one session, or of two whose zeros lie at one place.

    Args:
        recordings: name and recording of each; a single one needs no name.
        width: of the picture; its text is 12 units high.
    """
    first = min(one.start_ms - one.zero for _, one in recordings)
    last = max(one.end_ms - one.zero for _, one in recordings)
    # A session that has just begun is drawn over a second, for its length is divided by.
    length = max(1_000, last - first)
    axis = Axis(first, first + length, _LEFT, width - _RIGHT)
    flags = tuple(
        PanelTick(axis.within(marker.at.wall_ms - recordings[0][1].zero), str(number))
        for number, marker in enumerate(named_markers(recordings[0][1].markers), 1)
    )
    y = _FLAGS if flags else 4.0
    strips: list[Strip] = []
    for name, recording in recordings:
        strip = _strip(name, recording, axis, y)
        strips.append(strip)
        y = strip.bottom + 8
    panels = _panels([one for _, one in recordings], axis, y)
    foot = panels[-1].bottom if panels else strips[-1].bottom
    return Timeline(
        width=width,
        height=foot + _AXIS,
        left=_LEFT,
        right=width - _RIGHT,
        strips=tuple(strips),
        panels=panels,
        ticks=_time_ticks(axis),
        flags=flags,
        left_out=tuple(
            box
            for strip, (_, one) in zip(strips, recordings, strict=True)
            for box in _left_out(one, axis, strip.top, foot if len(strips) == 1 else strip.bottom)
        ),
        not_known=tuple(
            box
            for strip, (_, one) in zip(strips, recordings, strict=True)
            for box in _not_known(one, axis, strip)
        ),
        foot=foot,
    )


def _not_known(recording: SessionRecording, axis: Axis, strip: Strip) -> Iterator[ChartBox]:
    """Yield the unknown stretches, at least one unit wide; those that meet there are one."""
    open_left = open_right = -math.inf
    for one in recording.not_known:
        left = axis.within(one.start_ms - recording.zero)
        right = max(left + 1.0, axis.within(one.end_ms - recording.zero))
        if left > open_right:
            yield from _box(open_left, open_right, strip)
            open_left = left
        open_right = max(open_right, right)
    yield from _box(open_left, open_right, strip)


def _box(left: float, right: float, strip: Strip) -> Iterator[ChartBox]:
    if math.isfinite(left):
        width, height = round(right - left, 1), round(strip.bottom - strip.top, 1)
        yield ChartBox(left, strip.top, width, height, "not known")


def _left_out(
    recording: SessionRecording, axis: Axis, top: float, bottom: float
) -> Iterator[ChartBox]:
    """Yield what is left out, at least two units wide: a sneeze of a second is seen in an hour."""
    for one in recording.left_out:
        start_ms, end_ms = one.span or (recording.start_ms, recording.end_ms)
        left = axis.within(start_ms - recording.zero)
        width = max(2.0, round(axis.within(end_ms - recording.zero) - left, 1))
        yield ChartBox(left, top, width, round(bottom - top, 1), "left out", one.reason)


def _strip(name: str, recording: SessionRecording, axis: Axis, y: float) -> Strip:
    caption_y = y + 13
    if name:
        y += 20
    bands = tuple(_bands(recording, axis, y))
    top = y + (_BAND + 4 if bands else 0)
    name = _fitting(name, axis.end - axis.start)
    bars = share_bars(
        recording.trend, lambda at_ms: axis.within(at_ms - recording.zero), top, _SHARES
    )
    return Strip(name, caption_y, bands, top, top + _SHARES, tuple(bars))


def _bands(recording: SessionRecording, axis: Axis, y: float) -> Iterable[ChartBox]:
    for condition in recording.conditions:
        left = axis.within(condition.start_ms - recording.zero)
        right = axis.within((condition.end_ms or recording.end_ms) - recording.zero)
        width = round(right - left, 1)
        name = state_name(condition.label)
        labelled = _MACROS.say("session", "stimulus", condition.label)
        text = labelled if _fits(labelled, width - 8) else _fitting(name, width - 8)
        yield ChartBox(left, y, width, _BAND, condition.label, text)


def _fits(text: str, width: float) -> bool:
    return len(text) <= int(width / _LETTER)


def _fitting(text: str, width: float) -> str:
    """Return a text, cut where it is wider than its place."""
    if _fits(text, width):
        return text
    letters = int(width / _LETTER)
    return text[: letters - 1] + "…" if letters > 2 else ""


def paths_of(bars: Iterable[ChartBox]) -> dict[str, str]:
    """Return one SVG path for all bars of each name: a third of the bytes of a shape a bar."""
    paths: dict[str, str] = {}
    # One path for all bars of a name: a long session has thousands of bars.
    for bar in bars:
        path = rectangle_path(bar.x, bar.y, bar.width, bar.height)
        paths[bar.name] = paths.get(bar.name, "") + path
    return paths


def share_bars(
    trend: Trend, place: Callable[[int], float], top: float, height: float
) -> Iterator[ChartBox]:
    """Yield the shares of each bucket, piled up from the bottom.

    Args:
        trend: the shares.
        place: returns where a time lies in the picture.
        top: of the bars.
        height: of a bar that is whole.
    """
    shares = {emotion.value: trend.shares[emotion] for emotion in EMOTIONS}
    # On top of the others, since dicts keep their order.
    shares["uncertain"] = trend.uncertain
    for index, start in enumerate(trend.starts):
        left = place(start)
        width = round(place(start + trend.bucket_ms) - left, 1)
        foot = top + height
        for name, values in shares.items():
            part = round((values[index] or 0.0) * height, 1)
            if part > 0 and width > 0:
                foot -= part
                yield ChartBox(left, round(foot, 1), width, part, name)


def _panels(recordings: Sequence[SessionRecording], axis: Axis, y: float) -> tuple[Panel, ...]:
    kinds: list[Measure] = [
        kind
        for kind in (*VitalKind, *MovementKind)
        if kind.spec.panel
        and any(kind in one.vitals and any(one.vitals[kind].n) for one in recordings)
    ]
    panels = []
    for title in dict.fromkeys(kind.spec.panel for kind in kinds):
        drawn = [kind for kind in kinds if kind.spec.panel == title]
        top = y + _CAPTION
        panels.append(_panel(title, drawn, recordings, axis, top))
        y = top + _PANEL
    return tuple(panels)


def _panel(
    title: str,
    kinds: Sequence[Measure],
    recordings: Sequence[SessionRecording],
    axis: Axis,
    top: float,
) -> Panel:
    values = [
        value
        for one in recordings
        for kind in kinds
        if kind in one.vitals
        for value in one.vitals[kind].mean
        if value is not None
    ]
    scale = PanelScale.of(values, top)
    lines = [
        line
        for number, one in enumerate(recordings)
        for kind in kinds
        if kind in one.vitals
        for line in _lines(one, kind, axis, scale, second=number > 0)
    ]
    caption = with_unit(translate(title), kinds[0].spec.unit_shown)
    return Panel(caption, top, top + _PANEL, scale.ticks(), tuple(lines))


def _lines(
    recording: SessionRecording, kind: Measure, axis: Axis, scale: PanelScale, *, second: bool
) -> Iterable[ChartLine]:
    """Yield the line of a kind; one that comes all the time breaks where it was silent."""
    trend = recording.vitals[kind]
    middle = trend.bucket_ms / 2 - recording.zero
    known = [
        (start, (axis.within(start + middle), scale.at(value)))
        for start, value in zip(trend.starts, trend.mean, strict=True)
        if value is not None
    ]
    # A gap in a stream breaks its line; readings taken now and then are joined however far apart.
    longest = max(_BREAK_MS, 2 * trend.bucket_ms) if kind.spec.stream else math.inf
    pieces: list[list[tuple[float, float]]] = []
    before = -math.inf
    for start, place in known:
        if start - before > longest or not pieces:
            pieces.append([])
        pieces[-1].append(place)
        before = start
    for piece in pieces:
        # A piece of one reading has no line to be seen by.
        is_sparse = not kind.spec.stream or len(piece) == 1
        dots = tuple(piece) if is_sparse else ()
        yield ChartLine(path_of(piece), dots, kind.spec.colour, second, vital_label(kind))


def _time_ticks(axis: Axis) -> tuple[PanelTick, ...]:
    room = 64.0  # a text and the space beside it
    most = max(2, int((axis.end - axis.start) / room))
    step = next((s for s in _STEPS_S if (axis.high - axis.low) / 1000 / s <= most), _STEPS_S[-1])
    earliest = math.ceil(axis.low / 1000 / step)
    latest = math.floor(axis.high / 1000 / step)
    times = [1000 * step * number for number in range(earliest, latest + 1)]
    return tuple(PanelTick(axis.within(ms), since_start(ms)) for ms in times)


@dataclass(frozen=True, slots=True)
class Pair:
    """A mean in both sessions; ``None`` where a session has none.

    Attributes:
        kind: which vital.
        first: in the first session, in the unit of the vital.
        second: in the second one.
    """

    kind: VitalKind
    first: float | None
    second: float | None

    def text_of(self, value: float | None) -> str:
        """Write a mean; a dash where there is none."""
        if value is None:
            return "–"
        return decimal(value, max(1, self.kind.spec.decimals))

    @property
    def difference(self) -> str:
        """The second minus the first, with its sign; a dash where one is missing."""
        if self.first is None or self.second is None:
            return "–"
        return with_sign(self.second - self.first, max(1, self.kind.spec.decimals))


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """A condition of either session.

    Attributes:
        label: what it is called.
        pairs: the vitals, those of every row in one order.
        expressions: the strongest category of each session with its share, 0 to 1; ``None``: no
            face was read.
    """

    label: str
    pairs: tuple[Pair, ...]
    expressions: tuple[tuple[str, float] | None, ...]

    def sentence(self) -> str:
        """Return the row in words; empty where the sessions share no mean."""
        both = [one for one in self.pairs if None not in (one.first, one.second)]
        return _MACROS.say("session", "row", self.label, both) if both else ""


def side_by_side(
    first: SessionSummary, second: SessionSummary, kinds: tuple[VitalKind, ...]
) -> list[ConditionRow]:
    """Return a row for each condition, those of the first session first.

    A condition that comes twice in a session has its first turn in the row.
    """
    # Reversed, so that the first turn of a condition is written last and stays.
    each = [{one.label: one for one in reversed(summary.conditions)} for summary in (first, second)]
    # Reversed once more, back to the order of the session.
    labels = dict.fromkeys([*reversed(each[0]), *reversed(each[1])])
    rows = []
    for label in labels:
        summaries = [conditions.get(label) for conditions in each]
        vitals = [one.vitals if one else {} for one in summaries]
        means = [{kind: mean.mean for kind, mean in known.items()} for known in vitals]
        pairs = [Pair(kind, *(known.get(kind) for known in means)) for kind in kinds]
        expressions = tuple(_strongest(one.expression if one else None) for one in summaries)
        rows.append(ConditionRow(label, tuple(pairs), expressions))
    return rows


def description(rows: list[ConditionRow]) -> Iterator[str]:
    """Yield what the rows say in words, for who does not see the picture."""
    return (row.sentence() for row in rows if row.sentence())


def _strongest(expression: Mapping[Emotion, float] | None) -> tuple[str, float] | None:
    if not expression:
        return None
    strongest = max(expression, key=lambda one: expression[one])
    return strongest.value, expression[strongest]
