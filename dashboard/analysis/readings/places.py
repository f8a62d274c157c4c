"""The place of each state in the order of a session, and what came right before it, which are
adjusted for where each state came once. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dashboard.analysis.query import StateBy, same_label, tested_state
from dashboard.analysis.readings.means import SessionMean, Visits
from dashboard.statistics.distributions import Values
from edge_agent.core.measures import Measure
from edge_agent.timeline.read.stimuli import SessionStimulus

Places = Mapping[tuple[int, str], int]
"""Of a session and a state as which number it came, from 1."""
PlaceDifference = Mapping[int, float]
"""Of one person, for each place, by how many of the sessions' share the first state had it more
often than the second.
"""
_CONDITION = "condition "


class Predecessors(NamedTuple):
    """States and conditions right before each state of each session.

    Attributes:
        numbers: of a session and a state the number of its predecessor in ``names``, from 1.
        names: states, and conditions that are not compared.
    """

    numbers: Places
    names: tuple[str, ...]

    def others(self, *states: str) -> dict[int, str]:
        """Return the names by their numbers, without those of states that are compared."""
        return {number: name for number, name in enumerate(self.names, 1) if name not in states}


def places_of(
    stimuli: Iterable[SessionStimulus],
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
    return {
        (session, name): place
        for session, names in _met_once(stimuli, states, by, made_up).items()
        # a dict keeps the order in which its keys came first
        for place, name in enumerate(dict.fromkeys(names), 1)
    }


def predecessors_of(
    stimuli: Iterable[SessionStimulus],
    states: tuple[str, ...],
    by: StateBy = StateBy.CONDITION,
    *,
    made_up: Collection[int] = (),
) -> Predecessors:
    """Return what came right before each state, where it first came; as ``places_of``.

    A condition that comes back and is not compared, such as a pause, is none: what came before it
    is. Neither is one before which nothing ever came, which tells no more than the place.
    """
    before: dict[tuple[int, str], str] = {}
    for session, names in _met_once(stimuli, states, by, made_up).items():
        once = [name for name in names if name in states or names.count(name) == 1]
        for last, name in pairwise(once):
            if last != name:
                before.setdefault((session, name), last)
        if once:  # a state with which the session began has none, if it comes back, too
            before.pop((session, once[0]), None)
    follow = {name for _, name in before}
    every = sorted({last for last in before.values() if last in follow})
    numbers = {place: every.index(last) + 1 for place, last in before.items() if last in follow}
    return Predecessors(numbers, tuple(name.removeprefix(_CONDITION) for name in every))


def _met_once(
    stimuli: Iterable[SessionStimulus],
    states: tuple[str, ...],
    by: StateBy,
    made_up: Collection[int],
) -> Mapping[int, list[str]]:
    """Return what was met in each session in its order; nothing where most return to a state."""
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
    return {} if 2 * sum(map(_comes_back, with_order)) > len(with_order) else met


def _name(stimulus: SessionStimulus, states: tuple[str, ...], by: StateBy) -> str:
    reported = stimulus.reported if by is StateBy.REPORTED else None
    label = reported or stimulus.condition
    tested = tested_state(label, states) if reported or by is StateBy.CONDITION else None
    # a condition that is called like a state is not what was reported
    return tested or f"{'' if reported else _CONDITION}{same_label(label)}"


def _comes_back(names: Collection[str]) -> bool:
    """Tell whether a state is met again after another one."""
    stretches = 1 + sum(one != other for one, other in pairwise(names))
    return stretches > len(set(names))


def with_places(
    means: Iterable[SessionMean],
    places: Places,
    state_of: Callable[[SessionMean], str] = lambda mean: mean.state,
    after: Places | None = None,
) -> tuple[SessionMean, ...]:
    """Return the means with the place at which their state came, and with what came before it.

    Args:
        means: of sessions and states.
        places: of ``places_of``.
        after: numbers of ``predecessors_of``.
        state_of: what ``places`` calls the state of a mean.
    """
    return tuple(
        replace(
            mean,
            place=places.get((mean.session, state_of(mean)), 0),
            after=(after or {}).get((mean.session, state_of(mean)), 0),
        )
        for mean in means
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
