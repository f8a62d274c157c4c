"""Curves around events, their figures and the cluster test, against NeuroKit2, MNE and by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from dashboard.statistics.responses import (
    EventWindow,
    are_apart,
    band_of,
    cluster_test,
    curve_around,
    figures_of,
    less_baseline,
    mean_curve,
    step_for,
)
from edge_agent.core.errors import StatisticsError

NAN = math.nan

# By NeuroKit2 0.3.0, ``_eventrelated_rate`` of epochs with a sample a second at -4.5 … 29.5 s. Its
# baseline is the one sample before the event, ours with one second before it.
RISING = (
    *(71.4, 68.2, 70.3, 69.6, 69.7, 70.3, 69.9, 71.9, 72.0, 75.5, 73.8, 73.7, 74.1, 74.1, 74.0),
    *(74.7, 75.5, 75.1, 76.0, 75.3, 75.6, 76.7, 76.1, 75.4, 75.6, 76.2, 77.2, 75.7, 75.7, 76.6),
    *(75.3, 75.7, 76.6, 76.4, 76.0),
)
FALLING = (
    *(70.2, 69.6, 71.1, 69.2, 70.2, 68.8, 69.7, 67.9, 67.1, 65.6, 67.6, 66.6, 66.2, 66.3, 65.5),
    *(64.6, 64.3, 64.2, 65.6, 63.5, 64.0, 64.2, 64.5, 64.7, 63.4, 63.0, 64.2, 65.0, 64.6, 64.3),
    *(63.9, 64.3, 63.9, 64.6, 63.5),
)
# By MNE 1.13.2, ``permutation_cluster_1samp_test(x, tail=0, n_permutations="all")`` of the twenty
# sets of ``made_up``: first bin, bin behind the last, sum of t, p. It leaves one flip out, so its
# p differs by less than 1 / flips.
BY_MNE: tuple[tuple[tuple[int, int, float, float], ...], ...] = (
    (),
    ((2, 3, -3.111880427, 0.333333333), (12, 13, 2.552596334, 0.444444444)),
    ((8, 13, 17.803848584, 0.015748031),),
    (
        (0, 1, -3.030800567, 0.282352941),
        (3, 5, -5.007781013, 0.219607843),
        (7, 13, 28.400575537, 0.003921569),
        (17, 18, -2.595845221, 0.37254902),
        (19, 20, -2.411511633, 0.450980392),
        (22, 23, -2.826686385, 0.31372549),
    ),
    ((1, 5, 12.422224326, 0.050880626),),
    ((13, 14, 3.066283984, 0.258064516),),
    ((8, 14, 23.817646704, 0.003908158),),
    ((9, 15, 29.083554215, 0.001465201),),
    (),
    (),
    (
        (13, 15, 5.820870835, 0.25984252),
        (25, 26, -2.651766569, 0.551181102),
        (27, 29, -10.488651816, 0.133858268),
    ),
    ((10, 16, 39.552266762, 0.003921569),),
    ((11, 12, -3.606090908, 0.30332681), (21, 22, -3.038702767, 0.348336595)),
    ((0, 1, -3.102135096, 0.201368524), (9, 12, 7.609161399, 0.072336266)),
    ((8, 13, 16.679529245, 0.012701514), (16, 18, 5.472386261, 0.134831461)),
    ((7, 13, 29.227043893, 0.0004884),),
    ((22, 23, -2.859623235, 0.548387097),),
    (),
    ((22, 23, -3.71350368, 0.220472441), (24, 25, -2.405412596, 0.417322835)),
    (
        (0, 1, -2.478447629, 0.482352941),
        (8, 14, 31.413535793, 0.003921569),
        (25, 26, 2.464062194, 0.494117647),
    ),
)


def made_up(number: int) -> npt.NDArray[np.float64]:
    """Return curves of 6 to 13 people: AR(.8), with a rise of six bins in three sets of four."""
    state = number + 1

    def chance() -> float:
        nonlocal state
        state = (1_103_515_245 * state + 12_345) % 2**31
        return state / 2**31

    for _ in range(9):
        chance()
    curves = np.zeros((6 + number % 8, 20 + number % 13))
    for curve in curves:
        level = 0.0
        for place in range(len(curve)):
            level = 0.8 * level + sum(chance() for _ in range(4)) - 2
            rises = len(curve) // 3 <= place < len(curve) // 3 + 6
            curve[place] = level + 0.5 * (number % 4) * rises
    return curves


def test_curve_has_the_mean_of_each_bin_and_fills_a_single_gap() -> None:
    at = np.array([9_100, 9_900, 10_000, 11_500, 13_200], dtype=np.int64)
    values = np.array([60.0, 62.0, 70.0, 72.0, 80.0])
    curve = curve_around(at, values, 10_000, EventWindow(2, 6))
    # the bin of 12 s lies between two with readings; those from 14 s on do not
    np.testing.assert_array_equal(curve, [NAN, 61, 70, 72, 76, 80, NAN, NAN])


def test_baseline_with_less_than_half_of_its_bins_leaves_the_event_out() -> None:
    window = EventWindow(4, 2)
    assert less_baseline(np.array([NAN, NAN, NAN, 70.0, 72.0, 74.0]), window) is None
    assert less_baseline(np.array([70.0, 70.0, 70.0, 70.0, NAN, NAN]), window) is None
    found = less_baseline(np.array([NAN, 68.0, 70.0, NAN, 72.0, NAN]), window)
    assert found is not None
    np.testing.assert_array_equal(found[0], [NAN, -1, 1, NAN, 3, NAN])
    assert found[1] == 69.0


def test_events_nearer_than_a_window_are_both_left_out() -> None:
    assert are_apart([0, 34_999, 70_000, 105_000], EventWindow(5, 30)) == [False, False, True, True]


@pytest.mark.parametrize(
    ("spacing", "step"), [(0.8, 1.0), (1.0, 1.0), (1.25, 1.0), (1.3, 2.0), (45.0, 60.0)]
)
def test_grid_is_as_fine_as_the_readings_carry(spacing: float, step: float) -> None:
    assert step_for([spacing, spacing, 600.0]) == step
    assert step_for([]) == 1.0


@pytest.mark.parametrize(
    ("samples", "baseline", "peak", "latency", "mean"),
    [(RISING, 69.7, 7.5, 21.5, 5.19), (FALLING, 70.2, -7.2, 20.5, -5.013333333333335)],
)
def test_figures_of_a_curve_are_those_of_neurokit(
    samples: tuple[float, ...], baseline: float, peak: float, latency: float, mean: float
) -> None:
    window = EventWindow(1, 30)
    found = less_baseline(np.array(samples[4:]), window)
    assert found is not None
    figures = figures_of(*found, window)
    assert figures.baseline == baseline
    assert figures.peak == pytest.approx(peak, abs=1e-9)
    assert figures.latency_s == latency
    assert figures.area == pytest.approx(30 * mean, abs=1e-9)


def test_figures_of_a_curve_with_a_gap_have_no_area_and_no_recovery_in_it() -> None:
    window = EventWindow(1, 6)
    gone = figures_of(np.array([0, 2, 8, 6, 2, 0, 0.0]), 70.0, window)
    # from 6 to 2 it passes 4, half of the peak, in the middle between their bins
    assert (gone.peak, gone.latency_s, gone.area, gone.half_s) == (8, 1.5, 18, 1.5)
    gap = figures_of(np.array([0, 2, 8, 6, NAN, 0, 0.0]), 70.0, window)
    assert (gap.peak, gap.latency_s, gap.area, gap.half_s) == (8, 1.5, None, None)
    flat = figures_of(np.array([0.0, *[NAN] * 6]), 70.0, window)
    assert (flat.peak, flat.latency_s, flat.area, flat.half_s) == (None, None, None, None)


def test_band_of_curves_with_gaps_tells_n_in_each_bin() -> None:
    band = band_of([np.array(one) for one in ([1.0, NAN], [2.0, 4.0], [6.0, NAN])])
    assert band.n.tolist() == [3, 1]
    assert band.mean.tolist() == [3.0, 4.0]
    # R: t.test(c(1, 2, 6))$conf.int
    assert band.low[0] == pytest.approx(-3.57241060773, abs=1e-9)
    assert band.high[0] == pytest.approx(9.57241060773, abs=1e-9)
    assert np.isnan(band.low[1])


def test_mean_of_events_with_gaps_is_of_those_that_have_a_value() -> None:
    mean = mean_curve([np.array([1.0, NAN, NAN]), np.array([3.0, 5.0, NAN])])
    np.testing.assert_array_equal(mean, [2, 5, NAN])


@pytest.mark.parametrize("number", range(20))
def test_clusters_of_made_up_curves_are_those_of_mne(number: int) -> None:
    curves = made_up(number)
    (test,) = cluster_test([curves], [1.0], seed=1)
    assert test is not None
    assert test.is_exact
    assert [(one.first, one.last) for one in test.clusters] == [one[:2] for one in BY_MNE[number]]
    flips = 2 ** (len(curves) - 1)
    for ours, (_, _, mass, p) in zip(test.clusters, BY_MNE[number], strict=True):
        assert ours.mass == pytest.approx(mass, abs=1e-8)
        assert ours.p == pytest.approx(p, abs=1 / flips)


def test_cluster_test_of_fewer_than_six_people_is_none() -> None:
    curves = made_up(3)[:6]
    (test,) = cluster_test([curves], [1.0], seed=1)
    assert test is not None
    assert test.p >= 2 / 64
    curves[0] = NAN
    assert cluster_test([curves], [1.0], seed=1) == (None,)


def test_cluster_test_of_several_curves_is_one_family() -> None:
    alone = [cluster_test([made_up(number)[:8]], [1.0], seed=1)[0] for number in (2, 6)]
    together = cluster_test([made_up(number)[:8, :22] for number in (2, 6)], [1.0, 1.0], seed=1)
    for one, in_family in zip(alone, together, strict=True):
        assert one is not None
        assert in_family is not None
        assert in_family.p >= one.p


def test_cluster_test_of_many_people_repeats_itself_with_its_seed() -> None:
    curves = np.vstack([made_up(3)[:9, :20], made_up(7)[:9, :20]])
    (first,) = cluster_test([curves], [1.0], seed=7)
    assert first is not None
    assert not first.is_exact
    assert first == cluster_test([curves], [1.0], seed=7)[0]
    assert first != cluster_test([curves], [1.0], seed=8)[0]


def test_cluster_test_of_a_curve_with_a_gap_is_refused() -> None:
    curves = made_up(3)
    curves[0, 4] = NAN
    with pytest.raises(StatisticsError):
        cluster_test([curves], [1.0], seed=1)
