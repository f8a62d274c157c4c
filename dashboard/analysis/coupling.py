"""Coupling: whether a measure of the face and a vital go together within people.

``read_coupling`` asks the timelines, ``couple`` is pure. Nothing here is written in words.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.analysis.coupling_results import (
    CouplingModel,
    CouplingQuery,
    LagModel,
    NotTested,
    PersonCouplingModel,
)
from dashboard.analysis.question import Sample, answer_of_sample
from dashboard.analysis.readings.series import Series, read_series, with_own_times
from dashboard.statistics.coupling import (
    LEAST_PAIRS,
    Stretch,
    coupling_test,
    intervals,
    lag_test,
    lagged,
    person_z,
    repeated_correlation,
)
from dashboard.statistics.responses import Reals, step_for
from dashboard.statistics.samples import NoVariationError, TooFewError
from edge_agent.core.measures import Measure
from edge_agent.core.study import Session
from edge_agent.store.read.reader import Reader


@dataclass(frozen=True, slots=True)
class Pairs:
    """The series of sessions in which both measures were taken.

    Attributes:
        sessions: how many were looked at.
        without_times: how many were not, because their times are made up.
        both: of each session, the measure of the face and the vital.
    """

    sessions: int
    without_times: int
    both: Sequence[tuple[Series, Series]]


def read_coupling(
    reader: Reader, query: CouplingQuery, prefer_sources: Sequence[str] = ()
) -> CouplingModel:
    """Read what the question asks for, and answer it, without sentences.

    Args:
        reader: the timeline of a site, or of several as one study.
        query: the question.
        prefer_sources: which source counts where the question names none, the best first.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    query = query.preferring(prefer_sources)

    def answer(sample: Sample, sessions: Sequence[Session]) -> CouplingModel:
        return couple(_read(reader, sessions, query), query, sample)

    return answer_of_sample(query, reader.session_list(), answer, lambda one: bool(one.people))


def _read(reader: Reader, sessions: Sequence[Session], query: CouplingQuery) -> Pairs:
    timed, without_times = with_own_times(sessions)
    kinds: tuple[Measure, ...] = (query.measure, query.vital)
    series = read_series(reader, timed, kinds, query.counted, query.prefer_source)
    by_session: defaultdict[int, dict[Measure, Series]] = defaultdict(dict)
    for one in series:
        by_session[one.session.id][one.kind] = one
    both = [(own[query.measure], own[query.vital]) for own in by_session.values() if len(own) == 2]
    return Pairs(len(timed), without_times, both)


def couple(pairs: Pairs, query: CouplingQuery, sample: Sample) -> CouplingModel:
    """Test the association of a study at the declared lag, and at all lags if asked for."""
    step = _step(pairs.both)
    stretches: defaultdict[str, list[Stretch]] = defaultdict(list)
    for face, vital in pairs.both:
        stretches[face.session.participant].append(_stretch(face, vital, step))
    lag = _lag_in_bins(query.lag_s, step)
    of_person = {code: _at(own, lag) for code, own in sorted(stretches.items())}
    z = {code: person_z(own) for code, own in of_person.items()}
    known = {code: value for code, value in z.items() if value is not None}
    people = tuple(
        PersonCouplingModel(
            participant=code,
            sessions=len(of_person[code]),
            pairs=sum(map(_count, of_person[code])),
            r=math.tanh(value),
        )
        for code, value in known.items()
    )
    model = CouplingModel(
        question=query,
        sample=sample,
        sessions=pairs.sessions,
        without_times=pairs.without_times,
        step_s=step if pairs.both else None,
        lag_s=lag * step,
        people=people,
        left_out=tuple(code for code in z if code not in known),
        pairs=sum(one.pairs for one in people),
        repeated_r=_repeated(of_person[code] for code in known),
        r=None,
        low=None,
        high=None,
        t=None,
        df=None,
        p=None,
        refused=None if people else NotTested.NO_PAIRS,
        lags=(),
        lags_people=0,
        flips=None,
        is_exact=False,
        simulated=any(one.simulated for both in pairs.both for one in both),
    )
    model = model.model_copy(update=_tested(tuple(known.values()))) if people else model
    used = {code: stretches[code] for code in known}
    return model.model_copy(update=_all_lags(used, query, step)) if query.lags else model


def _lag_in_bins(lag_s: float, step_s: float) -> int:
    """Return a lag in bins, halves away from 0; ``round`` makes 2 of 2.5."""
    return int(math.copysign(math.floor(abs(lag_s) / step_s + 0.5), lag_s))


def _step(both: Sequence[tuple[Series, Series]]) -> float:
    """Return the bins that both measures carry: those of the sparser one."""
    steps = [1.0]
    for place in (0, 1):
        apart = [np.diff(one[place].at_ms) / 1000 for one in both]
        steps.append(step_for(np.concatenate(apart) if apart else []))
    return max(steps)


def _stretch(face: Series, vital: Series, step_s: float) -> Stretch:
    """Return both series of a session as the means of its bins; NaN without a value.

    Bins begin at whole multiples of their length, so that the end of a range of time moves none.
    """
    start_ms = face.session.start_ms // round(1000 * step_s) * round(1000 * step_s)
    last_ms = max(int(face.at_ms[-1]), int(vital.at_ms[-1]))
    bins = int((last_ms - start_ms) // (1000 * step_s)) + 1
    first, second = (_bins(one, start_ms, step_s, bins) for one in (face, vital))
    return first, second


def _bins(series: Series, start_ms: int, step_s: float, bins: int) -> Reals:
    places = ((series.at_ms - start_ms) // (1000 * step_s)).astype(np.int64)
    inside = (places >= 0) & (places < bins)
    counts = np.bincount(places[inside], minlength=bins)
    sums = np.bincount(places[inside], weights=series.values[inside], minlength=bins)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _at(stretches: Iterable[Stretch], lag: int) -> list[Stretch]:
    """Return the stretches that have enough pairs at a lag, with the vital moved by it."""
    moved = [lagged(one, lag) for one in stretches]
    return [one for one in moved if _count(one) >= LEAST_PAIRS]


def _count(stretch: Stretch) -> int:
    return int(np.count_nonzero(~(np.isnan(stretch[0]) | np.isnan(stretch[1]))))


def _repeated(people: Iterable[Sequence[Stretch]]) -> float | None:
    joined = [
        (np.concatenate([x for x, _ in own]), np.concatenate([y for _, y in own])) for own in people
    ]
    try:
        return repeated_correlation(joined).r
    except (TooFewError, NoVariationError):
        return None


def _tested(z: Sequence[float]) -> dict[str, object]:
    try:
        test = coupling_test(z)
    except TooFewError:
        return {"refused": NotTested.TOO_FEW}
    except NoVariationError:
        return {"refused": NotTested.NO_VARIATION}
    return {
        "r": test.r,
        "low": test.interval.low,
        "high": test.interval.high,
        "t": test.t,
        "df": test.df,
        "p": test.p,
    }


def _all_lags(
    people: Mapping[str, Sequence[Stretch]], query: CouplingQuery, step_s: float
) -> dict[str, object]:
    """Return the fields about all lags: of the people who have a value at each."""
    reach = int(query.lags // step_s)
    lags = range(-reach, reach + 1)
    rows = [[person_z(_at(own, lag)) for lag in lags] for own in people.values()]
    z = np.array([row for row in rows if None not in row], dtype=np.float64)
    if not len(z):
        return {}
    test = lag_test(z, query.seed)
    ends = intervals(z)
    return {
        "lags": tuple(
            LagModel(
                lag_s=lag * step_s,
                r=math.tanh(mean),
                low=ends and ends[place].low,
                high=ends and ends[place].high,
                p=None if test is None else float(test.p[place]),
            )
            for place, (lag, mean) in enumerate(zip(lags, z.mean(axis=0).tolist(), strict=True))
        ),
        "lags_people": len(z),
        "flips": test and test.flips,
        "is_exact": test is not None and test.is_exact,
    }
