"""Made studies whose variances lie at, near and far from 0, for the mixed model and R's lme4.

Drawn by `RandomState`, whose numbers NumPy keeps the same in every release.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dashboard.statistics.mixed_model import MixedModel, mixed_model
from tests.support.statistics.known_mixed_models import Reading

STATES = ("neutral", "anger", "happiness")


class Kind(NamedTuple):
    """A kind of study: standard deviations of people, sessions, reactions (or none) and rest."""

    studies: int
    people: int
    sessions: int
    deviations: tuple[float, float, float | None, float]
    missing: float = 0.0


KINDS = {
    "small variances": Kind(60, 24, 2, (2, 2, None, 5)),
    "small variances and reactions": Kind(36, 24, 2, (2, 2, 2, 5)),
    "nobody differs": Kind(36, 24, 2, (0, 0, None, 5)),
    "nobody differs or reacts": Kind(30, 24, 2, (0, 0, 0, 5)),
    "large variances": Kind(36, 24, 2, (40, 20, None, 1)),
    "large variances and reactions": Kind(24, 24, 2, (40, 20, 10, 1)),
    "missing states": Kind(36, 12, 3, (3, 1, None, 4), 0.3),
    "missing states and reactions": Kind(36, 12, 3, (3, 1, 1, 4), 0.3),
    "six people": Kind(24, 6, 2, (3, 0, 1, 3), 0.2),
}
"""318 studies; with missing states the sessions are of unequal number and length, too."""


def studies() -> Iterator[tuple[int, str, list[Reading], bool]]:
    """Return number, kind, readings, and whether reactions have a variance, of each study."""
    number = 0
    for name, kind in KINDS.items():
        for _ in range(kind.studies):
            yield number, name, drawn(number, kind), kind.deviations[2] is not None
            number += 1


def drawn(number: int, kind: Kind) -> list[Reading]:
    """Draw one study, in which anger adds 2 to the value."""
    draw = np.random.RandomState(number)
    person, session, reaction, rest = kind.deviations
    rows = []
    for who in range(kind.people):
        level = draw.normal(0, person)
        own = draw.normal(0, reaction or 0, 3)
        fewer = kind.missing and draw.uniform() < 0.3
        for visit in range(1 if fewer else kind.sessions):
            there = level + draw.normal(0, session)
            for place, state in enumerate(draw.permutation(3)):
                if draw.uniform() < kind.missing:
                    continue
                for again in range(2 if kind.missing and draw.uniform() < 0.2 else 1):
                    value = 70 + there + own[state] + 2 * (state == 1) + draw.normal(0, rest)
                    at = 5.0 * place + again
                    rows.append((who, visit, STATES[state], at, round(value, 3)))
    return rows


def model_of(readings: Sequence[Reading], *, reactions: bool = False) -> MixedModel:
    """value ~ state + minute + (1 | participant / session), and (1 | participant : state)."""
    effects = {state: [float(reading[2] == state) for reading in readings] for state in STATES[1:]}
    return mixed_model(
        [reading[4] for reading in readings],
        {**effects, "minute": [reading[3] for reading in readings]},
        [reading[0] for reading in readings],
        [reading[1] for reading in readings],
        [reading[2] for reading in readings] if reactions else None,
    )
