"""How often a person's week is said to be higher or lower than usual where nothing has changed.

    python -m benchmarks week      (python -m benchmarks.simulated.week --json [--studies N])

Each made-up person has nine weeks. The heart rate is 10 /min higher by day than by night (largest
at three in the afternoon), people, weeks and days differ by chance (standard deviations 8, 1.5 and
3 /min), and so do the hours of a day (3). Figures are shares of the people whose last week is said
to be higher or lower; the share of those that are not compared at all stands beside them:

    week_false_alike             each week is recorded alike, a reading a minute
    week_false_no_nights         in the last week nothing is recorded from 22 to 7
    week_false_only_nights       in it only those hours are recorded
    week_false_mornings          in it only the hours from 6 to 12
    week_false_three_days        in it only three days, two of them without nights
    week_false_odd_hours         in it hours are recorded by chance, three in ten of those at night
    week_false_cuff              eight weeks with two readings of a cuff a day (deviation 8), of
                                 which the last one has no reading on three mornings
    week_uncompared_no_nights …  of these the share that is not compared
    week_found_no_nights         9 /min more in a week without nights
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import numpy.typing as npt

from benchmarks._command import benchmark
from dashboard.questions.week.answer import PARTS, DayModel, PartOfDay, Parts, PlainMeanModel
from dashboard.questions.week.usual import ReadingWays, figures_of
from edge_agent.core.vitals import VitalKind

Reals = npt.NDArray[np.float64]
Design = Callable[[np.random.Generator, Reals], Reals]
WEEKS = 9
HOURS = np.arange(24)
NIGHT = (HOURS >= 22) | (HOURS < 7)
PART = (np.searchsorted(PARTS, HOURS, side="right") - 1) % len(PARTS)
KIND = VitalKind.HEART_RATE


def alike(_: np.random.Generator, counts: Reals) -> Reals:
    """Return the readings of the days and hours of a week as they are."""
    return counts


def no_nights(_: np.random.Generator, counts: Reals) -> Reals:
    """Leave the hours of the night out."""
    return counts * ~NIGHT


def only_nights(_: np.random.Generator, counts: Reals) -> Reals:
    """Leave the hours of the day out."""
    return counts * NIGHT


def mornings(_: np.random.Generator, counts: Reals) -> Reals:
    """Leave all but the hours from 6 to 12 out."""
    return counts * ((HOURS >= 6) & (HOURS < 12))


def three_days(rng: np.random.Generator, counts: Reals) -> Reals:
    """Leave four days out, and two nights of the others."""
    days = np.zeros((7, 1))
    days[rng.choice(7, 3, replace=False)] = 1
    nights = np.ones((7, 24))
    nights[np.flatnonzero(days[:, 0])[:2]] = ~NIGHT
    return np.asarray(counts * days * nights, np.float64)


def odd_hours(rng: np.random.Generator, counts: Reals) -> Reals:
    """Leave hours out by chance, more of the night."""
    return np.asarray(counts * (rng.random((7, 24)) < np.where(NIGHT, 0.3, 0.9)), np.float64)


def evenings(_: np.random.Generator, counts: Reals) -> Reals:
    """Leave a cuff's readings of three mornings out."""
    kept = counts.copy()
    kept[:3, :12] = 0
    return kept


def _week(rng: np.random.Generator, level: float, counts: Reals, noise: float) -> Parts:
    """Return a week of readings, so many at each hour of seven days."""
    true = level + 5 * np.cos((HOURS - 15) / 12 * np.pi) + rng.normal(0, 1.5)
    values = true + rng.normal(0, 3, (7, 1)) + rng.normal(0, 3, (7, 24))
    values += noise * rng.normal(size=(7, 24))
    parts = []
    for part in range(len(PARTS)):
        n = float(counts[:, part == PART].sum())
        total = float((counts * values)[:, part == PART].sum())
        open_ms = 3_600_000 * int((counts[:, part == PART] > 0).sum())
        parts.append(PartOfDay(mean=total / n if n else 0.0, n=round(n), open_ms=open_ms))
    return {KIND: parts}


def _period(parts: Parts) -> DayModel:
    n = sum(one.n for one in parts[KIND])
    mean = sum(one.mean * one.n for one in parts[KIND]) / n
    day = date(2026, 11, 22)
    return DayModel(
        first=day,
        last=day,
        start=0,
        end=1,
        recorded_days=7,
        session_ms=1,
        face_ms=0,
        emotions={},
        vitals={KIND: PlainMeanModel(mean=mean, n=n)},
        simulated=True,
    )


def _told(
    design: Design, people: int, *, cuff: bool = False, more: float = 0.0
) -> tuple[float, float]:
    """Return the share of the people whose week is said to differ, and of those not compared."""
    rng = np.random.default_rng(20_261_201)
    differs, uncompared = 0, 0
    for _ in range(people):
        level = rng.normal(70, 8)
        every = np.full((7, 24), 60.0)
        if cuff:
            every = np.zeros((7, 24))
            every[:, [8, 20]] = 1
        last = _week(rng, level + more, design(rng, every), 8.0 * cuff)
        before = [_week(rng, level, every, 8.0 * cuff) for _ in range(WEEKS - 1)]
        weeks = [last, *before]
        figure = figures_of(_period(last), [*map(_period, before)], ReadingWays(), weeks)[1]
        differs += figure.change in ("higher", "lower")
        uncompared += figure.change is None
    return differs / people, uncompared / people


def measure(studies: int) -> dict[str, float]:
    """Return all figures over so many people of each design."""
    designs = {
        "_alike": alike,
        "_no_nights": no_nights,
        "_only_nights": only_nights,
        "_mornings": mornings,
        "_three_days": three_days,
        "_odd_hours": odd_hours,
    }
    figures: dict[str, float] = {}
    for name, design in designs.items():
        told, uncompared = _told(design, studies)
        figures |= {f"week_false{name}": told, f"week_uncompared{name}": uncompared}
    told, uncompared = _told(evenings, studies, cuff=True)
    figures |= {"week_false_cuff": told, "week_uncompared_cuff": uncompared}
    return figures | {"week_found_no_nights": _told(no_nights, studies, more=9.0)[0]}


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(2000, "simulated people of each design"))
