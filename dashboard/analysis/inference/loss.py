"""Readings lost more in one state than in another, which makes differences that do not exist. Pure.

Where a sensor loses what is high, and more is high or more of it is lost in one state, the mean of
what is left is lower there. What was lost is not known, but how much was: readings in doubt, which
are in no mean, and those that never came, by how often the same source gave one in the state of the
same session in which it gave most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import TypeVar

from dashboard.analysis.conclusions import Caution, LostModel, shows
from dashboard.analysis.inference.heart import Recording
from dashboard.analysis.inference.measures import Visit
from dashboard.analysis.inference.skin import SkinTime
from dashboard.analysis.query import AnalysisQuery, StateBy
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import ComparisonModel, HeartTestModel, SkinTestModel
from dashboard.statistics import MINIMUM
from dashboard.statistics.corrections import holm
from dashboard.statistics.samples import NoVariationError
from dashboard.statistics.t_tests import paired_t, welch_t
from edge_agent.core.measures import Measure
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.stimuli import Stimulus
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
"""Readings that a state must be long enough for, so that their number tells of a loss."""

Losses = Mapping[str, float]
"""By participant, which share of the readings is lost, 0…1."""
Seconds = Mapping[tuple[int, str, Measure], float]
"""By session, state and measure."""
Counts = defaultdict[tuple[str, int], dict[str, tuple[float, float]]]
"""By participant and session of each state how many readings are usable, and how many there are;
of intervals between beats their seconds.
"""
T = TypeVar("T", ComparisonModel, HeartTestModel, SkinTestModel)


def compare_losses(pairs: Sequence[tuple[Losses, Losses]]) -> list[LostModel | None]:
    """Compare what is lost on both sides of each pair, all pairs as one family.

    Within people where three have both sides, else between them; ``None`` where too few people have
    anything.
    """
    compared = [_comparison_of(*one) for one in pairs]
    adjusted = iter(holm([one.p for one in compared if one is not None]))
    return [None if one is None else _with_verdict(one, next(adjusted)) for one in compared]


def _comparison_of(first: Losses, second: Losses) -> LostModel | None:
    both = sorted(first.keys() & second.keys())
    is_paired = len(both) >= MINIMUM
    one, other = (
        [side[code] for code in (both if is_paired else sorted(side))] for side in (first, second)
    )
    if min(len(one), len(other)) < MINIMUM:
        return None
    try:
        p = (paired_t if is_paired else welch_t)(one, other).p
    except NoVariationError:  # all lost alike: as sure as can be, or nothing at all
        p = 1.0 if fmean(one) == fmean(other) else 0.0
    return LostModel(
        first=fmean(one),
        second=fmean(other),
        people=len(both) if is_paired else len(one) + len(other),
        p=p,
        is_unequal=False,
    )


def _with_verdict(one: LostModel, p: float) -> LostModel:
    apart = abs(one.first - one.second)
    lost = max(one.first, one.second)
    is_unequal = lost >= MOST or (lost >= MANY and apart >= APART)
    is_unequal = is_unequal or (apart >= SMALL and shows(p))
    return one.model_copy(update={"p": p, "is_unequal": is_unequal})


def seconds_of(
    stimuli: Iterable[Stimulus],
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
) -> dict[Measure, dict[str, dict[str, float]]]:
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


def _shares(
    counts: Mapping[str, tuple[float, float]], lasted: Mapping[str, float], *, is_stream: bool
) -> dict[str, float]:
    """Return the share that one session lost in each state of one measure.

    Args:
        counts: of each state with readings, how many are usable, and how many there are.
        lasted: seconds of each state.
        is_stream: whether its readings come all the time, so that a silence is a loss.
    """
    rate = max(
        (counts[state][1] / seconds for state, seconds in lasted.items() if state in counts),
        default=0.0,
    )
    shares = {}
    for state in counts.keys() | lasted.keys():
        usable, every = counts.get(state, (0.0, 0.0))
        expected = rate * lasted.get(state, 0.0)
        if is_stream and expected >= ENOUGH:
            shares[state] = 1 - usable / max(expected, every)
        elif every:
            shares[state] = 1 - usable / every
    return shares


def losses_of_beats(
    recordings: Mapping[Visit, Recording], query: AnalysisQuery, seconds: Seconds
) -> dict[str, dict[str, float]]:
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
) -> dict[str, dict[str, float]]:
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
) -> dict[str, dict[str, float]]:
    shares: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (code, session), of_states in counts.items():
        if not any(usable for usable, _ in of_states.values()):
            continue  # a session of estimates alone, say, is in no test, and no loss of one
        lasted = {
            state: seconds[session, state, kind]
            for state in query.states
            if seconds.get((session, state, kind), 0.0) > 0
        }
        for state, share in _shares(of_states, lasted, is_stream=kind.spec.stream).items():
            shares[state][code].append(share)
    return {
        state: {code: fmean(own) for code, own in people.items()}
        for state, people in shares.items()
    }


def with_losses(tests: Iterable[T], losses: Callable[[T], Mapping[str, Losses]]) -> tuple[T, ...]:
    """Return tests with what was lost, and with the caution where that is unequal.

    The pairs of states of one measure are one family.

    Args:
        tests: decided; those of one measure stand together.
        losses: returns by state those of the measure of a test.
    """
    every = list(tests)
    compared_losses: list[LostModel | None] = []
    for _, own in groupby(every, key=_measure_of):
        pairs = [(one, losses(one)) for one in own]
        compared_losses += compare_losses(
            [(of.get(one.first, {}), of.get(one.second, {})) for one, of in pairs]
        )
    return tuple(map(_with_loss, every, compared_losses))


def _measure_of(one: ComparisonModel | HeartTestModel | SkinTestModel) -> str:
    return one.vital if isinstance(one, ComparisonModel) else one.measure


def _with_loss(one: T, loss: LostModel | None) -> T:
    results = [
        result
        if result.by is None
        else result.model_copy(update={"caution_codes": with_caution(result.caution_codes, loss)})
        for result in (one.result, *one.others)
    ]
    update: dict[str, object] = {"loss": loss, "result": results[0], "others": tuple(results[1:])}
    if isinstance(one, ComparisonModel) and one.bayes_factor is not None:
        factor = one.bayes_factor
        codes = with_caution(factor.caution_codes, loss)
        update["bayes_factor"] = factor.model_copy(update={"caution_codes": codes})
    return one.model_copy(update=update)


def with_caution(codes: Collection[Caution], loss: LostModel | None) -> tuple[Caution, ...]:
    """Return the cautions of a result with that of an unequal loss, where there is one."""
    if loss is None or not loss.is_unequal:
        return tuple(codes)
    return (*codes, Caution.UNEQUAL_LOSS)
