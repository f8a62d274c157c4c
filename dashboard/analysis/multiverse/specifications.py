"""Which sets of choices a question has: the declared one first. Pure.

A choice that changes nothing in the data at hand is none: counted, it would make a result look
surer than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from dashboard.analysis.readings import ReadingGroup
from dashboard.analysis.results import Analysis
from dashboard.analysis.sensitivity import MatchingChoice, SettlingChoice
from dashboard.analysis.states import Design
from dashboard.analysis.study.mixed import Main
from edge_agent.core.readings import UNUSABLE, VitalFlag

Choice = MatchingChoice | SettlingChoice
"""By what readings come to their state."""


class Way(StrEnum):
    """How two states are compared."""

    T_TEST = "t_test"
    EQUAL_TIMES = "equal_times"
    MIXED_MODEL = "mixed_model"


class Visit(StrEnum):
    """Which sessions of a person count."""

    ALL = "all"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Data:
    """Which readings count, and how.

    Attributes:
        choice: window and lags, or settling times.
        counted: the flags of doubt whose readings count all the same.
        visit: which sessions of a person.
    """

    choice: Choice
    counted: frozenset[VitalFlag]
    visit: Visit


@dataclass(frozen=True, slots=True)
class Specification:
    """One set of choices: the readings, and how their means are compared."""

    data: Data
    way: Way


@dataclass(frozen=True, slots=True)
class Plan:
    """Every set of choices: all ways for all data, the declared one first of both."""

    data: tuple[Data, ...]
    ways: tuple[Way, ...]

    @property
    def size(self) -> int:
        """How many sets of choices there are."""
        return len(self.data) * len(self.ways)


def plan_of(declared: Analysis, groups: Mapping[Choice, Sequence[ReadingGroup]]) -> Plan:
    """Return the choices that differ for these data.

    Args:
        declared: what the question comes to.
        groups: for each window with its lags, or each settling time, the readings in the states,
            whatever their flags; the declared one first.
    """
    different: dict[Choice, Sequence[ReadingGroup]] = {}
    for choice, own in groups.items():
        if own not in different.values():
            different[choice] = own
    every = next(iter(different.values()))
    visits = [Visit.ALL]
    if len({(group.participant, group.session) for group in every}) > len(
        {group.participant for group in every}
    ):
        visits.append(Visit.FIRST)
    data = product(different, _flags(declared, every), visits)
    return Plan(tuple(Data(*one) for one in data), _ways(declared))


def _flags(declared: Analysis, groups: Sequence[ReadingGroup]) -> list[frozenset[VitalFlag]]:
    """Return which flags of doubt may count: as declared, none and all, as far as they differ."""
    present = frozenset[VitalFlag]().union(*(group.flags & UNUSABLE for group in groups))
    counted = declared.query.counted
    different = {one & present: one for one in (frozenset(UNUSABLE), frozenset(), counted)}
    return [counted, *(one for one in different.values() if one & present != counted & present)]


def _ways(declared: Analysis) -> tuple[Way, ...]:
    """Return how states can be compared: the main analysis first.

    The test at equal times needs somebody who met the states the other way round; the mixed model
    is for people with several sessions or missing states, and for who declared no design.
    """
    ways = [Way.T_TEST]
    if any(test.period and test.period.adjusted for test in declared.family):
        ways.append(Way.EQUAL_TIMES)
    calls = any(one.design.repeated or one.design.incomplete for one in declared.models)
    if calls and declared.query.design is Design.AUTO:
        ways.append(Way.MIXED_MODEL)
    if declared.main is Main.MIXED_MODEL:
        ways.sort(key=lambda way: way is not Way.MIXED_MODEL)
    return tuple(ways)
