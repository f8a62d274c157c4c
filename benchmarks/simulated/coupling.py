"""False findings of the association of two measures in people, where there is none.

    python -m benchmarks coupling  (python -m benchmarks.simulated.coupling --json [--studies N])

Each simulated person has two measures once a second, each AR(.95), that know nothing of each other.
Most designs are a film of 10 minutes that everybody sees. Figures are shares of the studies in
which more is told than with others at the same stimuli, p below .05:

    coupling_false_lag_6, _12, _20      at the declared lag of 5 s, with so many people; the second
                                        measure falls over the film in everybody
    coupling_false_lags_6, _12, _20     at the best of the lags from −30 to 30 s, judged by the
                                        largest of all lags under flips of whole people
    coupling_film_6, _12, _20           face and heart both follow six events of the film, each
                                        person as strongly as they do
    coupling_close_film_20              the same of a film that people follow closely
    coupling_film_lags_12               the same at the best of the lags
    coupling_fall_20                    both fall over the film in everybody
    coupling_moved_20                   movements disturb both, and the head's pose is recorded
    coupling_moved_tested_20            how many of these studies are tested at all
    coupling_worn_12                    the same of movements of 5 to 20 s, small and large ones,
                                        that a strap measures, and of which the head shows nothing
    coupling_unwatched_6, _12, _20      three in ten do not watch and follow nothing, the others
                                        follow the close film: **not reached**
    coupling_blocks_18                  nobody tuned to this one: three films of 80 to 140 s in all
                                        orders after pauses, each with its events, a fall over the
                                        session in both, measures with heavy tails, a tenth of the
                                        values lost in stretches, some have a second session
    coupling_own_times_18               the same, but each person meets each event in a time of
                                        their own (standard deviation 2 s) with face and heart:
                                        **told**, for that is more than others have

What the correlations of the people alone would tell, which was told once:

    coupling_alone_film_20, coupling_alone_fall_20, coupling_alone_moved_20
    coupling_false_rmcorr_20            what the p of the repeated-measures correlation would tell
    coupling_false_best_lag_20          what the best of the lags would tell without a correction

True associations, where the second follows the first by 5 s:

    coupling_found_20                   r = .2 in a film that moves nobody
    coupling_found_weak_20              r = .1
    coupling_found_film_20              r = .2 beside the six events
    coupling_found_still_20             r = .2, and the pose of a still head is recorded
    coupling_found_worn_20              r = .2 beside movements that have to do with neither
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import numpy.typing as npt
from scipy import signal, special

from benchmarks._command import benchmark
from dashboard.analysis.query import Sample
from dashboard.analysis.readings.series import CountedSeries
from dashboard.questions.coupling.answer import POSE, CouplingModel, CouplingQuery
from dashboard.questions.coupling.computing import CoupledSessions, couple
from dashboard.statistics.coupling import coupling_test, lagged, person_z, repeated_correlation
from edge_agent.core.measures import ExpressionKind, Measure
from edge_agent.core.study import Purpose, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.stimuli import SessionStimulus

PEOPLE = (6, 12, 20)
SECONDS = 600
PHI = 0.95
LAG = 5
LAGS = 30
FALL = 3.0
FALL_S = 180.0
ALPHA = 0.05
EVENTS = tuple(range(60, SECONDS, 90))
FOLLOWED = 1.5
FOLLOWED_CLOSELY = 4.0
"""Mean height of what follows an event, in standard deviations of the rest."""
MOVED = 3.0
"""Size of a movement in both measures."""
MOTION_S = 5
"""Seconds that a value of the wearer's motion is of."""
Reals = npt.NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class CoupledPerson:
    """Series of one person in one session, a value a second.

    Attributes:
        face: of the measure of the face; NaN where it is lost.
        vital: of the vital.
        stimuli: label, start and end of each, seconds.
        turned: degrees of yaw, pitch and roll; ``None``: no pose is recorded.
        motion: mg, a value for five seconds; ``None``: it is not recorded.
        code: whose session it is; empty: of somebody else than any other.
    """

    face: Reals
    vital: Reals
    stimuli: tuple[tuple[str, float, float], ...] = (("film", 0, SECONDS),)
    turned: Reals | None = None
    motion: Reals | None = None
    code: str = ""


Make = Callable[[Rng, int], CoupledPerson | list[CoupledPerson]]


def _wander(rng: Rng, n: int = SECONDS) -> Reals:
    noise = rng.normal(0, np.sqrt(1 - PHI**2), n + 200)
    return np.asarray(signal.lfilter([1], [1, -PHI], noise)[200:], np.float64)


def _fall(n: int = SECONDS) -> Reals:
    return FALL * np.exp(-np.arange(n) / FALL_S)


def _after(events: Sequence[float], rise_s: float, n: int = SECONDS) -> Reals:
    """Return what follows events: a rise to 1 in so many seconds, and a slower fall."""
    since = np.arange(n) - np.array(events, np.float64)[:, np.newaxis]
    return np.asarray(np.where(since > 0, since / rise_s * np.exp(1 - since / rise_s), 0).sum(0))


def alone(rng: Rng, _person: int) -> CoupledPerson:
    """Return two measures that know nothing of each other; the second falls."""
    return CoupledPerson(_wander(rng), _wander(rng) + _fall())


def followed(rng: Rng, height: float = FOLLOWED) -> tuple[Reals, Reals]:
    """Return what follows the film in face and heart, as strongly as this person does."""
    face, heart = rng.normal(height, height / 3, 2)
    return face * _after(EVENTS, 4), heart * _after([one + LAG for one in EVENTS], 4)


def film(rng: Rng, _person: int) -> CoupledPerson:
    """Return two measures that both follow the film."""
    face, heart = followed(rng)
    return CoupledPerson(_wander(rng) + face, _wander(rng) + heart)


def close_film(rng: Rng, _person: int) -> CoupledPerson:
    """Return the same of a film that people follow closely."""
    face, heart = followed(rng, FOLLOWED_CLOSELY)
    return CoupledPerson(_wander(rng) + face, _wander(rng) + heart)


def unwatched(rng: Rng, person: int) -> CoupledPerson:
    """Return the same, but three in ten people follow nothing."""
    if person % 10 in (1, 4, 8):
        return CoupledPerson(_wander(rng), _wander(rng))
    return close_film(rng, person)


def fall(rng: Rng, _person: int) -> CoupledPerson:
    """Return two measures that both fall."""
    return CoupledPerson(_wander(rng) + _fall(), _wander(rng) + _fall())


def still(rng: Rng, n: int = SECONDS) -> Reals:
    """Return the pose of a head that sits still, as a network tells it: 2° of error, and drift."""
    return np.stack([3 * _wander(rng, n) + rng.normal(0, 2, n) for _ in range(3)])


def moved(rng: Rng, _person: int) -> CoupledPerson:
    """Return two measures that movements disturb, some ten in the film, of 3 to 10 s each."""
    turned, disturbed = still(rng), np.zeros(SECONDS)
    for start in rng.integers(0, SECONDS - 10, rng.poisson(10)).tolist():
        length = int(rng.integers(3, 11))
        disturbed[start : start + length] = 1
        turned[:, start : start + length] += rng.normal(0, 12, (3, length))
    return CoupledPerson(
        _wander(rng) + MOVED * disturbed, _wander(rng) + MOVED * disturbed, turned=turned
    )


def movements(rng: Rng) -> tuple[Reals, Reals]:
    """Return what some eight movements in the film do to a measure each second, and the motion
    that a worn sensor measures, a value for five seconds.
    """
    size = np.zeros(SECONDS)
    for start in rng.integers(0, SECONDS - 20, rng.poisson(8)).tolist():
        size[start : start + int(rng.integers(5, 21))] = rng.lognormal(0, 0.5)
    motion = rng.lognormal(1, 0.4, SECONDS // MOTION_S)
    return size, motion + 80 * size.reshape(-1, MOTION_S).mean(axis=1)


def worn(rng: Rng, _person: int) -> CoupledPerson:
    """Return two measures that movements disturb, of which only a worn sensor tells."""
    size, motion = movements(rng)
    return CoupledPerson(_wander(rng) + MOVED * size, _wander(rng) + MOVED * size, motion=motion)


def true_and_worn(rng: Rng, _person: int) -> CoupledPerson:
    """Return r = .2 beside movements that disturb neither."""
    return replace(true(rng, 0.2), motion=movements(rng)[1])


def true(rng: Rng, rho: float) -> CoupledPerson:
    """Return two measures of which the second follows the first by ``LAG``."""
    first, own = _wander(rng), _wander(rng)
    return CoupledPerson(first, rho * np.roll(first, LAG) + np.sqrt(1 - rho**2) * own + _fall())


def true_in_film(rng: Rng, _person: int) -> CoupledPerson:
    """Return r = .2 beside what follows the film."""
    own, (face, heart) = true(rng, 0.2), followed(rng)
    return replace(own, face=own.face + face, vital=own.vital + heart)


def true_and_still(rng: Rng, _person: int) -> CoupledPerson:
    """Return r = .2, with the pose of a head that sits still."""
    return replace(true(rng, 0.2), turned=still(rng))


FILMS = {"anger": 80, "happiness": 110, "neutral": 140}
ORDERS = tuple(permutations(FILMS))


def blocks(rng: Rng, person: int, apart_s: float = 0.0) -> list[CoupledPerson]:
    """Return one or two sessions of three films in an order of their own.

    Args:
        rng: random numbers.
        person: their number.
        apart_s: standard deviation of the times in which people meet an event.
    """
    visits = 2 if person % 3 == 0 else 1
    return [_block(rng, f"P{person:02d}", person + 2 * visit, apart_s) for visit in range(visits)]


def own_times(rng: Rng, person: int) -> list[CoupledPerson]:
    """Return the same, in which everybody meets each event in a time of their own."""
    return blocks(rng, person, 2.0)


def _block(rng: Rng, code: str, order: int, apart_s: float) -> CoupledPerson:
    at, stimuli = 10.0, []
    events: list[float] = []
    for label in ORDERS[order % len(ORDERS)]:
        at += rng.uniform(15, 60)
        stimuli.append((label, at, at + FILMS[label]))
        events += [
            at + second + rng.normal(0, apart_s) for second in range(15, FILMS[label] - 10, 30)
        ]
        at += FILMS[label]
    n = round(at) + 20
    heavy = rng.standard_t(3, (2, n + 200)) * np.sqrt((1 - PHI**2) / 3)
    noise = signal.lfilter([1], [1, -PHI], heavy, axis=1)[:, 200:]
    face = noise[0] + rng.gamma(4, FOLLOWED / 4) * _after(events, 3, n) + _fall(n) / 2
    vital = noise[1] + rng.gamma(4, FOLLOWED / 4) * _after([e + 6 for e in events], 5, n) + _fall(n)
    for values in (face, vital):
        for start in rng.integers(0, n, n // 100).tolist():
            values[start : start + 10] = np.nan
    return CoupledPerson(face, vital, tuple(stimuli), code=code)


# --- Studies --------------------------------------------------------------------------------------


def study(rng: Rng, make: Make, people: int) -> CoupledSessions:
    """Return the series of a simulated study as the analysis reads them."""
    sessions: list[Session] = []
    both: list[tuple[CountedSeries, CountedSeries]] = []
    stimuli: list[SessionStimulus] = []
    pose: dict[int, Sequence[CountedSeries]] = {}
    motion: dict[int, CountedSeries] = {}
    for person in range(people):
        made = make(rng, person)
        for one in made if isinstance(made, list) else [made]:
            number = len(sessions) + 1
            start_ms = 10_000_000 * number
            code = one.code or f"P{person:02d}"
            session = Session(
                number, code, Purpose.RESEARCH, "", start_ms, start_ms + 1000 * len(one.face)
            )
            sessions.append(session)
            both.append(
                (
                    _series(session, ExpressionKind.VALENCE, one.face),
                    _series(session, VitalKind.HEART_RATE, one.vital),
                )
            )
            if one.turned is not None:
                angles = zip(POSE, one.turned, strict=True)
                pose[number] = [_series(session, kind, values) for kind, values in angles]
            if one.motion is not None:
                at_ms = start_ms + 1000 * MOTION_S * np.arange(1, len(one.motion) + 1)
                of_it = (session, VitalKind.BODY_MOTION, "simulated", at_ms, one.motion)
                motion[number] = CountedSeries(*of_it, simulated=False)
            for label, *span in one.stimuli:
                first, last = (start_ms + round(1000 * at) for at in span)
                stimuli.append(SessionStimulus(number, code, False, label, first, last, None))
    return CoupledSessions(sessions, 0, both, stimuli, pose, motion)


def _series(session: Session, kind: Measure, values: Reals) -> CountedSeries:
    known = np.flatnonzero(~np.isnan(values))
    at_ms = session.start_ms + 1000 * known + 500
    return CountedSeries(session, kind, "simulated", at_ms, values[known], simulated=False)


AT_LAG = CouplingQuery(lag=LAG)
AT_LAGS = CouplingQuery(lag=LAG, lags=LAGS)


def _answers(
    make: Make, studies: int, people: int, query: CouplingQuery = AT_LAG
) -> list[CouplingModel]:
    rng = np.random.default_rng(people)
    return [couple(study(rng, make, people), query, Sample.MEASURED) for _ in range(studies)]


def told(make: Make, studies: int, people: int) -> float:
    """Return the share of the studies in which an association is reported at the declared lag."""
    return float(np.mean([one.shown for one in _answers(make, studies, people)]))


def told_at_a_lag(make: Make, studies: int, people: int) -> float:
    """Return the share in which one is reported at any lag, judged by the largest of all."""
    every = _answers(make, studies, people, AT_LAGS)
    return float(np.mean([min((lag.p or 1.0) for lag in one.lags) < ALPHA for one in every]))


# --- What would be told otherwise -----------------------------------------------------------------


def _otherwise(
    make: Make, studies: int, people: int, is_told: Callable[[list[CoupledPerson]], bool]
) -> float:
    rng = np.random.default_rng(people)
    every = [[make(rng, person) for person in range(people)] for _ in range(studies)]
    return float(
        np.mean([is_told([p for p in one if isinstance(p, CoupledPerson)]) for one in every])
    )


def _z(person: CoupledPerson, lag: int = LAG) -> float:
    value = person_z([lagged((person.face, person.vital), lag)])
    assert value is not None
    return value


def is_told_alone(people: list[CoupledPerson]) -> bool:
    """Tell what the people's own correlations find, without others."""
    return coupling_test([_z(one) for one in people]).p < ALPHA


def is_told_by_rmcorr(people: list[CoupledPerson]) -> bool:
    """Tell what p of r with the degrees of freedom of its pairs finds."""
    within = repeated_correlation([lagged((one.face, one.vital), LAG) for one in people])
    t = within.r * np.sqrt(within.df / (1 - within.r**2))
    return bool(2 * special.stdtr(within.df, -abs(t)) < ALPHA)


def is_told_by_the_best_lag(people: list[CoupledPerson]) -> bool:
    """Tell what the best lag finds where nothing is done about their number."""
    lags = range(-LAGS, LAGS + 1)
    return min(coupling_test([_z(one, lag) for one in people]).p for lag in lags) < ALPHA


def measure(studies: int) -> dict[str, float]:
    """Return the figures."""
    few = max(1, studies // 10)
    moves = _answers(moved, studies, 20)
    return {
        **{f"coupling_false_lag_{n}": told(alone, studies, n) for n in PEOPLE},
        **{f"coupling_false_lags_{n}": told_at_a_lag(alone, studies, n) for n in PEOPLE},
        **{f"coupling_film_{n}": told(film, studies, n) for n in PEOPLE},
        "coupling_film_lags_12": told_at_a_lag(film, studies // 2 or 1, 12),
        "coupling_close_film_20": told(close_film, studies, 20),
        "coupling_fall_20": told(fall, studies, 20),
        "coupling_moved_20": float(np.mean([one.shown for one in moves])),
        "coupling_moved_tested_20": float(np.mean([one.p is not None for one in moves])),
        "coupling_worn_12": told(worn, studies, 12),
        **{f"coupling_unwatched_{n}": told(unwatched, studies, n) for n in PEOPLE},
        "coupling_blocks_18": told(blocks, studies, 18),
        "coupling_own_times_18": told(own_times, studies, 18),
        "coupling_alone_film_20": _otherwise(film, few, 20, is_told_alone),
        "coupling_alone_fall_20": _otherwise(fall, few, 20, is_told_alone),
        "coupling_alone_moved_20": _otherwise(moved, few, 20, is_told_alone),
        "coupling_false_rmcorr_20": _otherwise(alone, few, 20, is_told_by_rmcorr),
        "coupling_false_best_lag_20": _otherwise(alone, few, 20, is_told_by_the_best_lag),
        "coupling_found_20": told(lambda rng, _: true(rng, 0.2), studies, 20),
        "coupling_found_weak_20": told(lambda rng, _: true(rng, 0.1), few, 20),
        "coupling_found_film_20": told(true_in_film, studies, 20),
        "coupling_found_still_20": told(true_and_still, studies, 20),
        "coupling_found_worn_20": told(true_and_worn, studies, 20),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, "simulated studies of each kind"))
