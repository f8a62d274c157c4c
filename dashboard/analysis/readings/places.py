"""The place of each state in the order of a session: what is adjusted for where each state came
once. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dashboard.analysis.query import StateBy, same_label, tested_state
from dashboard.analysis.readings.means import SessionMean, Visits
from dashboard.statistics.distributions import Values
from edge_agent.core.measures import Measure
from edge_agent.timeline.read.stimuli import Stimulus

Places = Mapping[tuple[int, str], int]
"""Of a session and a state as which number it came, from 1."""
PlaceDifference = Mapping[int, float]
"""Of one person, for each place, by how many of the sessions' share the first state had it more
often than the second.
"""


def places_of(
    stimuli: Iterable[Stimulus],
    states: tuple[str, ...],
    by: StateBy = StateBy.CONDITION,
    *,
    made_up: Collection[int] = (),
) -> Places:
    """Number the states of each session in the order in which they were first met.

    Every stimulus counts, tested or not, since time passes in it. None by observed emotion, where
    most sessions have a state that comes back, and in a session whose times are made up: the order
    says nothing of time there.

    Args:
        stimuli: in order of session and time, those left out as well.
        states: those that are compared.
        by: whether a stimulus has the state of its condition, or the one that was reported.
        made_up: the sessions whose times are.
    """
    if by is StateBy.OBSERVED:
        return {}
    met: defaultdict[int, list[str]] = defaultdict(list)
    for one in stimuli:
        if one.session not in made_up:
            met[one.session].append(_name(one, states, by))
    with_order = [
        tested
        for names in met.values()
        if len(set(tested := [name for name in names if name in states])) > 1
    ]
    if 2 * sum(map(_comes_back, with_order)) > len(with_order):
        return {}
    return {
        (session, name): place
        for session, names in met.items()
        # a dict keeps the order in which its keys came first
        for place, name in enumerate(dict.fromkeys(names), 1)
    }


def _name(stimulus: Stimulus, states: tuple[str, ...], by: StateBy) -> str:
    reported = stimulus.reported if by is StateBy.REPORTED else None
    label = reported or stimulus.condition
    tested = tested_state(label, states) if reported or by is StateBy.CONDITION else None
    # a condition that is called like a state is not what was reported
    return tested or f"{'' if reported else 'condition '}{same_label(label)}"


def _comes_back(names: Collection[str]) -> bool:
    """Tell whether a state is met again after another one."""
    stretches = 1 + sum(one != other for one, other in pairwise(names))
    return stretches > len(set(names))


def with_places(
    means: Iterable[SessionMean],
    places: Places,
    state_of: Callable[[SessionMean], str] = lambda mean: mean.state,
) -> tuple[SessionMean, ...]:
    """Return the means with the place at which their state came.

    Args:
        means: of sessions and states.
        places: of ``places_of``.
        state_of: what ``places`` calls the state of a mean.
    """
    return tuple(
        replace(mean, place=places.get((mean.session, state_of(mean)), 0)) for mean in means
    )


def differences_in_place(
    places: Visits, kind: Measure, first: str, second: str
) -> dict[str, PlaceDifference]:
    """Return of each participant with both states in a session how their places differ, averaged
    over such sessions as ``sides_of`` averages their values.
    """
    differences: dict[str, PlaceDifference] = {}
    for code, own in places.get(kind, {}).items():
        both = [session for session in own if first in session and second in session]
        differs: Counter[int] = Counter()
        for session in both:
            differs[int(session[first])] += 1
            differs[int(session[second])] -= 1
        if both:
            differences[code] = {
                place: n / len(both) for place, n in differs.items() if place and n
            }
    return differences


def place_columns(people: Iterable[PlaceDifference]) -> Values | None:
    """Return a row for each person and a column for each place; ``None`` where nobody has one."""
    rows = list(people)
    every = sorted({place for row in rows for place in row})
    if not every:
        return None
    return np.array([[row.get(place, 0.0) for place in every] for row in rows])
