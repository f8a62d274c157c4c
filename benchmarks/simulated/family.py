"""How often a family of nine equivalence tests says "excluded" of a difference that is there.

    python -m benchmarks family      (python -m benchmarks.simulated.family --json [--studies N])

Each simulated study has 24 people and nine comparisons (three pairs of three states of three
vitals), each with a true difference as large as the bound: whatever is called excluded is an
error. *unadjusted* is what single tests at 0.05 say, the other what the Analysis page says.
"""

from __future__ import annotations

import numpy as np

from benchmarks._command import benchmark
from dashboard.analysis.question import Correction
from dashboard.analysis.tests.family import ALPHA, adjusted_by
from dashboard.statistics.t_tests import Bounds, Method, equivalence

PEOPLE = 24
TESTS = 9
BOUND = 5.0
SD_PEOPLE = 8.0
SD_MEAN = 4.0


def exclusions(rng: np.random.Generator) -> tuple[bool, bool]:
    """Simulate one study; return whether any test says "excluded", unadjusted and adjusted."""
    tests = []
    for _ in range(TESTS):
        level = rng.normal(75.0, SD_PEOPLE, PEOPLE)
        first = level + BOUND + rng.normal(0.0, SD_MEAN, PEOPLE)
        second = level + rng.normal(0.0, SD_MEAN, PEOPLE)
        tests.append(equivalence(first, second, Method.PAIRED, Bounds(-BOUND, BOUND)))
    adjusted = adjusted_by(Correction.HOLM, [test.p for test in tests])
    return any(test.shown for test in tests), min(adjusted) < ALPHA


def measure(studies: int) -> dict[str, float]:
    """Return both shares."""
    rng = np.random.default_rng(1)
    before, after = np.mean([exclusions(rng) for _ in range(studies)], axis=0).tolist()
    return {"family_wrong_exclusions_unadjusted": before, "family_wrong_exclusions": after}


if __name__ == "__main__":
    benchmark(__doc__, measure, studies=(1000, ""))
