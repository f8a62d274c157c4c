"""Readings lost more in one state than in another, or measured worse there, which makes differences
that do not exist. Pure.

Where a sensor loses what is high, and more is high or more of it is lost in one state, the mean of
what is left is lower there. What was lost is not known, but how much was: readings in doubt, which
are in no mean, and those that never came. How many should have come follows, in this order, from
the number that most people have in that state, where readings are few: somebody planned it; else
from how often the same source gave one in the other states of the session.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from statistics import fmean, median_high
from typing import NamedTuple, TypeVar

from dashboard.analysis.conclusions import Beside, DoubtedModel, LostModel, StatedErrorsModel, shows
from dashboard.analysis.inference.heart import StateRecording
from dashboard.analysis.inference.measures import Visit
from dashboard.analysis.inference.skin import SkinTime
from dashboard.analysis.query import AnalysisQuery, HeartMeasure, StateBy
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import ComparisonModel, HeartTestModel, SkinTestModel
from dashboard.statistics import MINIMUM
from dashboard.statistics.corrections import holm
from dashboard.statistics.heart import ArtefactError
from dashboard.statistics.samples import NoVariationError, TooShortError
from dashboard.statistics.t_tests import paired_t, welch_t
from edge_agent.core.measures import Measure
from edge_agent.core.readings import DOUBTED, UNUSABLE
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.stimuli import SessionStimulus
from edge_agent.timeline.study.exclusions import outside_stretches

MANY = 0.1
"""Share lost on a side from which a difference is reported whatever its p: people lose so
differently then that none is sure, and the mean of nine tenths of the readings can lie a fifth of
their standard deviation from that of all.
"""
APART = 0.02
"""The difference that is reported there."""
MOST = 0.2
"""Share lost on a side from which any difference is reported: what is lost need not be alike."""
SMALL = 0.01
"""A smaller one is never reported: rounding of the seconds of a state makes as much."""
ENOUGH = 10
"""Readings that a state must be long enough for, so that the share of those that never came tells
of a loss by itself. Of fewer, chance makes large shares: there p decides alone.
"""
LEAST = 1
"""Readings that a state must be long enough for, so that p can decide."""
PLANNED = 0.75
"""Share of the sessions that have the same few readings in a state, from which that number was
planned.
"""
SOME = 0.25
"""Share of the sessions that reach what was planned, where others lost some of it."""
OFF = 1 / 3
"""Part of what the length of a state would give by which, and by one, its readings differ from it
where their number was planned.
"""
MOST_ADDED = 3.0
"""Mean square of differences between neighbouring intervals that errors of beats add, in those of
intervals; independent ones of the intervals add two.
"""
ADDED = 0.04
"""Share of the square of RMSSD from which errors that differ are reported: RMSSD differs by 2 %."""
_ROUNDING = 1e-9
Losses = Mapping[str, "StateLoss"]
"""By participant."""
Seconds = Mapping[tuple[int, str, Measure], float]
"""By session, state and measure."""
Counts = defaultdict[tuple[str, int], dict[str, tuple[float, float]]]
"""By participant and session of each state how many readings are usable, and how many there are;
of intervals between beats their seconds.
"""
Pair = tuple[Losses, Losses]
T = TypeVar("T", ComparisonModel, HeartTestModel, SkinTestModel)
S = TypeVar("S", LostModel, DoubtedModel)
Comparing = Callable[[Sequence[Pair]], list[S | None]]


class StateLoss(NamedTuple):
    """Loss of somebody in a state.

    Attributes:
        share: of the readings, at most 1; below 0 where more came than were expected.
        sure: the part of it that chance does not make: without what never came of few readings.
    """

    share: float
    sure: float


def compare_losses(pairs: Sequence[Pair]) -> list[LostModel | None]:
    """Compare what is lost on both sides of each pair, all pairs as one family.

    Within people where three have both sides, else between them; ``None`` where too few people have
    anything.
    """
    return _compare_shares(pairs, LostModel, MANY)


def compare_doubts(pairs: Sequence[Pair]) -> list[DoubtedModel | None]:
    """Compare which share of the readings that count their device doubts, as ``compare_losses``;
    ``None`` where it doubts none. It is in the means: only a fifth or a difference is a caution.
    """
    every = _compare_shares(pairs, DoubtedModel, MOST)
    return [one if one is not None and one.first + one.second > 0 else None for one in every]


def _compare_shares(pairs: Sequence[Pair], table: type[S], many: float) -> list[S | None]:
    compared = [_comparison_of(*one, many) for one in pairs]
    adjusted = iter(holm([one.p for one in compared if one is not None]))
    return [None if one is None else _with_verdict(one, next(adjusted), table) for one in compared]


class _Compared(NamedTuple):
    """Two sides before p is adjusted; ``is_much``: what is surely lost is a caution whatever p."""

    first: float
    second: float
    people: int
    p: float
    is_much: bool


def _comparison_of(first: Losses, second: Losses, many: float) -> _Compared | None:
    both = sorted(first.keys() & second.keys())
    is_paired = len(both) >= MINIMUM
    sides = [
        [side[code] for code in (both if is_paired else sorted(side))] for side in (first, second)
    ]
    one, other = ([lost.share for lost in side] for side in sides)
    if min(len(one), len(other)) < MINIMUM:
        return None
    sure = [fmean(lost.sure for lost in side) for side in sides]
    try:
        p = (paired_t if is_paired else welch_t)(one, other).p
    except NoVariationError:  # all lost alike: as sure as can be, or nothing at all
        p = 1.0 if fmean(one) == fmean(other) else 0.0
    lost, apart = max(sure), abs(sure[0] - sure[1])
    return _Compared(
        first=fmean(one),
        second=fmean(other),
        people=len(both) if is_paired else len(one) + len(other),
        p=p,
        is_much=lost >= MOST or (lost >= many and apart >= APART),
    )


def _with_verdict(one: _Compared, p: float, table: type[S]) -> S:
    is_apart = abs(one.first - one.second) >= SMALL and shows(p)
    return table(
        # Means over people of what chance adds and takes away may be below 0.
        first=max(0.0, one.first),
        second=max(0.0, one.second),
        people=one.people,
        p=p,
        is_unequal=one.is_much or is_apart,
    )


def seconds_of(
    stimuli: Iterable[SessionStimulus],
    query: AnalysisQuery,
    kinds: Collection[Measure],
    left_out: Mapping[int, Sequence[tuple[int, int]]],
    forever_ms: int,
) -> Seconds:
    """Return how long each state lasted in each session, without the time in which a measure
    settles; nothing of a session with a stimulus that still goes on.

    Args:
        stimuli: of all sessions.
        query: states and settling times.
        kinds: measures.
        left_out: by session, stretches in no test, in order.
        forever_ms: the end of what goes on.
    """
    seconds: defaultdict[tuple[int, str, Measure], float] = defaultdict(float)
    every = list(stimuli)
    still_open = {one.session for one in every if one.end_ms >= forever_ms}
    for one in every:
        label = one.reported if query.state is StateBy.REPORTED else one.condition
        state = query.state_of(label or "")
        if state is None or one.session in still_open:
            continue
        began_ms = one.start_ms if one.began_ms is None else one.began_ms
        for kind in kinds:
            start_ms = max(one.start_ms, began_ms + round(1000 * query.settling_s(kind)))
            spans = outside_stretches(start_ms, one.end_ms, left_out.get(one.session, ()))
            seconds[one.session, state, kind] += sum(end - first for first, end in spans) / 1000
    return seconds


def losses_in_states(
    groups: Iterable[ReadingGroup], query: AnalysisQuery, seconds: Seconds
) -> dict[Measure, dict[str, dict[str, StateLoss]]]:
    """Return of each measure and state which share each person lost, a mean over their sessions.

    Args:
        groups: readings of the question, whatever their flags, of one source in each session.
        query: states, and the flags that count.
        seconds: of ``seconds_of``; nothing where the length of a state is not known, as that of an
            observed one: readings in doubt alone are counted then.
    """
    every: defaultdict[Measure, Counts] = defaultdict(lambda: defaultdict(dict))
    for group in groups:
        state = query.state_of(group.state)
        if state is not None:
            own = every[group.kind][group.participant, group.session]
            usable, n = own.get(state, (0.0, 0.0))
            sound = 0 if group.doubts(query.counted) else group.n
            own[state] = (usable + sound, n + group.n)
    return {kind: _by_state(counts, query, seconds, kind) for kind, counts in every.items()}


def doubts_in_states(
    groups: Iterable[ReadingGroup], query: AnalysisQuery
) -> dict[Measure, dict[str, dict[str, StateLoss]]]:
    """Return of each measure and state which share of each person's readings their device doubts, a
    mean over their sessions.

    Args:
        groups: readings that count.
        query: states.
    """
    every: defaultdict[Measure, Counts] = defaultdict(lambda: defaultdict(dict))
    for group in groups:
        state = query.state_of(group.state)
        if state is not None:
            own = every[group.kind][group.participant, group.session]
            sure, n = own.get(state, (0.0, 0.0))
            own[state] = (sure + (0 if group.flags & DOUBTED else group.n), n + group.n)
    return {kind: _means_by_state(_doubted_of(counts)) for kind, counts in every.items()}


def _doubted_of(counts: Counts) -> Iterator[tuple[str, dict[str, StateLoss]]]:
    for (code, _), of_states in counts.items():
        shares = {state: 1 - sure / n for state, (sure, n) in of_states.items()}
        yield code, {state: StateLoss(share, share) for state, share in shares.items()}


def _shares(
    counts: Mapping[str, tuple[float, float]],
    lasted: Mapping[str, float],
    planned: Mapping[str, float] | None,
    *,
    is_stream: bool,
) -> dict[str, StateLoss]:
    """Return the share that one session lost in each state of one measure.

    Args:
        counts: of each state with readings, how many are usable, and how many there are.
        lasted: seconds of each state.
        planned: of ``_plan_of``.
        is_stream: whether its readings come all the time, so that the fullest state has all.
    """
    rates = [counts[state][1] / seconds for state, seconds in lasted.items() if state in counts]
    rate = (max if is_stream else median_high)(rates) if rates else 0.0
    shares = {}
    for state in counts.keys() | lasted.keys():
        usable, every = counts.get(state, (0.0, 0.0))
        expected = rate * lasted.get(state, 0.0)
        sure = 1 - usable / every if every else 0.0
        if is_stream and expected >= ENOUGH:
            share = 1 - usable / max(expected, every)
            shares[state] = StateLoss(share, share)
        elif planned is not None and state in planned:
            shares[state] = StateLoss(1 - usable / max(planned[state], every), sure)
        elif planned is None and expected >= LEAST:
            shares[state] = StateLoss(1 - usable / expected, sure)
        elif every:
            shares[state] = StateLoss(sure, sure)
    return shares


def _plan_of(
    counts: Iterable[Mapping[str, tuple[float, float]]], lasted: Iterable[Mapping[str, float]]
) -> dict[str, float] | None:
    """Return how many readings were planned in each state; ``None`` where their numbers follow how
    long the states are, so that a person's rate tells how many should have come.

    Args:
        counts: as in ``_shares``, of each session.
        lasted: the same.
    """
    numbers: defaultdict[str, list[float]] = defaultdict(list)
    lengths: defaultdict[str, list[float]] = defaultdict(list)
    for own, seconds in zip(counts, lasted, strict=True):
        for state, length in seconds.items():
            numbers[state].append(own.get(state, (0.0, 0.0))[1])
            lengths[state].append(length)
    if not numbers:
        return None
    commonest = {state: Counter(every).most_common(1)[0] for state, every in numbers.items()}
    if all(n >= PLANNED * len(numbers[state]) for state, (_, n) in commonest.items()):
        return {state: number for state, (number, _) in commonest.items() if number}
    reached, longest = _most(numbers), _most(lengths)
    rate = median_high([number / longest[state] for state, number in reached.items()])
    for state, number in reached.items():
        usual = rate * longest[state]
        if abs(number - usual) >= (1 - _ROUNDING) * max(1.0, OFF * usual):
            return {state: number for state, number in reached.items() if number}
    return None


def _most(every: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return of each state what some of its sessions reach."""
    return {
        state: sorted(own, reverse=True)[math.ceil(SOME * len(own)) - 1]
        for state, own in every.items()
    }


def losses_of_beats(
    recordings: Mapping[Visit, StateRecording], query: AnalysisQuery, seconds: Seconds
) -> dict[str, dict[str, StateLoss]]:
    """Return of each state which share of the time each person's intervals between beats lack.

    Args:
        recordings: of each session and state.
        query: states, and the flags that count.
        seconds: as in ``losses_in_states``, of the intervals.
    """
    counts: Counts = defaultdict(dict)
    for (code, session, state), recording in recordings.items():
        counts[code, session][state] = recording.seconds_without(UNUSABLE - query.counted)
    return _by_state(counts, query, seconds, VitalKind.RR_INTERVAL)


def losses_of_skin(
    times: Mapping[Visit, SkinTime], query: AnalysisQuery
) -> dict[str, dict[str, StateLoss]]:
    """Return of each state which share of the samples of skin conductance each person lost."""
    counts: Counts = defaultdict(dict)
    seconds: dict[tuple[int, str, Measure], float] = {}
    kind = VitalKind.SKIN_CONDUCTANCE
    for (code, session, state), time in times.items():
        counts[code, session][state] = time.samples
        seconds[session, state, kind] = time.lasted
    return _by_state(counts, query, seconds, kind)


def _by_state(
    counts: Counts, query: AnalysisQuery, seconds: Seconds, kind: Measure
) -> dict[str, dict[str, StateLoss]]:
    # A session of estimates alone, say, is in no test, and no loss of one.
    used = {
        visit: own for visit, own in counts.items() if any(usable for usable, _ in own.values())
    }
    lasted = {
        (code, session): {
            state: seconds[session, state, kind]
            for state in query.states
            if seconds.get((session, state, kind), 0.0) > 0
        }
        for code, session in used
    }
    planned = _plan_of(used.values(), lasted.values())
    return _means_by_state(
        (visit[0], _shares(of_states, lasted[visit], planned, is_stream=kind.spec.stream))
        for visit, of_states in used.items()
    )


def _means_by_state(
    visits: Iterable[tuple[str, Mapping[str, StateLoss]]],
) -> dict[str, dict[str, StateLoss]]:
    """Return of each state the mean of each person over sessions."""
    shares: defaultdict[str, defaultdict[str, list[StateLoss]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for code, own in visits:
        for state, lost in own.items():
            shares[state][code].append(lost)
    return {
        state: {
            code: StateLoss(*map(fmean, zip(*own, strict=True))) for code, own in people.items()
        }
        for state, people in shares.items()
    }


def beside_by_measure(
    shares: Callable[[T], Mapping[str, Losses]], compare: Comparing[S]
) -> Beside[T, S]:
    """Return what compares shares on both sides of each test; the pairs of states of one measure
    are one family.

    Args:
        shares: returns by state those of the measure of a test.
        compare: ``compare_losses`` or ``compare_doubts``.
    """

    def look(tests: Sequence[T]) -> list[S | None]:
        compared: list[S | None] = []
        for _, own in groupby(tests, key=_measure_of):
            sides = [(shares(one), one) for one in own]
            compared += compare(
                [(of.get(one.first, {}), of.get(one.second, {})) for of, one in sides]
            )
        return compared

    return look


def errors_beside(
    recordings: Mapping[Visit, StateRecording],
) -> Beside[HeartTestModel, StatedErrorsModel]:
    """Return what compares the errors that beats state: these make beats vary.

    A breathing rate has none, since errors add to all frequencies alike.
    """
    stated: defaultdict[str, defaultdict[str, list[tuple[float, float]]]]
    stated = defaultdict(lambda: defaultdict(list))
    for (code, _, state), recording in recordings.items():
        error = recording.error_ms
        with suppress(TooShortError, ArtefactError):
            if error is not None:
                stated[state][code].append((error, recording.variability.rmssd_ms**2))

    def look(tests: Sequence[HeartTestModel]) -> list[StatedErrorsModel | None]:
        pairs = dict.fromkeys((one.first, one.second) for one in tests)
        compared = [_errors_in(stated[first], stated[second]) for first, second in pairs]
        adjusted = iter(holm([one.p for one in compared if one is not None]))
        of_pair = {
            pair: one and _with_errors_judged(one, next(adjusted))
            for pair, one in zip(pairs, compared, strict=True)
        }
        return [
            None if one.measure is HeartMeasure.RESPIRATION else of_pair[one.first, one.second]
            for one in tests
        ]

    return look


def _errors_in(
    first: Mapping[str, Sequence[tuple[float, float]]],
    second: Mapping[str, Sequence[tuple[float, float]]],
) -> StatedErrorsModel | None:
    both = sorted(first.keys() & second.keys())
    if len(both) < MINIMUM:
        return None
    sides = (first, second)
    one, other = ([fmean(error for error, _ in side[code]) for code in both] for side in sides)
    try:
        p = paired_t(one, other).p
    except NoVariationError:
        p = 1.0 if fmean(one) == fmean(other) else 0.0
    square = fmean(square for side in sides for code in both for _, square in side[code])
    apart = fmean(a**2 - b**2 for a, b in zip(one, other, strict=True))
    return StatedErrorsModel(
        first=fmean(one),
        second=fmean(other),
        people=len(both),
        p=p,
        adds=MOST_ADDED * abs(apart) / square if square else 0.0,
        is_unequal=False,
    )


def _with_errors_judged(one: StatedErrorsModel, p: float) -> StatedErrorsModel:
    return one.model_copy(update={"p": p, "is_unequal": one.adds >= ADDED and shows(p)})


def _measure_of(one: ComparisonModel | HeartTestModel | SkinTestModel) -> str:
    return one.vital if isinstance(one, ComparisonModel) else one.measure
