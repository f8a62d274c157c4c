"""A simulated example study and nine weeks of one person, for a first look at the dashboard.

Every row is flagged as simulated.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Protocol

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS, Emotion, Expression, ExpressionRow
from edge_agent.core.movements import MOVEMENTS, NAMES, WITHDRAWN, MovementRow
from edge_agent.core.readings import VitalReading
from edge_agent.core.study import (
    EVERYDAY_SESSION,
    EXAMPLE_CONSENT,
    EXAMPLE_SESSION,
    NOT_IN_EXAMPLE,
    MarkerKind,
    NewSession,
    Purpose,
)
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.study import rows
from edge_agent.timeline.study.past import PastSession, insert_past_consent, insert_past_session
from edge_agent.timeline.study.protocol_runs import SelfReport, insert_reports
from edge_agent.timeline.write.inserts import write_expressions, write_movements, write_vitals

PARTICIPANTS = 12
CONDITIONS = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL)
SESSION_NAME = EXAMPLE_SESSION

_HOURS_APART = 12
_BASELINE_S = 60
_STIMULUS_S = 120
_PAUSE_S = 30
_REPORT_AFTER_S = {"valence": 6, "arousal": 10, "emotion": 15}  # in the pause after a stimulus
# pleasant, excited
_FEELING = {Emotion.ANGER: (3.0, 6.5), Emotion.HAPPINESS: (7.0, 5.5), Emotion.NEUTRAL: (5.0, 3.0)}
_MOVED = {
    Emotion.HAPPINESS: {"smile": 0.7, "cheek_squint": 0.05, "eye_squint": 0.3},
    Emotion.ANGER: {"brow_down": 0.7, "frown": 0.3, "eye_squint": 0.2},
    Emotion.NEUTRAL: {"eye_blink": 0.1, "smile": 0.05},
    Emotion.SADNESS: {"frown": 0.5, "brow_inner_up": 0.4},
    Emotion.SURPRISE: {"brow_outer_up": 0.6, "jaw_open": 0.5, "eye_wide": 0.4},
}
"""Strength of a simulated face's movements where it shows an emotion alone."""
_CUFF_AT_S = (60, 105)  # a cuff takes most of a minute, so there are two readings in a stimulus
_SESSION_S = _BASELINE_S + len(CONDITIONS) * (_STIMULUS_S + _PAUSE_S)

WEEKS_CODE = "SIM-WEEKS"
"""The person of the nine weeks, who takes no part in the example study."""
_DAYS_BEFORE = 49
"""Days of the weeks before, in fewer rows, for a week is compared with eight others."""
_STRETCHES = (time(9), time(14, 30), time(19))
_STRETCH_MS = 45 * 60_000
_HOUR_MS = 3_600_000
_ROW_S = 20
_ROW_BEFORE_S = 60
_READ_AFTER_S = 5
"""From a row to the next readings: heart rate and pressure then match one by their lags."""
_CUFF_S = 600
_CALM = {Emotion.NEUTRAL: 60, Emotion.HAPPINESS: 30, Emotion.SURPRISE: 4, Emotion.SADNESS: 6}
_HARD = {Emotion.NEUTRAL: 56, Emotion.HAPPINESS: 10, Emotion.ANGER: 11, Emotion.SADNESS: 23}
_HIGHER = {
    VitalKind.HEART_RATE: 5.0,
    VitalKind.SYSTOLIC: 7.0,
    VitalKind.DIASTOLIC: 4.0,
    VitalKind.MEAN_ARTERIAL: 5.0,
}
"""By how much the second week's readings are higher."""


class MeasuredPerson(Protocol):
    """A person who can be measured, such as the simulated person of the vitals."""

    def advance(self, seconds: float, condition: str | None) -> None:
        """Advance the time under a condition."""

    def readings(self, at: Instant, *, heart_rate: bool, pressure: bool) -> list[VitalReading]:
        """Measure now."""


def seed_example_study(
    path: Path,
    person: Callable[[int], MeasuredPerson],
    *,
    seed: int = 1,
    now: Instant | None = None,
) -> int:
    """Write twelve simulated sessions of the last days.

    Each has anger, happiness and neutral, in balanced order.

    Each session has a baseline of a minute and three stimuli of two minutes; heart rate,
    expression and movements of the face come once a second, a cuff's readings twice in a stimulus,
    and after each the participant says how it was. Nothing is queued for the broker.

    Args:
        path: the database, already migrated.
        person: gives the made-up participant of a number.
        seed: another seed is another study.
        now: the last session ends half a day before it.

    Returns:
        How many sessions were written: 0 when there is a study already, which is left alone.

    Raises:
        StoreError: the database cannot be written.
    """
    # nobody's clock was read for it: a time without a boot clock is never moved
    moment = Instant(boot_ms=0, wall_ms=(now or clock.now()).wall_ms)
    with write_transaction(path) as connection:
        if connection.execute("SELECT 1 FROM participant LIMIT 1").fetchone() is not None:
            return 0
        orders = list(itertools.permutations(CONDITIONS))
        for number in range(PARTICIPANTS):
            # A generator for each participant: one more of them does not change the others.
            rng = random.Random(f"{seed}/{number}")  # noqa: S311 - made-up data needs no secrecy
            hours = (PARTICIPANTS - number) * _HOURS_APART
            start = moment.shift(-3600 * hours - _SESSION_S - rng.randrange(1800))
            # All six orders of three conditions are used equally often.
            plan = _plan(orders[number % len(orders)])
            code = f"SIM-{number + 1:02d}"
            rows.insert_participant(connection, code, start, simulated=True)
            rows.insert_consent(connection, code, EXAMPLE_CONSENT, start)
            new = NewSession(code, Purpose.DEMONSTRATION, SESSION_NAME)
            session = rows.insert_session(connection, new, start, simulated=True)
            for second, kind, condition in _markers(plan):
                rows.insert_marker(connection, session, kind, condition, start.shift(second))
            # Generators of their own, so that a change of one part of the study leaves the others
            # as they were.
            answering = random.Random(f"{seed}/{number}/said")  # noqa: S311 - a play of chance, no secret
            insert_reports(connection, session.id, _reports(answering, plan, start))
            rows.close_session(connection, start.shift(_SESSION_S))
            readings = _measure(person(1000 * seed + number), plan, start)
            write_vitals(connection, [(reading, None) for reading in readings])
            seen = _watch(rng, plan, start)
            write_expressions(connection, [(row, None) for row in seen], 1000, simulated=True)
            moving = random.Random(f"{seed}/{number}/moved")  # noqa: S311 - a play of chance, no secret
            moved = [(row, None) for row in _move(moving, seen)]
            write_movements(connection, moved, 1000, simulated=True)
    return PARTICIPANTS


def seed_example_weeks(
    path: Path,
    person: Callable[[int], MeasuredPerson],
    *,
    seed: int = 1,
    now: Instant | None = None,
) -> int:
    """Write nine weeks of one simulated person, for the page of a person's week.

    Three stretches of 45 minutes a day, by this machine's clock on the wall; some are missing. The
    last week is harder than the others: heart rate and pressure are higher, and the face shows
    anger and sadness for longer. Its sessions are left out of the analysis, so that the tests stay
    those of the example study.

    Args:
        path: the database, with the example study.
        person: gives the made-up participant of a number.
        seed: another seed gives other weeks.
        now: nothing is written after it.

    Returns:
        How many sessions were written.

    Raises:
        StoreError: the database cannot be written.
    """
    now_ms = (now or clock.now()).wall_ms
    rng = random.Random(f"{seed}/weeks")  # noqa: S311 - made-up data needs no secrecy
    earlier = random.Random(f"{seed}/weeks before")  # noqa: S311 - the same
    # Of their own, so that the weeks before do not change the last two.
    measured = person(1000 * seed + PARTICIPANTS + 1)
    measured_before = person(1000 * seed + PARTICIPANTS + 1)
    with write_transaction(path) as connection:
        taken = [(one.start_ms, one.end_ms or now_ms) for one in rows.select_sessions(connection)]
        calm, hard = (
            _free_starts(rng, now_ms, taken, days) for days in (range(-13, -6), range(-6, 1))
        )
        before = _free_starts(earlier, now_ms, taken, range(-13 - _DAYS_BEFORE, -13))
        first_ms = before[0]
        rows.insert_participant(
            connection, WEEKS_CODE, Instant(boot_ms=0, wall_ms=first_ms), simulated=True
        )
        insert_past_consent(connection, WEEKS_CODE, EXAMPLE_CONSENT, first_ms)
        for start_ms in before:
            _write_stretch(
                connection, earlier, measured_before, start_ms, _ROW_BEFORE_S, is_hard=False
            )
        for start_ms in [*calm, *hard]:
            is_hard = start_ms in hard
            _write_stretch(connection, rng, measured, start_ms, _ROW_S, is_hard=is_hard)
    return len(calm) + len(hard) + len(before)


def _write_stretch(
    connection: sqlite3.Connection,
    rng: random.Random,
    person: MeasuredPerson,
    start_ms: int,
    row_s: int,
    *,
    is_hard: bool,
) -> None:
    """Write one session of everyday life, with a row every ``row_s`` seconds."""
    about = NewSession(WEEKS_CODE, Purpose.DEMONSTRATION, EVERYDAY_SESSION)
    end_ms = start_ms + _STRETCH_MS
    new = PastSession(about=about, start_ms=start_ms, end_ms=end_ms, simulated=True)
    session = insert_past_session(connection, new, purposes=list(Purpose), actor=None)
    insert(
        connection,
        "exclusion",
        session=session.id,
        reason=NOT_IN_EXAMPLE,
        made=session.end_ms,
        actor="simulated",
    )
    start = Instant(boot_ms=0, wall_ms=start_ms)
    seen, readings = _live(rng, person, start, row_s, is_hard=is_hard)
    write_expressions(connection, [(row, None) for row in seen], 1000 * row_s, simulated=True)
    write_vitals(connection, [(reading, None) for reading in readings])


def _free_starts(
    rng: random.Random, now_ms: int, taken: Sequence[tuple[int, int]], days: range
) -> list[int]:
    """Return when each stretch of some days begins, counted from today; none meets a session."""
    today = datetime.fromtimestamp(now_ms / 1000).date()  # noqa: DTZ006 - days of this machine's zone
    starts = []
    for day in days:
        for at in _STRETCHES:
            date = today + timedelta(days=day)
            start = round(datetime.combine(date, at).timestamp() * 1000)
            is_missed = rng.random() < 0.1
            while any(start < end and begin < start + _STRETCH_MS for begin, end in taken):
                start += _HOUR_MS
            if not is_missed and start + _STRETCH_MS < now_ms:
                starts.append(start)
    return starts


def _live(
    rng: random.Random, person: MeasuredPerson, start: Instant, row_s: int, *, is_hard: bool
) -> tuple[list[ExpressionRow], list[VitalReading]]:
    """Return the expressions and readings of one stretch."""
    weights = _HARD if is_hard else _CALM
    seen: list[ExpressionRow] = []
    readings: list[VitalReading] = []
    shown = Emotion.NEUTRAL
    for number in range(1, _STRETCH_MS // 1000 // row_s):
        # A face keeps an expression for a few rows.
        if rng.random() < 0.2:
            (shown,) = rng.choices(list(weights), list(weights.values()))
        mean = _expression(rng, shown, rng.uniform(0.45, 0.95))
        emotion = mean.dominant if mean.confidence >= 0.5 else None
        at = start.shift(number * row_s)
        size, quality = rng.uniform(100, 140), rng.uniform(0.6, 0.95)
        frames = rng.randint(270, 300)
        seen.append(ExpressionRow(at, 1, frames, mean, mean, emotion, size, quality, primary=True))
        person.advance(row_s, shown)
        cuff = number * row_s % _CUFF_S == 0
        readings += person.readings(at.shift(_READ_AFTER_S), heart_rate=True, pressure=cuff)
    if is_hard:
        readings = [replace(one, value=one.value + _HIGHER[one.kind]) for one in readings]
    return seen, readings


def _plan(order: tuple[Emotion, ...]) -> list[Emotion | None]:
    """Return the condition of each second of a session; ``None`` is baseline or pause."""
    plan: list[Emotion | None] = [None] * _BASELINE_S
    for condition in order:
        plan += [condition] * _STIMULUS_S + [None] * _PAUSE_S
    return plan


def _markers(plan: list[Emotion | None]) -> list[tuple[int, MarkerKind, str]]:
    """Return second, kind and label of the markers that a plan needs."""
    markers: list[tuple[int, MarkerKind, str]] = []
    # A condition begins or ends where the plan changes.
    for second, (before, after) in enumerate(itertools.pairwise(plan), start=1):
        if after is not None and before is None:
            markers.append((second, MarkerKind.STIMULUS_START, after.value))
        elif before is not None and after is None:
            markers.append((second, MarkerKind.STIMULUS_END, before.value))
    return markers


def _reports(rng: random.Random, plan: list[Emotion | None], start: Instant) -> list[SelfReport]:
    """Return the self-reports after each stimulus.

    Most participants feel what the stimulus should bring about, but not all.
    """
    reports: list[SelfReport] = []
    for second, kind, label in _markers(plan):
        if kind is not MarkerKind.STIMULUS_END:
            continue
        if rng.random() < 0.85:
            felt = Emotion(label)
        else:
            felt = rng.choice((Emotion.NEUTRAL, Emotion.SURPRISE))
        answers: dict[str, int | str] = {"emotion": felt.value}
        for scale, usual in zip(
            ("valence", "arousal"), _FEELING.get(felt, (4.5, 5.0)), strict=True
        ):
            answers[scale] = min(9, max(1, round(rng.gauss(usual, 1.2))))
        reports += (
            SelfReport(start.shift(second + after), label, scale, answers[scale])
            for scale, after in _REPORT_AFTER_S.items()
        )
    return reports


def _measure(
    person: MeasuredPerson, plan: list[Emotion | None], start: Instant
) -> list[VitalReading]:
    """Return the readings of a session.

    Heart rate comes every second, pressure in the baseline and twice in a stimulus.
    """
    readings: list[VitalReading] = []
    since = 0
    for second, condition in enumerate(plan):
        if second and condition is plan[second - 1]:
            since = since + 1
        else:
            since = 0
        person.advance(1.0, condition)
        cuff = second == _BASELINE_S - 15 or (condition is not None and since in _CUFF_AT_S)
        # Half a second after the marker of the same second, so that no reading lies on a border.
        readings += person.readings(start.shift(second + 0.5), heart_rate=True, pressure=cuff)
    return readings


def _watch(rng: random.Random, plan: list[Emotion | None], start: Instant) -> list[ExpressionRow]:
    """Return the expression of each second.

    People show what a stimulus should bring about, but not all the time.
    """
    expressive = rng.uniform(0.65, 0.95)
    seconds = []
    shown = Emotion.NEUTRAL
    sure = 0.8
    until = 0
    for second, condition in enumerate(plan):
        changed = second > 0 and condition is not plan[second - 1]
        if second >= until or changed:
            until = second + rng.randint(4, 15)
            sure = rng.uniform(0.45, 0.95)
            if condition is not None and rng.random() < expressive:
                shown = condition
            else:
                shown = Emotion.NEUTRAL
            if rng.random() < 0.05:
                shown = rng.choice(EMOTIONS)
        mean = _expression(rng, shown, rng.uniform(0.4, 0.95))
        smoothed = _expression(rng, shown, sure)
        emotion = smoothed.dominant if smoothed.confidence >= 0.5 else None
        size = rng.uniform(100, 140)
        quality = rng.uniform(0.6, 0.95)
        at = start.shift(second + 1.0)
        seconds.append(
            ExpressionRow(
                at, 1, rng.randint(13, 15), mean, smoothed, emotion, size, quality, primary=True
            )
        )
    return seconds


def _move(rng: random.Random, seen: Sequence[ExpressionRow]) -> list[MovementRow]:
    """Return the movements of each second: those of the emotions that are seen, and a head that
    sways.
    """
    turned = rng.uniform(-8, 8)
    seconds = []
    for row in seen:
        values = dict.fromkeys(NAMES, 0.0)
        for emotion, share in zip(EMOTIONS, row.mean.probabilities, strict=True):
            for name, strength in _MOVED.get(emotion, {}).items():
                values[name] += strength * share
        for name in MOVEMENTS:
            values[name] = min(1.0, max(0.0, values[name] + abs(rng.gauss(0, 0.03))))
        values |= {
            "yaw": turned + rng.gauss(0, 3),
            "pitch": rng.gauss(4, 2),
            "roll": rng.gauss(0, 2),
            "look_x": rng.gauss(0, 0.1),
            "look_y": rng.gauss(0, 0.1),
        }
        mean = tuple(None if name in WITHDRAWN else values[name] for name in NAMES)
        seconds.append(MovementRow(row.at, row.track, row.frames, mean, row.primary))
    return seconds


def _expression(rng: random.Random, shown: Emotion, top: float) -> Expression:
    """Return probabilities of which ``shown`` has ``top`` and chance divides the rest."""
    rest = [rng.random() for _ in EMOTIONS]
    # The category that is shown gets no share of the rest.
    rest[EMOTIONS.index(shown)] = 0.0
    scale = (1 - top) / sum(rest)
    return Expression(
        tuple(
            top if emotion is shown else r * scale
            for emotion, r in zip(EMOTIONS, rest, strict=True)
        )
    )
