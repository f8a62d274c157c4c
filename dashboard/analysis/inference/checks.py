"""Checks of a difference: readings left out for their flags, misread faces and mixed windows, and
time in the session. Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.analysis.conclusions import Doubt, shows
from dashboard.analysis.inference.comparison import Comparison, adjusted_p
from dashboard.analysis.inference.family import adjusted_by
from dashboard.analysis.query import (
    DOUBTS,
    TESTED_STATES,
    AnalysisQuery,
    AnyMeasure,
    Correction,
    StateBy,
    tested_state,
)
from dashboard.analysis.readings.means import Sides, StateMean, Visits, sides_of
from dashboard.analysis.readings.places import (
    PlaceDifference,
    Predecessors,
    differences_in_place,
    place_columns,
)
from dashboard.analysis.readings.states import StateReadings
from dashboard.analysis.results import (
    By,
    CarryOverModel,
    DriftModel,
    LeftOutModel,
    PeriodModel,
    ResultModel,
    WithAllModel,
)
from dashboard.statistics import ALPHA
from dashboard.statistics.distributions import Values
from dashboard.statistics.period import (
    Attenuation,
    InseparableError,
    OneWayError,
    Recall,
    TimeAdjusted,
    adjusted_for_place,
    adjusted_for_time,
    attenuation,
    drift,
    imbalance,
)
from dashboard.statistics.t_tests import Equivalence, EquivalenceBounds, Method, equivalence
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import Measure
from edge_agent.core.readings import VitalFlag
from edge_agent.core.texts import text_of
from edge_agent.timeline.read.matching import Mixture
from edge_agent.timeline.read.stimuli import SessionStimulus

MANY_MIXED = 0.25
"""From this share of mixed windows on, a difference may shrink or turn its sign."""
MATTERS = 0.25
"""From this share of a bound on, time alone may hide a difference as large as the bound."""
UNEVEN = 0.2
"""From this share of people with the same order on, a t-test without any effect errs in more than
8 % of studies (``python -m benchmarks order``), and the estimate at equal times is told first.
"""
_ROUNDING = 1e-9


def count_left_out(readings: StateReadings, query: AnalysisQuery) -> tuple[LeftOutModel, ...]:
    """Count the readings that are left out, by flag and state."""
    counts: Counter[tuple[VitalFlag, str]] = Counter()
    for group in readings.in_states():
        state = query.state_of(group.state)
        for flag in group.doubts(query.counted):
            if state is not None:
                counts[flag, state] += group.n
    return tuple(
        LeftOutModel(flag=flag, state=state, readings=counts[flag, state])
        for flag in DOUBTS
        for state in query.states
        if counts[flag, state]
    )


def with_all_of(every: ResultModel, result: ResultModel) -> WithAllModel:
    """Return a result of every reading beside the one without what is left out; it decides
    nothing.
    """
    return WithAllModel(
        n_first=every.n_first,
        n_second=every.n_second,
        difference=every.difference,
        p=every.p,
        adjusted_p=every.adjusted_p,
        conclusion=every.conclusion,
        changes=every.conclusion is not result.conclusion,
    )


@dataclass(frozen=True, slots=True)
class ClassifierByCard:
    """The classifier according to its card: its name, and its recall of each state."""

    model: str
    recalls: Mapping[Emotion, Recall]


@dataclass(frozen=True, slots=True)
class Misreading:
    """By how much misreading shrinks one difference; ``attenuation`` is ``None`` where no card says
    how often the two states are read rightly.
    """

    model: str
    attenuation: Attenuation | None


def misreading_of(
    query: AnalysisQuery, first: str, second: str, face: ClassifierByCard | None
) -> Misreading | None:
    """Return what misreading does to a difference; ``None`` where states are not observed."""
    if query.state is not StateBy.OBSERVED:
        return None
    if face is None or not {first, second} <= face.recalls.keys():
        return Misreading("" if face is None else face.model, None)
    one = face.recalls[Emotion(first)]
    other = face.recalls[Emotion(second)]
    return Misreading(face.model, attenuation(one, other))


def bounds_of(
    comparison: Comparison, declared: Equivalence | None, misread: Misreading | None
) -> Equivalence | None:
    """Return the equivalence test that decides: bounds as far in as misreading may pull a
    difference.

    A true difference of the size of the bound is observed as that times the factor: what must be
    excluded is the smaller one.
    """
    if declared is None or comparison.method is None or misread is None:
        return declared
    # No bounds are left to test against; ``doubt_of`` says why.
    if misread.attenuation is None or misread.attenuation.interval.low <= 0:
        return declared
    # The lower end of the interval: the claim must hold at the worst misreading that is plausible.
    bound = declared.bounds.high * misread.attenuation.interval.low
    return equivalence(
        comparison.first, comparison.second, comparison.method, EquivalenceBounds(-bound, bound)
    )


def doubt_of(misread: Misreading | None, mixed: Mixture | None) -> Doubt | None:
    """Return why no difference may be called excluded; ``None`` where there is no reason."""
    if misread is None:
        return None
    if too_short(mixed):
        return Doubt.TOO_SHORT
    if misread.attenuation is None:
        return Doubt.UNKNOWN_MISREADING
    if misread.attenuation.interval.low <= 0:
        return Doubt.MISREADING
    return None


def too_short(mixed: Mixture | None) -> bool:
    """Tell whether states are too short for the window."""
    if mixed is None or not mixed.stretch_ms:
        return False
    return mixed.mixed > MANY_MIXED * mixed.windows or mixed.stretch_ms < mixed.window_ms


def drift_of(kind: Measure, means: Sequence[StateMean]) -> DriftModel:
    """Estimate how a vital changes while a session lasts; without a sentence."""
    own = [mean for mean in means if mean.kind is kind]
    # Numbered in the order of codes, so that the same data give the same last digit.
    people = {code: place for place, code in enumerate(sorted({one.participant for one in own}))}
    states = sorted({mean.state for mean in own})
    change = None
    reason = ""
    try:
        change = drift(
            [people[mean.participant] for mean in own],
            [states.index(mean.state) for mean in own],
            np.array([mean.minutes for mean in own]),
            np.array([mean.mean for mean in own]),
        )
    except StatisticsError as error:
        reason = text_of(error)
    return DriftModel(
        vital=kind,
        slope=change and change.slope,
        interval=change and change.interval,
        p=change and change.p,
        people=change.people if change else 0,
        reason=reason,
        sentence="",
    )


def effect_of(
    place: tuple[AnyMeasure, str, str],
    values: tuple[Sequence[float], Sequence[float]],
    gaps: Sequence[float],
    slope: float | None,
    *,
    places: Values | None = None,
    observed: bool = False,
) -> PeriodModel:
    """Judge one paired difference; p is not adjusted yet, and there is neither sentence nor what
    came before.

    Args:
        place: what was measured, and the two states.
        values: in the first and in the second, one a participant.
        gaps: of each participant, in the same order, minutes by which the first state was met
            later than the second.
        slope: how the vital changes with each minute of the session, if that is known.
        places: as for ``adjusted_for_place``; ``None``: only a line in time can be adjusted for.
        observed: whether the states were read from the face: a gap of 0 is one of means that are at
            equal times within the session already.
    """
    first, second = values
    # The last bits of a mean are no time: which they are depends on what else was read.
    gaps = [0.0 if abs(one) < _ROUNDING else one for one in gaps]
    gap = sum(gaps) / len(gaps)
    adjusted, one_way, inseparable = _adjust_for_course(*values, gaps, places, observed=observed)
    same_way = sum(one * gap > 0 for one in gaps)
    measured = sum(first) / len(gaps) - sum(second) / len(gaps)
    kind, first_state, second_state = place
    uneven = _is_uneven(gaps, same_way) if places is None else _is_unevenly_placed(places)
    return PeriodModel(
        vital=kind,
        first=first_state,
        second=second_state,
        people=len(gaps),
        same_way=same_way,
        uneven=uneven,
        gap_minutes=gap,
        one_way=one_way,
        places=0 if places is None else places.shape[1],
        inseparable=inseparable,
        within_sessions=observed and not any(gaps),
        by_drift=None if slope is None else slope * gap,
        difference=adjusted and adjusted.difference,
        interval=adjusted and adjusted.interval,
        interval_90=adjusted and adjusted.within(0.90),
        error=adjusted and adjusted.error,
        by_time=adjusted and measured - adjusted.difference,
        slope=adjusted and adjusted.slope,
        t=adjusted and adjusted.t,
        df=adjusted and adjusted.df,
        p=adjusted and adjusted.p,
        adjusted_p=None,
        disagrees=False,
        carry_over=None,
        sentence="",
    )


def with_carry_over(
    effect: PeriodModel,
    values: tuple[Sequence[float], Sequence[float]],
    after: Mapping[str, Values],
    places: Values | None,
) -> PeriodModel:
    """Return an effect with what the state right before makes of the difference that is reported.

    Args:
        effect: of ``effect_of``.
        values: as for it.
        after: of each other state that came right before one of them, for each participant by how
            much more often it came before the first.
        places: as for ``effect_of``.
    """
    first, second = values
    difference = sum(first) / len(first) - sum(second) / len(second)
    if not effect.uneven or effect.difference is None:
        places = None
    else:
        difference = effect.difference
    left = carry_over_of(values, difference, after, places)
    return effect.model_copy(update={"carry_over": left})


def carry_over_of(
    values: tuple[Sequence[float], Sequence[float]],
    difference: float,
    after: Mapping[str, Values],
    places: Values | None,
) -> CarryOverModel | None:
    """Return what the state right before two states makes of their difference: of several that
    which takes most from it; ``None`` where none can be separated from them.

    Where anger leaves a fast heart behind and more people met neutral right after it than
    happiness, neutral seems higher. Those whom it preceded in one are set against the others.

    Args:
        values: in the first and in the second, one a participant.
        difference: of the result.
        after: as for ``with_carry_over``.
        places: as for ``effect_of`` where the result is at equal places, else ``None``.
    """
    every = []
    for name, more in after.items():
        set_apart = _without(more, values, difference, places)
        if set_apart is None:
            continue
        left, of = set_apart
        by = of - left.difference
        takes = by * of > 0 and abs(by) >= MATTERS * abs(of)
        stays = shows(left.p) and left.difference * of > 0
        model = CarryOverModel(
            state=name,
            before_first=int(np.sum(more > 0)),
            before_second=int(np.sum(more < 0)),
            difference=left.difference,
            interval=left.interval,
            p=left.p,
            moves=takes and not stays,
        )
        every.append((model.moves, by * difference, model))
    return max(every, key=lambda one: one[:2])[2] if every else None


def _without(
    more: Values,
    values: tuple[Sequence[float], Sequence[float]],
    difference: float,
    places: Values | None,
) -> tuple[TimeAdjusted, float] | None:
    """Return a difference less what came before, and the one that it is less of; ``None`` where
    too few are there, or all met the states alike.

    Where what came before follows from the places, as in a cyclic square of which one row is more
    frequent than others, nobody can tell them apart: it is set against the difference as measured.
    """
    before = more.reshape(-1, 1)
    if places is not None:
        with suppress(StatisticsError):
            return adjusted_for_place(*values, np.column_stack([places, before])), difference
        first, second = values
        difference = sum(first) / len(first) - sum(second) / len(second)
    try:
        return adjusted_for_place(*values, before), difference
    except StatisticsError:
        return None


def _adjust_for_course(
    first: Sequence[float],
    second: Sequence[float],
    gaps: Sequence[float],
    places: Values | None,
    *,
    observed: bool,
) -> tuple[TimeAdjusted | None, bool, bool]:
    """Return a difference adjusted for time or place, as far as it can be; whether all met the
    states in one order, and whether time and state cannot be separated.
    """
    one_way = inseparable = False
    adjusted = None
    try:
        if places is None:
            adjusted = adjusted_for_time(first, second, gaps, at_zero=observed)
        elif min(gaps) < 0 < max(gaps):
            adjusted = adjusted_for_place(first, second, places)
        else:
            one_way = True
    except OneWayError:
        # Gaps that are all 0 raise it as well, but then time makes no difference.
        one_way = sum(gaps) != 0
    except InseparableError:
        inseparable = True
    except StatisticsError:  # too few, or nothing left to judge by: the t-test stands alone
        pass
    return adjusted, one_way, inseparable


def _is_uneven(gaps: Sequence[float], same_way: int) -> bool:
    # For gaps of ± g this compares |2q − 1| with the bound, q
    # being the share who met the first later.
    bound = (1 + _ROUNDING) * UNEVEN * float(np.sqrt(np.mean(np.square(gaps))))
    uneven = abs(sum(gaps) / len(gaps)) > bound
    # of an odd number one is always left over
    return uneven and 2 * same_way - sum(one != 0 for one in gaps) > 1


def _is_unevenly_placed(places: Values) -> bool:
    people = len(places)
    more = people * imbalance(places)
    # of an odd number one is always left over, and the last bits of a mean are no person
    return more > (1 + _ROUNDING) * max(1.0, UNEVEN * people)


@dataclass(frozen=True, slots=True)
class InOrder:
    """The order in which the people of a comparison met its states.

    Attributes:
        places: of each participant with both states how their places in the order differ.
        before: the same of what came right before them, by its number.
        names: what these numbers are of.
    """

    places: Mapping[str, PlaceDifference]
    before: Mapping[str, PlaceDifference]
    names: Predecessors

    def after(self, people: Sequence[str], states: tuple[str, str]) -> dict[str, Values]:
        """Return for each other state, of each participant by how much more often it came right
        before the first; not those for whom it makes no difference.
        """
        more = {
            name: np.array([self.before.get(code, {}).get(number, 0.0) for code in people])
            for number, name in self.names.others(*states).items()
        }
        return {name: own for name, own in more.items() if own.any()}


def periods_of(
    family: Sequence[Comparison],
    times: Visits,
    places: Visits,
    drifts: Sequence[DriftModel],
    query: AnalysisQuery,
    after: tuple[Visits, Predecessors] | None = None,
) -> tuple[PeriodModel | None, ...]:
    """Judge each comparison, with p adjusted over those of its family; ``None`` without a paired
    test.

    Args:
        family: the tests, in order of the vitals asked for and the pairs of states.
        times: of each vital and participant the minutes since the start of each session, by state.
        places: the same of the places in the order.
        drifts: how the vitals change over the session.
        query: the question.
        after: of each vital and participant what came right before each state, by its number; and
            what the numbers are of.
    """
    slopes = {one.vital: one.slope for one in drifts}
    names = [(kind, *pair) for kind in query.vital for pair in query.pairs]
    before, names_before = after or ({}, Predecessors({}, ()))
    effects = [
        period_of(
            place,
            comparison,
            sides_of(times, *place),
            InOrder(
                differences_in_place(places, *place),
                differences_in_place(before, *place) if before else {},
                names_before,
            ),
            slopes[place[0]],
            query,
        )
        for place, comparison in zip(names, family, strict=True)
    ]
    decides = [adjusted_p(comparison.tests, query.correction) for comparison in family]
    return adjust_periods(effects, decides, query.correction, query.families)


def period_of(
    place: tuple[AnyMeasure, str, str],
    comparison: Comparison,
    times: Sides,
    order: InOrder,
    slope: float | None,
    query: AnalysisQuery,
) -> PeriodModel | None:
    """Judge one comparison, as ``effect_of``; ``None`` without a paired test.

    Args:
        place: what was measured, and the two states.
        comparison: its test.
        times: when it was measured, in minutes since the start of the session.
        order: in which its people met the states.
        slope: how it changes over the session; ``None`` where that is not known.
        query: the question.
    """
    if comparison.method is not Method.PAIRED or comparison.tests is None:
        return None
    both = sorted(times.first.keys() & times.second.keys())
    values = comparison.first, comparison.second
    places = place_columns(order.places.get(code, {}) for code in both)
    effect = effect_of(
        place,
        values,
        [times.first[code] - times.second[code] for code in both],
        slope,
        places=places,
        observed=query.state is StateBy.OBSERVED,
    )
    return with_carry_over(effect, values, order.after(both, place[1:]), places)


def adjust_periods(
    effects: Sequence[PeriodModel | None],
    decides: Sequence[float | None],
    correction: Correction,
    families: Sequence[int] = (),
) -> tuple[PeriodModel | None, ...]:
    """Adjust the p values at equal times over those of each family that could be computed, and tell
    where they come to another conclusion than the t-tests.

    Args:
        effects: what time may have to do with each difference.
        decides: adjusted p of the t-tests.
        correction: how p is adjusted.
        families: of each test the number of its family.
    """
    adjusted = adjusted_by(
        correction, [None if one is None else one.p for one in effects], families
    )
    return tuple(
        one and one.model_copy(update={"adjusted_p": own, "disagrees": _disagree(own, usual)})
        for one, own, usual in zip(effects, adjusted, decides, strict=True)
    )


def _disagree(own: float | None, usual: float | None) -> bool:
    return own is not None and usual is not None and shows(own) != shows(usual)


def hides(effect: PeriodModel | None, bound: float) -> Doubt | None:
    """Return why time in the session may hide a difference as large as a bound; ``None``: it
    cannot.

    A heart that calms down takes from a state that most people met late what the state adds. Where
    time makes a quarter of the bound or more, the 90 % interval of the difference at equal times
    must lie within the bounds, too.

    Args:
        effect: what time may have to do with the difference.
        bound: in the unit of the vital, above 0.
    """
    if effect is None:
        return None
    if effect.one_way:
        return Doubt.ONE_ORDER
    if effect.inseparable and effect.uneven:
        return Doubt.INSEPARABLE
    # The larger of two estimates: it is the claim of no difference that has to hold.
    by_time = max(abs(effect.by_drift or 0.0), abs(effect.by_time or 0.0))
    if by_time < MATTERS * bound:
        return None
    ends = effect.interval_90
    if ends is None:
        return Doubt.NO_ESTIMATE
    return None if -bound < ends.low and ends.high < bound else Doubt.REACHES_BOUND


def reaches(result: ResultModel, bound: float) -> Doubt | None:
    """Return why a difference is not excluded that the equivalence test excludes: another analysis
    than the t-test is reported, and the 90 % interval of that reaches the bound.
    """
    r = result
    if r.by not in (By.EQUAL_TIMES, By.MIXED_MODEL):
        return None
    if r.difference is None or r.error is None or r.df is None:
        return Doubt.NO_ESTIMATE
    half = float(special.stdtrit(r.df, 1 - ALPHA)) * r.error
    return Doubt.RESULT_REACHES_BOUND if abs(r.difference) + half >= bound else None


def orders_of(
    stimuli: Iterable[SessionStimulus], states: tuple[str, ...] = TESTED_STATES
) -> dict[tuple[str, ...], int]:
    """Count the participants by the order in which they first met the tested states, in their first
    such session.
    """
    # The inner dict is an ordered set: the first time that each state was met.
    by_session: defaultdict[tuple[str, int], dict[str, None]] = defaultdict(dict)
    for stimulus in stimuli:
        state = tested_state(stimulus.condition, states)
        if state is not None:
            by_session[stimulus.participant, stimulus.session].setdefault(state)
    first: dict[str, tuple[str, ...]] = {}
    for (participant, _), met in by_session.items():
        # A session with a single state has no order.
        if len(met) > 1:
            first.setdefault(participant, tuple(met))
    return dict(Counter(first.values()).most_common())
