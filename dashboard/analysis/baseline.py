"""Change from baseline: readings less what the participant's were at rest in the same session."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashboard.analysis.readings import ReadingGroup, StateReadings
from dashboard.analysis.request import AnalysisQuery
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.results import flags_of
from edge_agent.store.read.stimuli import Stimulus

Place = tuple[int, VitalKind, str]
"""Session, vital and source: what has one baseline."""


def find_baselines(
    reader: Reader, query: AnalysisQuery, sessions: Sequence[Session]
) -> dict[Place, float]:
    """Return the mean at rest of each source of each vital in each session.

    The time is that of a session's summary: the condition that a protocol opens for its baseline,
    20 s after a marker set by hand, or else the last condition called baseline.

    Raises:
        StoreError: the database cannot be read.
    """
    rests = []
    for session in sessions:
        rest = reader.resting_time(session)
        if rest is not None:
            code = session.participant
            rests.append(Stimulus(session.id, code, session.simulated, "baseline", *rest, None))
    sums: defaultdict[Place, list[tuple[float, int]]] = defaultdict(list)
    for rest_of, own in reader.vital_sums(rests, query.vital):
        if not (flags_of(own.flags) & UNUSABLE) - query.counted:
            sums[rest_of.session, own.kind, own.source].append((own.total, own.n))
    return {
        place: math.fsum(total for total, _ in parts) / sum(n for _, n in parts)
        for place, parts in sums.items()
    }


def less_baseline(readings: StateReadings, baselines: Mapping[Place, float]) -> StateReadings:
    """Return the readings as differences from the baseline of their session and source.

    Those without a baseline are left out.
    """
    changed = []
    for group in readings.groups:
        rest = baselines.get((group.session, group.kind, group.source))
        if rest is not None:
            changed.append(_changed(group, rest))
    return replace(readings, groups=tuple(changed))


def without_baseline(readings: StateReadings, baselines: Mapping[Place, float]) -> int:
    """Count the sessions with readings of a vital in the three states and no baseline of it."""
    places = {(group.session, group.kind, group.source) for group in readings.in_states()}
    return len({place[0] for place in places if place not in baselines})


def _changed(group: ReadingGroup, rest: float) -> ReadingGroup:
    return replace(group, total=group.total - group.n * rest, largest=group.largest + abs(rest))
