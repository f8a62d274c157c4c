"""Figures of the week of a patient at home whom a nurse visits, by each evidence asked for.

    python -m benchmarks nurse_walk   (python -m benchmarks.simulated.nurse_walk)

Two made-up people of the benchmark ``attribution`` go through the real tracker, attribution,
recording intervals and a standing session's database: the patient, who looks neutral, sits in the
chair for 3 min; an angry nurse stands beside, nearer to the camera, for 1 min; the patient leaves
after another minute; 10 s later the nurse sits down in the chair for 3 min; 10 s after she left the
patient is back for 2 min; then the nurse stands beside for 2 min more. Where a press is asked for,
the patient presses 1 s after each return.

Figures, of 12 min 20 s, in seconds:
    walk_distress_…    distress that the patient's week states; the patient showed none
    walk_not_known_…   for which the week and the letter say that it is not known whose face it was
    walk_calm_…        in which the patient's week states another expression; the patient was in
                       view for 540 s
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from benchmarks._command import benchmark
from benchmarks.simulated.attribution import MIDDLE, PARTICIPANT, VISITOR, Stand, recognitions
from dashboard.questions.week.words import weeks_in_words
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion, ExpressionRow, Whose
from edge_agent.core.standing import Schedule, daily_hours
from edge_agent.core.study import Purpose
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study import rows, standing
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.inserts import write_expressions
from edge_agent.timeline.write.recorder import Intervals

CODE = "P-01"
DAY = date(2026, 9, 21)
SECONDS = 740
EVIDENCE: tuple[Whose, ...] = ("leading", "seat", "alone", "declared")
_PATIENT = Stand(PARTICIPANT, MIDDLE)
_IN_CHAIR = Stand(VISITOR, MIDDLE)
_BESIDE = Stand(VISITOR, 0.96, 0.28)
_WALK: tuple[tuple[float, list[Stand]], ...] = (
    (180, [_PATIENT]),
    (240, [_PATIENT, _BESIDE]),
    (300, [_PATIENT]),
    (310, []),
    (490, [_IN_CHAIR]),
    (500, []),
    (620, [_PATIENT]),
    (SECONDS, [_PATIENT, _BESIDE]),
)
"""Until when, in seconds, who stands where."""
_SHOWN = {PARTICIPANT: Emotion.NEUTRAL, VISITOR: Emotion.ANGER}


def walk(at_s: float) -> list[Stand]:
    """Return who is in view at a time."""
    return next(here for until_s, here in _WALK if at_s < until_s)


def record_walk(folder: Path, whose: Whose) -> Path:
    """Record the walk as a standing session; return the database.

    Args:
        folder: an empty one.
        whose: the evidence that is asked for.
    """
    database = folder / DATABASE_NAME
    migrate(database)
    start = Instant(1, round(datetime.combine(DAY, time(9), UTC).timestamp() * 1000))
    schedule = Schedule("standing 1", daily_hours(range(1, 8), "08:00", "21:00"), Purpose.PERSONAL)
    study = Study(database)
    with write_transaction(database) as connection:
        rows.insert_participant(connection, CODE, start)
        rows.insert_consent(connection, CODE, "1", start)
        standing.agree(connection, CODE, schedule, start)
    study.keep_standing(start, camera_on=True, zone=UTC)
    with write_transaction(database) as connection:
        recorded = [(row, None) for row in _rows(whose, start)]
        write_expressions(connection, recorded, 1000, simulated=False)
    study.end_session(start.shift(SECONDS))
    return database


def _rows(whose: Whose, start: Instant) -> Iterator[ExpressionRow]:
    intervals = Intervals(1.0)
    presses = whose == "declared"
    seen = recognitions(walk, whose, 0, seconds=SECONDS, presses=presses, shown=_SHOWN)
    for recognition, _ in seen:
        at = start.shift(recognition.at.boot_ms / 1000)
        moved = replace(recognition, at=at)
        yield from (row for row in intervals.add(moved) if isinstance(row, ExpressionRow))


def measure(folder: Path) -> dict[str, float]:
    """Return the figures."""
    figures: dict[str, float] = {}
    for whose in EVIDENCE:
        place = folder / whose
        place.mkdir()
        (week,) = weeks_in_words(record_walk(place, whose), CODE, DAY, None)
        distress_ms = week.model.figures[0].value or 0.0
        figures[f"walk_distress_{whose}_s"] = distress_ms / 1000
        figures[f"walk_not_known_{whose}_s"] = week.model.faces.not_known_s
        figures[f"walk_calm_{whose}_s"] = (week.model.face_ms - distress_ms) / 1000
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure)
