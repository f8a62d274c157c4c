"""False findings of the association of two measures within people, where there is none.

    python -m benchmarks coupling  (python -m benchmarks.simulated.coupling --json [--studies N])

Each simulated person has 10 minutes of two measures once a second, which know nothing of each
other: each AR(.95), the second with a fall over the session (time constant 3 minutes) that all
people share. Figures are shares of the studies in which an association is told, p below .05:

    coupling_false_lag_6, _12, _20      at the declared lag of 5 s, with so many people
    coupling_false_lags_6, _12, _20     at the best of the lags from −30 to 30 s, judged by the
                                        largest of all lags under flips of whole people
    coupling_false_rmcorr_20            what the p of the repeated-measures correlation would tell
    coupling_false_best_lag_20          what the best of the lags would tell without a correction
    coupling_found_20                   the declared lag, where the second follows the first by 5 s
                                        with r = .1
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import signal, special

from benchmarks._command import benchmark
from dashboard.statistics.coupling import (
    Stretch,
    coupling_test,
    lag_test,
    lagged,
    person_z,
    repeated_correlation,
)

PEOPLE = (6, 12, 20)
SECONDS = 600
PHI = 0.95
LAG = 5
LAGS = range(-30, 31)
FALL = 3.0
FALL_S = 180.0
RHO = 0.1
ALPHA = 0.05
Reals = npt.NDArray[np.float64]


def _wander(rng: np.random.Generator) -> Reals:
    noise = rng.normal(0, np.sqrt(1 - PHI**2), SECONDS + 200)
    return np.asarray(signal.lfilter([1], [1, -PHI], noise)[200:], np.float64)


def person(rng: np.random.Generator, rho: float = 0.0) -> Stretch:
    """Return two measures of a person; the second follows the first by ``LAG`` with ``rho``."""
    first, own = _wander(rng), _wander(rng)
    second = rho * np.roll(first, LAG) + np.sqrt(1 - rho**2) * own
    return first, second + FALL * np.exp(-np.arange(SECONDS) / FALL_S)


def _z(stretch: Stretch, lag: int) -> float:
    value = person_z([lagged(stretch, lag)])
    assert value is not None
    return value


def is_told_at_the_lag(people: list[Stretch]) -> bool:
    """Tell whether the declared lag finds an association."""
    return coupling_test([_z(one, LAG) for one in people]).p < ALPHA


def _table(people: list[Stretch]) -> Reals:
    return np.array([[_z(one, lag) for lag in LAGS] for one in people])


def is_told_at_a_lag(people: list[Stretch]) -> bool:
    """Tell whether any lag has an association, judged by the largest of all."""
    test = lag_test(_table(people), seed=1)
    return test is not None and float(test.p.min()) < ALPHA


def is_told_by_rmcorr(people: list[Stretch]) -> bool:
    """Tell what p of r with the degrees of freedom of its pairs finds."""
    within = repeated_correlation([lagged(one, LAG) for one in people])
    t = within.r * np.sqrt(within.df / (1 - within.r**2))
    return bool(2 * special.stdtr(within.df, -abs(t)) < ALPHA)


def is_told_by_the_best_lag(people: list[Stretch]) -> bool:
    """Tell what the best lag finds where nothing is done about their number."""
    return min(coupling_test(column).p for column in _table(people).T) < ALPHA


def _share(
    studies: int, people: int, is_told: Callable[[list[Stretch]], bool], rho: float = 0.0
) -> float:
    rng = np.random.default_rng(people)
    told = [is_told([person(rng, rho) for _ in range(people)]) for _ in range(studies)]
    return float(np.mean(told))


def measure(studies: int) -> dict[str, float]:
    """Return the figures."""
    few = max(1, studies // 10)
    return {
        **{f"coupling_false_lag_{n}": _share(studies, n, is_told_at_the_lag) for n in PEOPLE},
        **{f"coupling_false_lags_{n}": _share(studies, n, is_told_at_a_lag) for n in PEOPLE},
        "coupling_false_rmcorr_20": _share(few, 20, is_told_by_rmcorr),
        "coupling_false_best_lag_20": _share(few, 20, is_told_by_the_best_lag),
        "coupling_found_20": _share(few, 20, is_told_at_the_lag, RHO),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, "simulated studies of each kind"))
