"""The recording of a session in figures, for its quality report.

``measure`` counts, and ``quality_checks`` judges the counts against ``Thresholds``. Times are UTC
milliseconds. What the timeline holds is read in a transaction that the caller holds.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean, median

from edge_agent.core.clock import CLOCK_JUMP_MS
from edge_agent.core.expression import RejectReason
from edge_agent.core.movements import TURNED_AWAY_DEGREES
from edge_agent.core.readings import DOUBTFUL, UNUSABLE, VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import MOVEMENT_STEPS
from edge_agent.timeline.read.base import (
    ConditionInterval,
    FaceFrames,
    MatchCounts,
    RecordedGap,
    StateReading,
    flags_of,
)
from edge_agent.timeline.read.faces_in_view import FacesInView
from edge_agent.timeline.study.exclusions import Exclusion

Span = tuple[int, int]
SILENCE_MS = 10_000
"""A silence longer than this is a loss of what comes all the time; a cuff speaks when pressed."""
CAMERA = "camera"
OF_AGENT = frozenset({"agent_stopped", "not_written"})
"""Reasons of a gap in which nothing of what comes by itself was recorded."""
_SHORTEST_MS = 1_000  # where every frame is a row, each stands for the second before it


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds that a session must reach to be fit for analysis.

    We chose the values by judgement and state them so that they can be challenged.

    Attributes:
        face_share: least share of the condition time in which the participant's face was read.
        readings: usable readings that each kind needs under each condition, at the least.
        stream_share: least share of the condition time with a usable reading in the last ten
            seconds (strap).
        unmatched_share: readings before which no face was read, at the most.
        flagged_share: readings of a kind flagged as out of range, without contact or of a doubtful
            clock, at the most.
        light_share: seen frames of the face that were too dark or too bright, at the most.
        slow_share: recorded intervals with less than half of the usual frames, at the most.
        turned_away_share: recorded poses of a head turned away from the camera, at the most.
        motion_mg: mean motion of the wearer under a condition, at the most: below light activity.
        several_faces_share: of the time with the participant's face, how much of it more than one
            face may be in view, at the most; and the same share of the time with a followed face
            in which it is not known whose it is.
        face_breaks: how often the followed face may become another one in an hour of the session,
            at the most; this often in a shorter one, too.
    """

    face_share: float = 0.8
    readings: int = 1
    stream_share: float = 0.8
    unmatched_share: float = 0.2
    flagged_share: float = 0.2
    light_share: float = 0.2
    slow_share: float = 0.2
    turned_away_share: float = 0.2
    motion_mg: float = 27.0
    several_faces_share: float = 0.1
    face_breaks: int = 6


@dataclass(frozen=True, slots=True)
class ConditionQuality:
    """The data recorded under one condition, for the quality report.

    Attributes:
        label: of the condition.
        start_ms: its start.
        end_ms: its end; that of the session, or the present, where it has none.
        face_share: share of its time in which the participant's face was read; ``None`` when it has
            no length.
        readings: usable readings by kind.
        motion_mg: mean motion of the wearer; ``None`` where it was not recorded.
    """

    label: str
    start_ms: int
    end_ms: int
    face_share: float | None
    readings: dict[VitalKind, int]
    motion_mg: float | None = None


@dataclass(frozen=True, slots=True)
class VitalQuality:
    """Readings of one kind.

    Attributes:
        kind: what was measured.
        usable: readings that count.
        flagged: readings that do not: out of range, without contact, of a doubtful clock.
        share: for a kind that comes all the time, the share of the condition time (of the session
            without conditions) with a usable reading in the last ten seconds; ``None`` for a cuff.
        matched: readings before which one emotion was observed.
        unmatched: readings before which no face was read.
        ambiguous: readings before which no emotion held the share needed.
    """

    kind: VitalKind
    usable: int
    flagged: int
    share: float | None
    matched: int
    unmatched: int
    ambiguous: int


@dataclass(frozen=True, slots=True)
class EstimateQuality:
    """Estimates of one kind and source, such as the camera's pulse, which are no readings above.

    Attributes:
        kind: what was estimated.
        source: who estimated it.
        readings: estimates that are not in doubt.
        share: share of the condition time (of the session without conditions) with such an estimate
            in the last ten seconds; ``None`` for a kind that does not come all the time.
    """

    kind: VitalKind
    source: str
    readings: int
    share: float | None


@dataclass(frozen=True, slots=True)
class GapTotal:
    """All gaps of one source for one reason, as far as they lie in the session."""

    source: str
    reason: str
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """The wall clock jumped, or the machine was started anew.

    Attributes:
        at_ms: when, by the clock after it.
        jump_s: by how many seconds the clock was set forward; ``None``: the machine was started
            anew.
    """

    at_ms: int
    jump_s: float | None


@dataclass(frozen=True, slots=True)
class FrameRate:
    """The frame rate at which the participant's face was seen.

    Attributes:
        median_per_s: frames per second, the median over the recorded intervals.
        slow_share: share of the intervals with less than half of that: frames were dropped, or the
            face was missed.
    """

    median_per_s: float
    slow_share: float


class QualityLevel(StrEnum):
    """The result level of a check."""

    GOOD = "good"
    UNMARKED = "unmarked"
    CARE = "care"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a session's quality.

    Attributes:
        name: of the check.
        level: ``bad`` makes the session unfit for analysis; with ``care`` it can be analysed, and
            the reader is told; ``unmarked``: without conditions there is nothing to test.
        found: what was found, against what is wanted.
        cure: what to do about it next time; empty when all is well.
    """

    name: str
    level: QualityLevel
    found: str
    cure: str = ""


class Meant(StrEnum):
    """A purpose of measuring in a session."""

    FACE = "face"
    READINGS = "readings"
    ANSWERS = "answers"


@dataclass(frozen=True, slots=True)
class MeasuredSession:
    """The recorded data of a session: the input of ``measure``.

    Attributes:
        session: the session.
        end_ms: its end, or the present while it is open.
        conditions: in order of time.
        face: spans in which the participant's face was read.
        frames: of the participant's face, read and not.
        lost_s: seconds in which that face was seen but never fit for reading, by reason.
        counts: for each recorded interval its length in milliseconds and its frames of that face.
        turned_away_share: as in ``Measures``.
        readings: in order of time; the state is the condition.
        matches: for each kind how many readings were matched to an observed emotion, and were not.
        gaps: that overlap the session.
        clock: what happened to the clock.
        synchronised: whether the network had set the clock all the time; ``None`` where that is not
            known.
        estimates: kind, source and time of each estimate that is not in doubt.
        faces: how often the followed face was out of view, and who else was there.
        tested: labels of the conditions that are compared, in lower case; ``None`` where nobody
            declared any: all but the baseline.
        has_answers: whether the participant answered a question or a trial.
    """

    session: Session
    end_ms: int
    conditions: Sequence[ConditionInterval]
    face: Sequence[Span]
    frames: FaceFrames
    lost_s: dict[RejectReason, float]
    counts: Sequence[tuple[int, int]]
    turned_away_share: float | None
    readings: Sequence[StateReading]
    matches: Mapping[VitalKind, MatchCounts]
    gaps: Sequence[RecordedGap]
    clock: tuple[ClockEvent, ...]
    synchronised: bool | None
    estimates: Sequence[tuple[VitalKind, str, int]] = ()
    faces: FacesInView = field(default_factory=FacesInView)
    tested: frozenset[str] | None = None
    has_answers: bool = False

    @property
    def meant(self) -> frozenset[Meant]:
        """Purposes of the session: all of which there is any sign, loss included.

        Everything, where there is no sign of anything.
        """
        of_agent = any(one.source != CAMERA and one.reason in OF_AGENT for one in self.gaps)
        lost = {one.source for one in self.gaps if one.reason not in OF_AGENT}
        measured = any(VitalFlag.ESTIMATED not in one.flags for one in self.readings)
        signs = {
            Meant.FACE: bool(self.face or self.frames.seen or CAMERA in lost or of_agent),
            Meant.READINGS: bool(measured or lost - {CAMERA} or of_agent),
            Meant.ANSWERS: self.has_answers,
        }
        return frozenset(one for one, sign in signs.items() if sign) or frozenset(Meant)


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of a session: the output of ``measure``.

    ``face_share`` is ``None`` for a session without length. ``turned_away_share`` is the share of
    the rows of movements in which the head was turned away (``FaceMovements.turned_away``),
    ``None`` without rows; ``motion_mg`` the mean motion of the wearer, ``None`` where it was not
    recorded. The rest is as recorded.
    """

    face_share: float | None
    frames: FaceFrames
    lost_s: dict[RejectReason, float]
    frame_rate: FrameRate | None
    turned_away_share: float | None
    conditions: tuple[ConditionQuality, ...]
    vitals: tuple[VitalQuality, ...]
    gaps: tuple[GapTotal, ...]
    clock: tuple[ClockEvent, ...]
    synchronised: bool | None
    estimates: tuple[EstimateQuality, ...] = ()
    faces: FacesInView = field(default_factory=FacesInView)
    motion_mg: float | None = None


@dataclass(frozen=True, slots=True)
class SessionQuality:
    """The quality report of a session.

    Attributes:
        session: its number.
        participant: whose code.
        start_ms: its start.
        end_ms: its end; ``None`` while it is open.
        level: the worst of the checks; ``unmarked``: a session without conditions.
        sentence: whether the session is fit for analysis, and if not, why.
        analysis_sentence: what the analysis does with a session that is not fit; empty for others.
        faces_sentence: whether it was always the same person, as far as that is known.
        checks: one by one.
        measures: what was counted.
        thresholds: what was asked for.
        excluded: what is left out of the analysis; the checks are about the whole session.
    """

    session: int
    participant: str
    start_ms: int
    end_ms: int | None
    level: QualityLevel
    sentence: str
    faces_sentence: str
    checks: tuple[Check, ...]
    measures: Measures
    thresholds: Thresholds
    excluded: tuple[Exclusion, ...] = ()
    analysis_sentence: str = ""


def measure(recorded: MeasuredSession) -> Measures:
    """Compute the figures of a session from its recorded data."""
    start_ms = recorded.session.start_ms
    end_ms = recorded.end_ms
    held = [
        _within((one.start_ms, one.end_ms or end_ms), start_ms, end_ms)
        for one in recorded.conditions
    ]
    spans = held or [(start_ms, end_ms)]
    return Measures(
        face_share=share_covered(spans, recorded.face),
        frames=recorded.frames,
        lost_s=recorded.lost_s,
        frame_rate=_frame_rate(recorded.counts),
        turned_away_share=recorded.turned_away_share,
        conditions=tuple(_conditions(recorded, held)),
        vitals=tuple(_vitals(recorded, spans)),
        gaps=_gap_totals(recorded.gaps, start_ms, end_ms),
        clock=recorded.clock,
        synchronised=recorded.synchronised,
        estimates=tuple(_estimates(recorded.estimates, spans)),
        faces=recorded.faces,
        motion_mg=_motion_mg(recorded.readings),
    )


def share_covered(spans: Sequence[Span], covered: Iterable[Span]) -> float | None:
    """Return the share of ``spans`` that ``covered`` covers.

    ``None`` when they have no length.
    """
    total = sum(end - start for start, end in spans)
    if total <= 0:
        return None
    merged = _merge(covered)
    covered_ms = sum(
        max(0, min(end, last) - max(start, first)) for start, end in spans for first, last in merged
    )
    return covered_ms / total


def seconds_covered(spans: Iterable[Span]) -> float:
    """Return how many seconds some spans cover together."""
    return sum(end - start for start, end in _merge(spans)) / 1000


def _merge(spans: Iterable[Span]) -> list[Span]:
    """Merge overlapping spans."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _within(span: Span, start_ms: int, end_ms: int) -> Span:
    first = min(max(span[0], start_ms), end_ms)
    return first, min(max(span[1], first), end_ms)


def _conditions(recorded: MeasuredSession, held: Sequence[Span]) -> Iterable[ConditionQuality]:
    usable = [reading for reading in recorded.readings if not reading.flags & UNUSABLE]
    for condition, (start, end) in zip(recorded.conditions, held, strict=True):
        own = [reading for reading in usable if start <= reading.at_ms < end]
        kinds = Counter(reading.kind for reading in own)
        share = share_covered([(start, end)], recorded.face)
        counts = dict(sorted(kinds.items()))
        yield ConditionQuality(condition.label, start, end, share, counts, _motion_mg(own))


def _motion_mg(readings: Iterable[StateReading]) -> float | None:
    usable = (one for one in readings if not one.flags & UNUSABLE)
    motion = [one.value for one in usable if one.kind is VitalKind.BODY_MOTION]
    return fmean(motion) if motion else None


def _vitals(recorded: MeasuredSession, spans: Sequence[Span]) -> Iterable[VitalQuality]:
    by_kind: dict[VitalKind, list[StateReading]] = defaultdict(list)
    for reading in recorded.readings:
        if VitalFlag.ESTIMATED not in reading.flags:
            # no measurement: the analysis leaves it out, too
            by_kind[reading.kind].append(reading)
    for kind in VitalKind:
        readings = by_kind.get(kind)
        if not readings:
            continue
        usable = [reading.at_ms for reading in readings if not reading.flags & UNUSABLE]
        share = None
        if kind.spec.stream:
            share = share_covered(spans, [(at, at + SILENCE_MS) for at in usable])
        match = recorded.matches.get(kind, MatchCounts(0, 0, 0))
        counts = (match.matched, match.unmatched, match.ambiguous)
        yield VitalQuality(kind, len(usable), len(readings) - len(usable), share, *counts)


def _estimates(
    estimates: Iterable[tuple[VitalKind, str, int]], spans: Sequence[Span]
) -> Iterable[EstimateQuality]:
    times: dict[tuple[VitalKind, str], list[int]] = defaultdict(list)
    for kind, source, at_ms in estimates:
        times[kind, source].append(at_ms)
    for (kind, source), own in sorted(times.items()):
        share = None
        if kind.spec.stream:
            share = share_covered(spans, [(at, at + SILENCE_MS) for at in own])
        yield EstimateQuality(kind, source, len(own), share)


def _gap_totals(gaps: Iterable[RecordedGap], start_ms: int, end_ms: int) -> tuple[GapTotal, ...]:
    """Return the gaps by source and reason, the longest first."""
    lengths_ms: dict[tuple[str, str], list[int]] = defaultdict(list)
    for gap in gaps:
        first, last = _within((gap.start_ms, gap.end_ms), start_ms, end_ms)
        lengths_ms[gap.source, gap.reason].append(last - first)
    totals = [
        GapTotal(source, why, len(ms), sum(ms) / 1000) for (source, why), ms in lengths_ms.items()
    ]
    return tuple(sorted(totals, key=lambda total: (-total.seconds, total.source, total.reason)))


def _frame_rate(counts: Sequence[tuple[int, int]]) -> FrameRate | None:
    rates = [1000 * frames / length for length, frames in counts if length > 0]
    if not rates:
        return None
    usual = median(rates)
    return FrameRate(round(usual, 2), sum(rate < usual / 2 for rate in rates) / len(rates))


def read_face_spans(connection: sqlite3.Connection, start_ms: int, end_ms: int) -> list[Span]:
    """Return the spans in which the participant's face was read."""
    rows = connection.execute(
        "SELECT at - max(interval_ms, ?), at FROM expression WHERE is_primary = 1 AND at > ? AND "
        "at <= ? ORDER BY at",
        (_SHORTEST_MS, start_ms, end_ms + _SHORTEST_MS),
    )
    return [(row[0], row[1]) for row in rows]


def read_frame_counts(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    """Return length and frames of each recorded interval of the participant's face.

    Frames that could not be read count, too.
    """
    rows = connection.execute(
        "SELECT interval_ms, sum(frames) FROM (SELECT at, interval_ms, frames FROM expression "
        "WHERE is_primary = 1 AND at > :start AND at <= :end UNION ALL SELECT at, interval_ms, "
        "frames FROM unfit WHERE is_primary = 1 AND at > :start AND at <= :end) GROUP BY at ORDER "
        "BY at",
        {"start": start_ms, "end": end_ms},
    )
    return [(row[0], row[1]) for row in rows]


def read_turned_away_share(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> float | None:
    """Return the share of rows of movements of the participant's face in which the head was turned
    away; ``None`` without rows.
    """
    rows, turned = connection.execute(
        "SELECT count(coalesce(yaw, pitch)), sum(CASE WHEN abs(yaw) > :bound OR abs(pitch) > "
        ":bound THEN 1 ELSE 0 END) FROM movement WHERE is_primary = 1 AND at > :start AND at "
        "<= :end",
        {"bound": TURNED_AWAY_DEGREES * MOVEMENT_STEPS["yaw"], "start": start_ms, "end": end_ms},
    ).fetchone()
    return turned / rows if rows else None


def read_estimates(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> list[tuple[VitalKind, str, int]]:
    """Return kind, source and time of each estimate that is not in doubt, in order of time."""
    rows = connection.execute(
        "SELECT kind, source, at, flags FROM vital WHERE at >= ? AND at < ? AND "
        "instr(flags, 'estimated') ORDER BY at",
        (start_ms, end_ms),
    )
    return [
        (VitalKind(kind), source, at)
        for kind, source, at, flags in rows
        if not flags_of(flags) & DOUBTFUL
    ]


def read_lost_seconds(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> dict[RejectReason, float]:
    """Return the seconds in which the participant's face was seen but never read, by reason."""
    rows = connection.execute(
        "SELECT reason, sum(max(interval_ms, ?)) / 1000.0 FROM unfit AS lost WHERE is_primary = 1 "
        "AND at > ? AND at <= ? AND NOT EXISTS (SELECT 1 FROM expression WHERE expression.at = "
        "lost.at AND is_primary = 1) GROUP BY reason ORDER BY 2 DESC",
        (_SHORTEST_MS, start_ms, end_ms),
    )
    return {RejectReason(row[0]): row[1] for row in rows}


def read_has_answers(connection: sqlite3.Connection, session: int) -> bool:
    """Return whether a question or a trial of a session was answered."""
    found = connection.execute(
        "SELECT EXISTS(SELECT 1 FROM self_report WHERE session = :session) OR EXISTS(SELECT 1 FROM "
        "trial WHERE session = :session)",
        {"session": session},
    )
    return bool(found.fetchone()[0])


def read_clock(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> tuple[tuple[ClockEvent, ...], bool | None]:
    """Return the clock's jumps and restarts, and whether it was synchronised all the time.

    ``None``: it is not known.
    """
    rows = connection.execute(
        "SELECT boot_id, started_ms, wall_minus_boot_ms, synchronised, min(id) OVER (PARTITION BY "
        "boot_id) AS first FROM boot ORDER BY first, started_ms - wall_minus_boot_ms, id"
    ).fetchall()
    inside = [number for number, row in enumerate(rows) if start_ms < row["started_ms"] < end_ms]
    before = [number for number, row in enumerate(rows) if row["started_ms"] <= start_ms]
    events = (_event(rows[number - 1], rows[number], start_ms) for number in inside if number)
    lasting = [*before[-1:], *inside]
    synchronised = all(rows[number]["synchronised"] for number in lasting) if lasting else None
    return tuple(event for event in events if event is not None), synchronised


def _event(last: sqlite3.Row, row: sqlite3.Row, start_ms: int) -> ClockEvent | None:
    """Return the clock event that a row of ``boot`` describes.

    An agent that started on a running machine is no event. Neither is a clock step by which the
    earlier rows were moved, too.
    """
    if row["boot_id"] == last["boot_id"]:
        jump_ms = row["wall_minus_boot_ms"] - last["wall_minus_boot_ms"]
        if abs(jump_ms) <= CLOCK_JUMP_MS:
            return None
        return ClockEvent(row["started_ms"], jump_ms / 1000)
    if row["wall_minus_boot_ms"] > start_ms:
        return ClockEvent(row["started_ms"], None)
    return None
