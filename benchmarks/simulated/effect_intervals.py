"""How often the 95 % interval of Hedges' g holds the true effect, in simulated small studies.

    python -m benchmarks.simulated.effect_intervals [--json] [--samples N]

Normal values, standard deviations 1 and 1.2; pairs correlate by 0.3 or 0.8. *plain* is the interval
that ``dashboard.statistics.hedges_g`` gives, *shrunk* the same multiplied by the small-sample
correction J, as some programs do. An interval holds the effect δ exactly when P(T ≤ t) of the
noncentral t at δ · s_av / SE lies in 0.025…0.975, so that no interval has to be solved for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from benchmarks._command import benchmark

SECOND_SD = 1.2
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StudyKind:
    """A kind of study: people in each state, true effect, correlation of a person's two values."""

    n: int
    effect: float
    correlation: float | None


STUDIES = tuple(
    StudyKind(n, effect, correlation)
    for correlation in (0.3, 0.8, None)
    for n in (3, 4, 6, 12, 30)
    for effect in (0.0, 0.5, 1.0)
)


def coverage(study: StudyKind, samples: int, rng: np.random.Generator) -> tuple[float, float]:
    """Return the shares of plain and shrunk intervals that hold the effect."""
    a, b = _draw(study, samples, rng)
    va = a.var(axis=1, ddof=1)
    vb = b.var(axis=1, ddof=1)
    if study.correlation is None:
        v = va / study.n
        w = vb / study.n
        error = np.sqrt(v + w)
        df = (v + w) ** 2 / ((v**2 + w**2) / (study.n - 1))
        shared = np.zeros(samples)
    else:
        shared = ((a - a.mean(axis=1, keepdims=True)) * (b - b.mean(axis=1, keepdims=True))).sum(
            axis=1
        ) / (study.n - 1)
        error = (a - b).std(axis=1, ddof=1) / math.sqrt(study.n)
        df = np.full(samples, study.n - 1.0)
    average = np.sqrt((va + vb) / 2)
    difference = a.mean(axis=1) - b.mean(axis=1)
    own = (study.n - 1) * (va + vb) ** 2 / (va**2 + vb**2 + 2 * shared**2)
    shrink = np.exp(special.gammaln(own / 2) - special.gammaln((own - 1) / 2)) / np.sqrt(own / 2)

    def held(factor: Values | float) -> float:
        level = special.nctdtr(df, study.effect / factor * average / error, difference / error)
        return float(np.mean((level >= 0.025) & (level <= 0.975)))

    return held(1.0), held(shrink)


def _draw(study: StudyKind, samples: int, rng: np.random.Generator) -> tuple[Values, Values]:
    """Draw both states of every simulated study."""
    a, b = rng.standard_normal((2, samples, study.n))
    if study.correlation is not None:
        b = study.correlation * a + math.sqrt(1 - study.correlation**2) * b
    return a + study.effect * math.sqrt((1 + SECOND_SD**2) / 2), SECOND_SD * b


def measure(samples: int) -> dict[str, float]:
    """Return the extremes over all studies."""
    rng = np.random.default_rng(1)
    coverages = [coverage(study, samples, rng) for study in STUDIES]
    plains = [plain for plain, _ in coverages]
    return {
        "effect_interval_coverage_lowest": min(plains),
        "effect_interval_coverage_highest": max(plains),
        "effect_interval_coverage_shrunk_lowest": min(shrunk for _, shrunk in coverages),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, samples=(20_000, ""))
