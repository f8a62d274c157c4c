"""Coupling: whether a measure of the face and a vital go together in people more than with other
people's vital at the same stimuli.

``read_coupling`` asks the timelines, ``couple`` is pure. Nothing here is written in words.

What everybody sees moves the faces and the hearts of all, so that an association within people
alone is no finding. Each person's is compared with that of their face with other people's hearts,
in bins from the start of the same stimulus. Where nobody else was at the same stimuli, or where a
movement that was recorded goes with both, nothing is tested.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dashboard.analysis.conclusions import shows
from dashboard.analysis.query import Sample, answer_of_sample
from dashboard.analysis.readings.series import (
    CountedSeries,
    faces_changed,
    read_series,
    with_own_times,
)
from dashboard.questions.coupling.answer import (
    POSE,
    CouplingModel,
    CouplingQuery,
    Disturbance,
    DisturbanceModel,
    LagModel,
    NotTested,
    PersonCouplingModel,
)
from dashboard.questions.coupling.presentations import (
    Grid,
    Track,
    bin_means,
    grid_of,
    held_of,
    movement_of,
)
from dashboard.statistics import MINIMUM
from dashboard.statistics.coupling import (
    LEAST_PAIRS,
    BesideOthers,
    CouplingTest,
    Stretch,
    coupling_test,
    intervals,
    lag_test,
    lagged,
    person_z,
    repeated_correlation,
    z_intervals,
)
from dashboard.statistics.responses import Integers, Reals, step_for
from dashboard.statistics.samples import NoVariationError, TooFewError
from edge_agent.core.measures import Measure
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.stimuli import SessionStimulus

_FACE, _VITAL = "face", "vital"


@dataclass(frozen=True, slots=True)
class CoupledSessions:
    """The series of sessions in which both measures were taken.

    Attributes:
        sessions: those that were looked at.
        without_times: how many were not, because their times are made up.
        both: of each session, the measure of the face and the vital.
        stimuli: of the sessions.
        pose: by number of the session the angles of the head, as far as they were recorded.
        motion: the same of the wearer's motion.
        reading_changed_ms: when another model or prior began to read the faces of the sessions.
    """

    sessions: Sequence[Session]
    without_times: int
    both: Sequence[tuple[CountedSeries, CountedSeries]]
    stimuli: Sequence[SessionStimulus] = ()
    pose: Mapping[int, Sequence[CountedSeries]] = field(default_factory=dict)
    motion: Mapping[int, CountedSeries] = field(default_factory=dict)
    reading_changed_ms: int | None = None


# --- Reading --------------------------------------------------------------------------------------


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


def _read(reader: Reader, sessions: Sequence[Session], query: CouplingQuery) -> CoupledSessions:
    timed, without_times = with_own_times(sessions)
    # An angle of the head is a movement itself, beside which no other one is looked for.
    pose = () if query.measure in POSE else POSE
    moved = () if query.vital is VitalKind.BODY_MOTION else (VitalKind.BODY_MOTION,)
    kinds: tuple[Measure, ...] = (query.measure, query.vital, *pose, *moved)
    series = read_series(reader, timed, kinds, query.counted, query.prefer_source)
    by_session: defaultdict[int, dict[Measure, CountedSeries]] = defaultdict(dict)
    for one in series:
        by_session[one.session.id][one.kind] = one
    return CoupledSessions(
        sessions=timed,
        without_times=without_times,
        both=[
            (own[query.measure], own[query.vital])
            for own in by_session.values()
            if query.measure in own and query.vital in own
        ],
        stimuli=reader.stimuli([one.id for one in timed]),
        pose={
            number: [own[kind] for kind in pose if kind in own]
            for number, own in by_session.items()
        },
        motion={
            number: own[kind] for number, own in by_session.items() for kind in moved if kind in own
        },
        reading_changed_ms=faces_changed(reader, [query.measure], timed),
    )


# --- The answer -----------------------------------------------------------------------------------


def couple(pairs: CoupledSessions, query: CouplingQuery, sample: Sample) -> CouplingModel:
    """Test the association of a study at the declared lag, and at all lags if asked for."""
    step = _step(pairs.both)
    lag = _lag_in_bins(query.lag_s, step)
    model = CouplingModel(
        question=query,
        sample=sample,
        sessions=len(pairs.sessions),
        without_times=pairs.without_times,
        step_s=step if pairs.both else None,
        lag_s=lag * step,
        people=(),
        left_out=(),
        pairs=0,
        repeated_r=None,
        r=None,
        low=None,
        high=None,
        t=None,
        df=None,
        p=None,
        refused=None,
        lags=(),
        lags_people=0,
        flips=None,
        is_exact=False,
        simulated=any(one.simulated for both in pairs.both for one in both),
        reading_changed_ms=pairs.reading_changed_ms,
    )
    grid = _grid(pairs, step)
    beside = grid.beside_others(_FACE, _VITAL, lag) if pairs.both else None
    if beside is None or np.count_nonzero(beside.others) < MINIMUM:
        return _whole_session_answer(model, pairs, step, lag)
    return _answer_beside_others(model, grid, beside, step, lag)


def _step(both: Sequence[tuple[CountedSeries, CountedSeries]]) -> float:
    """Return the bins that both measures carry: those of the sparser one."""
    steps = [1.0]
    for place in (0, 1):
        apart = [np.diff(one[place].at_ms) / 1000 for one in both]
        steps.append(step_for(np.concatenate(apart) if apart else []))
    return max(steps)


def _lags_in(query: CouplingQuery, step_s: float) -> range:
    """Return the lags that are asked for, in bins; none where none is."""
    reach = int(query.lags // step_s)
    return range(-reach, reach + 1) if query.lags else range(0)


# --- Described: too few others were at the same stimuli -------------------------------------------


def _whole_session_answer(
    model: CouplingModel, pairs: CoupledSessions, step: float, lag: int
) -> CouplingModel:
    """Return the associations over whole sessions, of which none is tested."""
    stretches: defaultdict[str, list[Stretch]] = defaultdict(list)
    for face, vital in pairs.both:
        stretches[face.session.participant].append(_stretch(face, vital, step))
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
    refused = NotTested.NO_OTHERS if len(people) >= MINIMUM else NotTested.TOO_FEW
    lags = _lags_in(model.question, step)
    rows = [[person_z(_at(stretches[code], one)) for one in lags] for code in known]
    kept = np.array([row for row in rows if None not in row], dtype=np.float64)
    means = np.tanh(kept.mean(axis=0)).tolist() if kept.size else []
    return model.model_copy(
        update={
            "people": people,
            "left_out": tuple(code for code in z if code not in known),
            "pairs": sum(one.pairs for one in people),
            "repeated_r": _repeated(of_person[code] for code in known),
            "r": math.tanh(float(np.mean([*known.values()]))) if known else None,
            "refused": refused if people else NotTested.NO_PAIRS,
            "lags": tuple(
                LagModel(lag_s=one * step, r=r, p=None) for one, r in zip(lags, means, strict=False)
            ),
            "lags_people": len(kept) if kept.size else 0,
        }
    )


def _lag_in_bins(lag_s: float, step_s: float) -> int:
    """Return a lag in bins, halves away from 0; ``round`` makes 2 of 2.5."""
    return int(math.copysign(math.floor(abs(lag_s) / step_s + 0.5), lag_s))


def _stretch(face: CountedSeries, vital: CountedSeries, step_s: float) -> Stretch:
    """Return both series of a session as the means of its bins; NaN without a value.

    Bins begin at whole multiples of their length, so that the end of a range of time moves none.
    """
    step_ms = round(1000 * step_s)
    start_ms = face.session.start_ms // step_ms * step_ms
    last_ms = max(int(face.at_ms[-1]), int(vital.at_ms[-1]))
    bins = (last_ms - start_ms) // step_ms + 1
    first, second = (
        bin_means(one.at_ms, one.values, start_ms, step_ms, bins) for one in (face, vital)
    )
    return first, second


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


# --- Compared with others at the same stimuli -----------------------------------------------------


def _answer_beside_others(
    model: CouplingModel, grid: Grid, beside: BesideOthers, step: float, lag: int
) -> CouplingModel:
    """Return the associations within the stimuli, and the test of what they are beyond others'."""
    used = np.flatnonzero(beside.others)
    sessions = _sessions_of(grid, beside)
    model = model.model_copy(
        update={
            "people": tuple(
                PersonCouplingModel(
                    participant=grid.codes[one],
                    sessions=sessions[one],
                    pairs=int(beside.pairs[one]),
                    r=math.tanh(beside.z[one]),
                    others=int(beside.others[one]),
                    r_others=math.tanh(beside.z_others[one]),
                    difference=float(beside.difference[one]),
                )
                for one in used.tolist()
            ),
            "left_out": tuple(
                code for code, n in zip(grid.codes, beside.others, strict=True) if not n
            ),
            "stimuli": sum(len(rows) > 0 for rows in beside.rows),
            "pairs": int(beside.pairs[used].sum()),
            "repeated_r": _repeated_in(grid, beside, lag),
            "r": math.tanh(float(beside.z[used].mean())),
            "r_others": math.tanh(float(beside.z_others[used].mean())),
            "difference": float(beside.difference[used].mean()),
            "disturbances": _disturbances(grid, lag, step),
        }
    )
    test = _test_of(beside)
    if not isinstance(test, NotTested) and any(one.explains for one in model.disturbances):
        test = NotTested.MOVEMENT
    is_tested = not isinstance(test, NotTested)
    lags = _all_lags(model.question, grid, used, step, is_tested=is_tested)
    if isinstance(test, NotTested):
        return model.model_copy(update={"refused": test, **lags})
    return model.model_copy(update={**_numbers(test, beside.z[used]), **lags})


def _test_of(beside: BesideOthers) -> CouplingTest | NotTested:
    try:
        return coupling_test(beside.difference[beside.others > 0].tolist())
    except TooFewError:
        return NotTested.TOO_FEW
    except NoVariationError:
        return NotTested.NO_VARIATION


def _numbers(test: CouplingTest, z: Reals) -> dict[str, object]:
    of_r = intervals(z[:, np.newaxis])
    return {
        "low": of_r and of_r[0].low,
        "high": of_r and of_r[0].high,
        "difference_low": test.z_interval.low,
        "difference_high": test.z_interval.high,
        "t": test.t,
        "df": test.df,
        "p": test.p,
    }


def _sessions_of(grid: Grid, beside: BesideOthers) -> list[int]:
    """Return of each person in how many sessions the presentations were that count."""
    stimuli = zip(grid.owner, grid.place, beside.rows, strict=True)
    seen = {(int(owner[row]), int(place[row])) for owner, place, rows in stimuli for row in rows}
    return [sum(one == person for one, _ in seen) for person in range(len(grid.codes))]


def _repeated_in(grid: Grid, beside: BesideOthers, lag: int) -> float | None:
    """Return the repeated-measures correlation over the presentations that count."""
    people: defaultdict[int, list[Stretch]] = defaultdict(list)
    tracks = (grid.values[_FACE], grid.values[_VITAL])
    for owner, face, vital, rows in zip(grid.owner, *tracks, beside.rows, strict=True):
        for row in rows:
            if beside.others[owner[row]]:
                people[int(owner[row])].append(lagged((face[row], vital[row]), lag))
    return _repeated(people[person] for person in sorted(people))


def _all_lags(
    query: CouplingQuery, grid: Grid, used: Integers, step_s: float, *, is_tested: bool
) -> dict[str, object]:
    """Return the fields about all lags: of the people who have a value at each."""
    lags = _lags_in(query, step_s)
    every = [grid.beside_others(_FACE, _VITAL, lag) for lag in lags]
    if not every:
        return {}
    z, z_others, differences = (
        np.stack([getattr(one, name)[used] for one in every], axis=1)
        for name in ("z", "z_others", "difference")
    )
    kept = ~np.isnan(differences).any(axis=1)
    if not kept.any():
        return {}
    z, z_others, differences = z[kept], z_others[kept], differences[kept]
    test = lag_test(differences, query.seed) if is_tested else None
    of_r, of_difference = (intervals(z), z_intervals(differences)) if is_tested else (None, None)
    return {
        "lags": tuple(
            LagModel(
                lag_s=lag * step_s,
                r=math.tanh(z[:, place].mean()),
                low=of_r and of_r[place].low,
                high=of_r and of_r[place].high,
                p=None if test is None else float(test.p[place]),
                r_others=math.tanh(z_others[:, place].mean()),
                difference=float(differences[:, place].mean()),
                difference_low=of_difference and of_difference[place].low,
                difference_high=of_difference and of_difference[place].high,
            )
            for place, lag in enumerate(lags)
        ),
        "lags_people": len(z),
        "flips": test and test.flips,
        "is_exact": test is not None and test.is_exact,
    }


# --- What may disturb both ------------------------------------------------------------------------


def _grid(pairs: CoupledSessions, step_s: float) -> Grid:
    tracks: dict[int, dict[str, Track]] = {}
    doubts: dict[int, dict[str, Sequence[int]]] = {}
    for face, vital in pairs.both:
        number = face.session.id
        own: dict[str, Track] = {
            _FACE: (face.at_ms, face.values),
            _VITAL: (vital.at_ms, vital.values),
        }
        moved = movement_of(pairs.pose.get(number, ()))
        if moved is not None:
            own[Disturbance.HEAD_MOVEMENT], own[Disturbance.HEAD_POSE] = moved
        if number in pairs.motion:
            own[Disturbance.BODY_MOTION] = held_of(pairs.motion[number])
        tracks[number] = own
        doubts[number] = {Disturbance.DOUBTFUL_READINGS: vital.doubtful_ms}
    return grid_of(tracks, doubts, pairs.sessions, pairs.stimuli, step_s)


def _disturbances(grid: Grid, lag: int, step_s: float) -> tuple[DisturbanceModel, ...]:
    """Say of each recorded disturbance whether it goes with the face, and with the vital.

    Both are judged beyond others at the same stimuli, as the association itself is: what everybody
    shares explains nothing of that. A sensor is disturbed at once; a body follows a movement.
    """
    disturbances = []
    for kind in Disturbance:
        if kind not in grid.values:
            continue
        with_face = _test_of(grid.beside_others(kind, _FACE, 0))
        with_vital = {
            one: test
            for one in (0, lag)
            if not isinstance(test := _test_of(grid.beside_others(kind, _VITAL, one)), NotTested)
        }
        if isinstance(with_face, NotTested) or not with_vital:
            continue
        at, strongest = min(with_vital.items(), key=lambda one: one[1].p)
        disturbances.append(
            DisturbanceModel(
                kind=kind,
                people=with_face.n,
                face=with_face.z,
                face_p=with_face.p,
                vital=strongest.z,
                vital_p=strongest.p,
                vital_lag_s=at * step_s,
                explains=shows(with_face.p) and shows(strongest.p),
            )
        )
    return tuple(disturbances)
