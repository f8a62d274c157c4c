"""Motion of the wearer that differs between two states, which makes differences of what is measured
at the body. Pure.

Who moves has another heart rate, and a sensor that moves may count the movement. Motion was
recorded only where a worn sensor measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import log1p
from statistics import fmean
from typing import TypeVar

from dashboard.analysis.conclusions import Caution, MotionModel, shows
from dashboard.analysis.inference.comparison import Comparison, compare_family
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.readings.means import Sides, Visits, session_means, sides_of, visits_of
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import ComparisonModel, HeartTestModel, ResultModel, SkinTestModel
from dashboard.statistics.period import OneWayError, adjusted_for_time
from dashboard.statistics.samples import NoVariationError, TooFewError
from dashboard.statistics.t_tests import Method
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind

SMALL_MG = 2.0
"""A smaller difference is never reported: one who lies still has 3 mg."""
MUCH_MG = 27.0
"""From here on a difference that is reported has the caution whatever p is: what lies between rest
and light activity, of so few people that none is sure.
"""
_KIND = VitalKind.BODY_MOTION
T = TypeVar("T", ComparisonModel, HeartTestModel, SkinTestModel)


@dataclass(frozen=True, slots=True)
class Motion:
    """The motion of the wearers in two states.

    Attributes:
        model: what is reported of it.
        more: of each person with both states, by how many mg they moved more in the first.
    """

    model: MotionModel
    more: Mapping[str, float]


Motions = Mapping[tuple[str, str], Motion]
"""By pair of states; nothing where too few people wore a sensor that measures motion."""


def compare_motion(groups: Iterable[ReadingGroup], query: AnalysisQuery) -> Motions:
    """Compare the motion of the wearers between each pair of states, all pairs as one family.

    A few large movements make its distribution skew: logarithms of 1 mg more than the means of
    each session are compared, within people where three have both states.

    Args:
        groups: readings of motion that count, of one source in each session.
        query: states.
    """
    visits = visits_of(session_means(groups, query.states))
    sides = [sides_of(visits, _KIND, *pair) for pair in query.pairs]
    logs = [sides_of(_logarithms(visits), _KIND, *pair) for pair in query.pairs]
    comparisons = compare_family([(one.first, one.second) for one in logs], query.design)
    compared = zip(query.pairs, map(_motion_of, sides, comparisons), strict=True)
    return {pair: one for pair, one in compared if one is not None}


def _logarithms(visits: Visits) -> Visits:
    return {
        kind: {
            code: [{state: log1p(mean) for state, mean in of.items()} for of in sessions]
            for code, sessions in people.items()
        }
        for kind, people in visits.items()
    }


def _motion_of(sides: Sides, comparison: Comparison) -> Motion | None:
    if comparison.method is None or comparison.difference is None:
        return None
    one, other = sides.first, sides.second
    both = one.keys() & other.keys()
    is_paired = comparison.method is Method.PAIRED
    first = fmean(one[code] for code in (both if is_paired else one.keys() - both))
    second = fmean(other[code] for code in (both if is_paired else other.keys() - both))
    p = None if comparison.tests is None else comparison.tests.holm_p
    if p is None:  # all moved more alike: as sure as can be, or not at all
        p = 1.0 if comparison.difference == 0 else 0.0
    model = MotionModel(
        first=first,
        second=second,
        people=len(both) if is_paired else len(comparison.first) + len(comparison.second),
        p=p,
        is_unequal=abs(first - second) >= SMALL_MG and shows(p),
    )
    return Motion(model, {code: one[code] - other[code] for code in both})


def with_motion(tests: Iterable[T], motions: Motions, sides: Callable[[T], Sides]) -> tuple[T, ...]:
    """Return tests of what a movement can change with the motion in their states, and with the
    caution where that may make the difference.

    Args:
        tests: decided.
        motions: of ``compare_motion``.
        sides: returns the values that are compared.
    """
    made = []
    for one in tests:
        motion = motions.get((one.first, one.second))
        can_change = not isinstance(one, ComparisonModel) or _can_change(one.vital)
        made.append(_with_motion(one, motion, sides) if motion and can_change else one)
    return tuple(made)


def _can_change(kind: Measure) -> bool:
    return isinstance(kind, VitalKind) and kind.spec.moved


def _with_motion(one: T, motion: Motion, sides: Callable[[T], Sides]) -> T:
    is_told = any(result.shows_difference for result in (one.result, *one.others))
    explains = is_told and _explains(motion.more, sides(one))
    model = motion.model.model_copy(update={"explains": explains})
    update: dict[str, object] = {
        "motion": model,
        "result": _add_caution(one.result, model),
        "others": tuple(_add_caution(result, model) for result in one.others),
    }
    if isinstance(one, ComparisonModel) and one.bayes_factor is not None:
        factor = one.bayes_factor
        codes = _codes_with_caution(factor.caution_codes, _applies(model, is_told))
        update["bayes_factor"] = factor.model_copy(update={"caution_codes": codes})
    return one.model_copy(update=update)


def _add_caution(result: ResultModel, motion: MotionModel) -> ResultModel:
    if result.by is None:
        return result
    applies = _applies(motion, result.shows_difference)
    codes = _codes_with_caution(result.caution_codes, applies)
    return result.model_copy(update={"caution_codes": codes})


def _applies(motion: MotionModel, is_told: bool) -> bool:
    """Tell whether motion is a caution of a result, by whether that tells a difference."""
    is_much = abs(motion.first - motion.second) >= MUCH_MG
    return motion.is_unequal or (is_told and (motion.explains or is_much))


def _codes_with_caution(codes: tuple[Caution, ...], applies: bool) -> tuple[Caution, ...]:
    return (*codes, Caution.MOTION) if applies else codes


def _explains(more: Mapping[str, float], sides: Sides) -> bool:
    """Tell whether people who moved more differ more, and no difference is left at equal motion."""
    codes = sorted(more.keys() & sides.first.keys() & sides.second.keys())
    first, second = ([side[code] for code in codes] for side in (sides.first, sides.second))
    try:
        # a line in what is not alike, be it minutes or mg
        at_equal = adjusted_for_time(first, second, [more[code] for code in codes])
    except (TooFewError, OneWayError):
        return False
    except NoVariationError:
        return True
    return shows(at_equal.slope_p) and not shows(at_equal.p)
