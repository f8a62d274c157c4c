"""Series of measures in bins that begin with a stimulus, so that people can be laid on each other.

A stimulus is known by its label and its number among those of that label in the session: films
that stand under one label in one order for everybody are distinguished. Where a person has several
sessions, their place among these is a third mark (``Presentations``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dashboard.analysis.query import same_label
from dashboard.analysis.readings.series import CountedSeries
from dashboard.statistics.coupling import BesideOthers, Presentations, beside_others
from dashboard.statistics.responses import Integers, Reals
from edge_agent.core.study import Session
from edge_agent.timeline.read.stimuli import SessionStimulus

NEAR_S = 5.0
"""Seconds around a reading in doubt in which its sensor counts as disturbed."""
_LONGEST = 2
"""Over more than so many times the usual distance of two rows no movement is computed."""

Track = tuple[Integers, Reals]
"""Times, UTC epoch milliseconds, and values of one series."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The presentations of the stimuli of a study.

    Attributes:
        codes: the people, sorted; ``owner`` names their places.
        owner: of each stimulus, whose its presentations are.
        place: of each, which session of that person it was in.
        values: by the name of a track, of each stimulus presentations × bins; NaN for a gap, and
            behind a shorter presentation.
    """

    codes: Sequence[str]
    owner: Sequence[Integers]
    place: Sequence[Integers]
    values: Mapping[str, Sequence[Reals]]

    def beside_others(self, first: str, second: str, lag: int) -> BesideOthers:
        """Return how one track follows another in each person, and how other people's does."""
        tracks = (self.values[first], self.values[second])
        stimuli = zip(self.owner, self.place, *tracks, strict=True)
        return beside_others([Presentations(*one) for one in stimuli], len(self.codes), lag)


def grid_of(
    tracks: Mapping[int, Mapping[str, Track]],
    doubts: Mapping[int, Mapping[str, Sequence[int]]],
    sessions: Iterable[Session],
    stimuli: Iterable[SessionStimulus],
    step_s: float,
) -> Grid:
    """Lay tracks on a grid.

    Args:
        tracks: by number of the session and by name.
        doubts: the same of times around which a sensor counts as disturbed: their tracks are 1
            there, else 0.
        sessions: all of these people that are looked at, which say what place one has.
        stimuli: of the sessions. One that a range of time cuts has no start, and counts as none.
        step_s: length of a bin.
    """
    visits: defaultdict[str, list[int]] = defaultdict(list)
    of_session = {one.id: one for one in sessions}
    for session in sorted(of_session.values(), key=lambda one: (one.start_ms, one.id)):
        visits[session.participant].append(session.id)
    codes = sorted({of_session[number].participant for number in tracks})
    step_ms = round(1000 * step_s)
    rows: defaultdict[tuple[str, int], list[tuple[int, int, dict[str, Reals]]]] = defaultdict(list)
    for stimulus in stimuli:
        own = tracks.get(stimulus.session)
        if own is None or stimulus.began_ms is not None:
            continue
        span = (stimulus.start_ms, stimulus.end_ms)
        binned = _bins_of(own, doubts[stimulus.session], span, step_ms)
        if binned is not None:
            code = of_session[stimulus.session].participant
            place = visits[code].index(stimulus.session)
            name = (same_label(stimulus.condition), stimulus.presentation)
            rows[name].append((codes.index(code), place, binned))
    shown = [rows[name] for name in sorted(rows)]
    names = {name for named in (tracks, doubts) for own in named.values() for name in own}
    return Grid(
        codes,
        [np.array([owner for owner, _, _ in own], dtype=np.int64) for own in shown],
        [np.array([place for _, place, _ in own], dtype=np.int64) for own in shown],
        {name: [_table_of([one for *_, one in own], name) for own in shown] for name in names},
    )


def _bins_of(
    tracks: Mapping[str, Track],
    doubts: Mapping[str, Sequence[int]],
    span: tuple[int, int],
    step_ms: int,
) -> dict[str, Reals] | None:
    """Return the tracks of one presentation in bins from its start; ``None`` without a value."""
    start_ms, end_ms = span
    inside = {
        name: (at_ms[here], values[here])
        for name, (at_ms, values) in tracks.items()
        for here in [slice(*np.searchsorted(at_ms, (start_ms, end_ms)).tolist())]
    }
    last_ms = max((int(at_ms[-1]) for at_ms, _ in inside.values() if len(at_ms)), default=None)
    if last_ms is None:
        return None
    bins = (last_ms - start_ms) // step_ms + 1
    binned = {
        name: bin_means(at_ms, values, start_ms, step_ms, bins)
        for name, (at_ms, values) in inside.items()
    }
    near = round(1000 * NEAR_S)
    for name, times in doubts.items():
        at = start_ms + step_ms * np.arange(bins)
        disturbed = np.zeros(bins)
        for one in times:
            disturbed[(at + step_ms > one - near) & (at <= one + near)] = 1.0
        binned[name] = disturbed
    return binned


def bin_means(at_ms: Integers, values: Reals, start_ms: int, step_ms: int, bins: int) -> Reals:
    """Return the mean of the values in each bin; NaN without one."""
    places = (at_ms - start_ms) // step_ms
    inside = (places >= 0) & (places < bins)
    counts = np.bincount(places[inside], minlength=bins)
    sums = np.bincount(places[inside], weights=values[inside], minlength=bins)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _table_of(rows: Sequence[Mapping[str, Reals]], name: str) -> Reals:
    """Return the bins of one track in all presentations, as long as the longest of any track."""
    table = np.full((len(rows), max(len(one) for row in rows for one in row.values())), np.nan)
    for line, row in zip(table, rows, strict=True):
        if name in row:
            line[: len(row[name])] = row[name]
    return table


def held_of(series: CountedSeries) -> Track:
    """Return each value at every second that it is of: those before its time."""
    seconds = np.arange(round(series.kind.spec.window_s))
    at_ms = series.at_ms[:, np.newaxis] - 1000 * seconds - 500
    order = np.argsort(at_ms, axis=None, kind="stable")
    return at_ms.ravel()[order], np.repeat(series.values, len(seconds))[order]


def movement_of(angles: Sequence[CountedSeries]) -> tuple[Track, Track] | None:
    """Return how fast the head turned, degrees a second, and how far it was from its usual pose.

    Args:
        angles: yaw, pitch and roll of one session; fewer tell no movement.
    """
    if len(angles) < 3:
        return None
    at_ms = angles[0].at_ms
    for one in angles[1:]:
        at_ms = np.intersect1d(at_ms, one.at_ms)
    if len(at_ms) < 2:
        return None
    turned = np.stack([one.values[np.searchsorted(one.at_ms, at_ms)] for one in angles])
    apart = np.diff(at_ms)
    near = apart <= _LONGEST * np.median(apart)
    speed = np.sqrt((np.diff(turned, axis=1) ** 2).sum(axis=0)) / (apart / 1000)
    away = np.sqrt(((turned - np.median(turned, axis=1, keepdims=True)) ** 2).sum(axis=0))
    return (at_ms[1:][near], speed[near]), (at_ms, away)
