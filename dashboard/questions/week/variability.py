"""Variability of the heart over a week: RMSSD of each five minutes of its sessions, as live. Pure.

The rules are those of ``edge_agent.core.variability``, over all beats at once: a week of a strap
has a third of a million.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from dashboard.analysis.readings.states import best_source
from dashboard.questions.week.answer import WeekVariabilityModel
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.variability import LATE_S, LEAST_SHARE, MOST_CHANGE, NEIGHBOURS, WINDOW_S
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.observed import Beats

_WINDOW_MS = round(1000 * WINDOW_S)
Reals = npt.NDArray[np.float64]


def variability_of(beats: Iterable[Beats]) -> WeekVariabilityModel | None:
    """Return median and quartiles of RMSSD over the stretches of five minutes with enough good
    beats; ``None`` without one.

    Args:
        beats: of all sessions, each an unbroken time of one source; of several sources of a session
            the one with the most intervals counts.
    """
    of_session: defaultdict[int, list[Beats]] = defaultdict(list)
    for one in beats:
        of_session[one.session].append(one)
    every = [five_minutes(part) for own in of_session.values() for part in _of_best_source(own)]
    values, less = np.concatenate([np.empty((0, 2)), *every]).T
    if not len(values):
        return None
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return WeekVariabilityModel(
        median_ms=median,
        low_ms=low,
        high_ms=high,
        stretches=len(values),
        without_errors_ms=None if np.isnan(less).any() else float(np.median(less)),
    )


def _of_best_source(parts: Sequence[Beats]) -> list[Beats]:
    counts: defaultdict[str, int] = defaultdict(int)
    for one in parts:
        counts[one.source] += len(one.values)
    chosen = best_source({source: (n, n) for source, n in counts.items()}, ())
    return [one for one in parts if one.source == chosen]


def five_minutes(beats: Beats) -> Reals:
    """Return RMSSD of each five minutes from the first beat on, ms, without those of which good
    beats fill less than 80 %; beside it the same less what the errors add that the sensor states
    (``rms_without_errors``; 0 where they exceed what was measured), NaN where it states none.
    """
    at, x = beats.at_ms, beats.values
    low, high = VitalKind.RR_INTERVAL.plausible
    doubtful = np.any([beats.have_flag(flag) for flag in UNUSABLE], axis=0)
    sound = (x >= low) & (x <= high) & ~doubtful
    usual = _medians(np.where(sound, x, np.inf))
    good = sound & (np.abs(np.where(sound, x, 0) - usual) <= MOST_CHANGE * usual)
    window = (at - at[0]) // _WINDOW_MS
    n = int(window[-1]) + 1
    seconds = np.bincount(window[good], weights=x[good], minlength=n)
    late = np.diff(at) / 1000 - x[1:] > LATE_S
    pairs = good[1:] & good[:-1] & ~late & (np.diff(window) == 0)
    of_pairs = window[1:][pairs]
    squares = np.bincount(of_pairs, weights=np.diff(x)[pairs] ** 2, minlength=n)
    counts = np.bincount(of_pairs, minlength=n)
    enough = (seconds >= LEAST_SHARE * WINDOW_S) & (counts > 0)
    errors = np.full(len(x), np.nan) if beats.errors is None else beats.errors
    of_two = (np.pi / 2 * (errors[1:] ** 2 + errors[:-1] ** 2))[pairs]
    added = np.bincount(of_pairs, weights=of_two, minlength=n)
    both: Reals = np.stack([squares, np.maximum(squares - added, 0)], axis=1)[enough]
    return 1000 * np.sqrt(both / counts[enough, np.newaxis])


def _medians(values: Reals) -> Reals:
    """Return the median of each value and its neighbours that are finite; 0 where none is."""
    padded = np.pad(values, NEIGHBOURS, constant_values=np.inf)
    ranked = np.sort(sliding_window_view(padded, 2 * NEIGHBOURS + 1), axis=1)
    n = np.isfinite(ranked).sum(axis=1)
    places = np.arange(len(values))
    middle = (ranked[places, np.maximum(n - 1, 0) // 2] + ranked[places, n // 2]) / 2
    return np.where(n > 0, middle, 0.0)
