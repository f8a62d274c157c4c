"""The association of two series within people, against pingouin and SciPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from dashboard.statistics.coupling import (
    Presentations,
    beside_others,
    coupling_test,
    intervals,
    lag_test,
    lagged,
    person_z,
    repeated_correlation,
)
from dashboard.statistics.responses import Reals
from dashboard.statistics.samples import NoVariationError, TooFewError

# Bland & Altman 1995, BMJ 310:446, table 1: pH and PaCO2 of eight people, as pingouin's example.
ACIDS = (
    ((6.68, 6.53, 6.43, 6.33), (3.97, 4.12, 4.09, 3.97)),
    ((6.85, 7.06, 7.13, 7.17), (5.27, 5.37, 5.41, 5.44)),
    (
        (7.4, 7.42, 7.41, 7.37, 7.34, 7.35, 7.28, 7.3, 7.34),
        (5.67, 3.64, 4.32, 4.73, 4.96, 5.04, 5.22, 4.82, 5.07),
    ),
    ((7.36, 7.33, 7.29, 7.3, 7.35), (5.67, 5.1, 5.53, 4.75, 5.51)),
    (
        (7.35, 7.3, 7.3, 7.37, 7.27, 7.28, 7.32, 7.32),
        (4.28, 4.44, 4.32, 3.23, 4.46, 4.72, 4.75, 4.99),
    ),
    ((7.38, 7.3, 7.29, 7.33, 7.31, 7.33), (4.78, 4.73, 5.12, 4.93, 5.03, 4.93)),
    ((6.86, 6.94, 6.92), (6.85, 6.44, 6.52)),
    (
        (7.19, 7.29, 7.21, 7.25, 7.2, 7.19, 6.77, 6.82),
        (5.28, 4.56, 4.34, 4.32, 4.41, 3.69, 6.09, 5.58),
    ),
)
Z = (0.31, -0.05, 0.22, 0.4, 0.11, 0.18, -0.02)


def wandering(rng: np.random.Generator, n: int) -> Reals:
    return np.cumsum(rng.normal(size=n)).astype(np.float64)


def test_repeated_correlation_equals_pingouin() -> None:
    found = repeated_correlation([(np.array(x), np.array(y)) for x, y in ACIDS])
    # pingouin 0.7.0: rm_corr(read_dataset("rm_corr"), "pH", "PacO2", "Subject")
    assert found.r == pytest.approx(-0.5067697422330647, abs=1e-9)
    assert found.df == 38


def test_repeated_correlation_passes_over_gaps_and_needs_variation() -> None:
    x, y = (np.array(row) for row in ACIDS[2])
    gaps = (np.append(x, [np.nan, 1.0]), np.append(y, [2.0, np.nan]))
    assert repeated_correlation([gaps]) == repeated_correlation([(x, y)])
    with pytest.raises(NoVariationError):
        repeated_correlation([(x, 0 * y + 72.1)])
    with pytest.raises(TooFewError):
        repeated_correlation([(x[:1], y[:1])])


def test_person_z_is_the_correlation_of_what_a_line_leaves() -> None:
    rng = np.random.default_rng(1)
    x, y, at = wandering(rng, 200), wandering(rng, 200), np.arange(200.0)
    x[50:60] = np.nan
    known = ~np.isnan(x)
    left = [
        one[known] - np.polyval(np.polyfit(at[known], one[known], 1), at[known]) for one in (x, y)
    ]
    expected = math.atanh(stats.pearsonr(*left).statistic)
    assert person_z([(x, y)]) == pytest.approx(expected, abs=1e-9)
    drifted = person_z([(x + 3 * at, y - 5 * at + 70)])
    assert drifted == pytest.approx(expected, abs=1e-9), "a linear drift changes nothing"


def test_person_z_over_two_sessions_does_not_see_their_levels() -> None:
    rng = np.random.default_rng(2)
    one, other = (
        (wandering(rng, 100), wandering(rng, 100)),
        (wandering(rng, 80), wandering(rng, 80)),
    )
    moved = (other[0] + 50, other[1] + 50)
    assert person_z([one, other]) == pytest.approx(person_z([one, moved]), abs=1e-9)


def test_person_z_without_enough_pairs_or_variation_is_none() -> None:
    rng = np.random.default_rng(3)
    x, y = wandering(rng, 29), wandering(rng, 29)
    assert person_z([(x, y)]) is None
    assert person_z([(wandering(rng, 60), np.full(60, 72.1))]) is None
    assert person_z([(wandering(rng, 60), np.linspace(70, 76, 60))]) is None


def crossed(pairs: Sequence[tuple[Reals, Reals]]) -> float:
    """Return Fisher's z of what a line leaves of both, by NumPy and SciPy."""
    left: list[list[Reals]] = [[], []]
    for x, y in pairs:
        known = ~(np.isnan(x) | np.isnan(y))
        at = np.flatnonzero(known)
        for rest, one in zip(left, (x[known], y[known]), strict=True):
            rest.append(one - np.polyval(np.polyfit(at, one, 1), at))
    return math.atanh(stats.pearsonr(*(np.concatenate(one) for one in left)).statistic)


def test_beside_others_is_each_z_less_those_with_other_people() -> None:
    rng = np.random.default_rng(7)
    films, songs = (
        [(wandering(rng, n), wandering(rng, n) + 70) for n in lengths]
        for lengths in ((90, 90, 90), (40, 40))
    )
    films[1][0][20:35] = np.nan
    films[2][1][50:] = np.nan
    song = Presentations(
        np.array([0, 2]), np.array([0, 0]), *(np.stack(one) for one in zip(*songs, strict=True))
    )
    film = Presentations(
        np.arange(3), np.zeros(3, int), *(np.stack(one) for one in zip(*films, strict=True))
    )
    found = beside_others([film, song], 3, lag=4)
    cut = [[(x[:-4], y[4:]) for x, y in one] for one in (films, songs)]

    def at(stimulus: int, face: int, heart: int) -> tuple[Reals, Reals]:
        return cut[stimulus][face][0], cut[stimulus][heart][1]

    alone, in_film = crossed([at(0, 0, 0), at(1, 0, 0)]), crossed([at(0, 0, 0)])
    others = crossed([at(0, 0, 1)]), crossed([at(0, 0, 2), at(1, 0, 1)])
    assert found.z[0] == pytest.approx(alone, abs=1e-9)
    assert found.z_others[0] == pytest.approx(sum(others) / 2, abs=1e-9)
    # the second person heard no song: beside them, the first one's film counts alone
    expected = (in_film - others[0] + alone - others[1]) / 2
    assert found.difference[0] == pytest.approx(expected, abs=1e-9)
    assert found.others.tolist() == [2, 2, 2]
    assert found.pairs.tolist() == [86 + 36, 86 - 15, 46 + 36]


def test_beside_others_takes_of_others_the_session_of_the_same_place() -> None:
    rng = np.random.default_rng(8)
    face, heart = (np.stack([wandering(rng, 50) for _ in range(4)]) for _ in range(2))
    both = Presentations(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 2]), face, heart)
    found = beside_others([both], 2, lag=0)
    assert found.z_others[0] == pytest.approx(
        crossed([(face[0], heart[2]), (face[1], heart[2])]), abs=1e-9
    )
    assert found.z_others[1] == pytest.approx(
        crossed([(face[2], heart[0]), (face[3], heart[1])]), abs=1e-9
    )


def test_beside_others_without_enough_pairs_or_others_is_nan() -> None:
    rng = np.random.default_rng(9)
    one = wandering(rng, 60)[np.newaxis]
    alone = beside_others([Presentations(np.zeros(1, int), np.zeros(1, int), one, one**2)], 2, 0)
    assert np.isnan(alone.difference).all() and alone.others.tolist() == [0, 0]
    short = np.stack([wandering(rng, 29), wandering(rng, 29)])
    few = beside_others([Presentations(np.arange(2), np.zeros(2, int), short, short[::-1])], 2, 0)
    assert np.isnan(few.z).all()
    long = np.stack([wandering(rng, 60), wandering(rng, 60)])
    flat = np.stack([np.full(60, 72.1), np.linspace(70, 76, 60)])
    still = beside_others([Presentations(np.arange(2), np.zeros(2, int), long, flat)], 2, 0)
    assert np.isnan(still.z).all()
    assert np.isnan(
        beside_others([Presentations(np.arange(2), np.zeros(2, int), long, flat)], 2, 90).z
    ).all()


def test_lag_says_by_how_many_bins_the_second_follows() -> None:
    rng = np.random.default_rng(4)
    x = wandering(rng, 300)
    y = np.r_[rng.normal(size=5), x[:-5]] + 0.01 * rng.normal(size=300)
    found = {lag: person_z([lagged((x, y), lag)]) or 0.0 for lag in range(-9, 10)}
    assert max(found, key=found.__getitem__) == 5
    assert lagged((x, y), 300)[0].size == 0


def test_coupling_test_equals_scipy_on_one_value_a_person() -> None:
    found = coupling_test(Z)
    # SciPy 1.x: ttest_1samp(Z, 0), and tanh of its confidence interval
    assert (found.n, found.df) == (7, 6)
    assert [found.t, found.p] == pytest.approx([2.637355713833521, 0.038677005968423404], abs=1e-9)
    ends = [0.011862540277308561, 0.30652755224591155]
    assert [found.interval.low, found.interval.high] == pytest.approx(ends, abs=1e-9)
    assert found.r == pytest.approx(0.1628234857258127, abs=1e-9)
    (at_a_lag,) = intervals(np.array(Z)[:, np.newaxis]) or (None,)
    assert at_a_lag is not None
    assert [at_a_lag.low, at_a_lag.high] == pytest.approx(ends, abs=1e-9)
    assert intervals(np.zeros((2, 1))) is None
    with pytest.raises(TooFewError, match="at least 3; there are 2"):
        coupling_test(Z[:2])
    with pytest.raises(NoVariationError):
        coupling_test([0.2, 0.2, 0.2])


def test_lag_test_of_one_lag_is_an_exact_sign_flip_test() -> None:
    z = np.array(Z)[:, np.newaxis]
    found = lag_test(z, seed=1)
    assert found is not None
    signs = np.where((np.arange(128)[:, None] >> np.arange(7)) & 1, -1.0, 1.0)
    sums = np.abs(signs @ z[:, 0])  # without a change of spread, |t| rises with |sum|
    assert found.p[0] == np.mean(sums >= z.sum() - 1e-12)
    assert (found.flips, found.is_exact) == (128, True)


def test_lag_test_judges_each_lag_by_the_largest_of_all() -> None:
    rng = np.random.default_rng(5)
    z = rng.normal(0, 0.2, (12, 21))
    z[:, 13] += 0.5
    found = lag_test(z, seed=1)
    assert found is not None
    assert found.p[13] < 0.01 and int(np.argmin(found.p)) == 13
    for lag, together in enumerate(found.p):
        alone = lag_test(z[:, [lag]], seed=1)
        assert alone is not None and alone.p[0] <= together
    assert lag_test(z[:5], seed=1) is None, "five people never reach .05"
