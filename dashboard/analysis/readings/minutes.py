"""Means of each source in each minute of a session. They need no statistics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from edge_agent.core.measures import Measure
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.base import flags_of
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.stimuli import Stimulus
from edge_agent.store.read.study import end_of

MINUTE_MS = 60_000
Minutes = Mapping[tuple[str, int], Mapping[str, float]]
"""Participant and minute → source → mean."""


def has_pairs(reader: Reader, session_id: int) -> bool:
    """Tell whether two sources measured the same vital in one minute of a session.

    Raises:
        StoreError: the database cannot be read.
    """
    session, _ = reader.session(session_id)
    minutes = minutes_of(session)
    kinds = [kind for kind in reader.recorded_kinds() if kind is not VitalKind.RR_INTERVAL]
    # Stops at the first pair.
    return any(True for kind in kinds for _ in pairs_of(means_of(reader, minutes, kind)))


def minutes_of(session: Session) -> list[Stimulus]:
    """Return the minutes of a session; the last one may be shorter."""
    end = end_of(session)
    code = session.participant
    return [
        Stimulus(session.id, code, session.simulated, "", at, min(at + MINUTE_MS, end), None)
        for at in range(session.start_ms, end, MINUTE_MS)
    ]


def means_of(reader: Reader, minutes: Sequence[Stimulus], kind: Measure) -> Minutes:
    """Return the mean of each source in each minute; readings in doubt do not count."""
    sums: defaultdict[tuple[str, int], defaultdict[str, list[tuple[float, int]]]]
    sums = defaultdict(lambda: defaultdict(list))
    for minute, own in reader.vital_sums(minutes, [kind]):
        if not flags_of(own.flags) & UNUSABLE:
            sums[minute.participant, minute.start_ms][own.source].append((own.total, own.n))
    return {
        place: {
            source: math.fsum(total for total, _ in parts) / sum(n for _, n in parts)
            for source, parts in own.items()
        }
        for place, own in sums.items()
    }


def pairs_of(means: Minutes) -> Iterator[tuple[str, str]]:
    """Yield each two sources that share a minute, in the order of their names."""
    sources = sorted({source for own in means.values() for source in own})
    for first, second in combinations(sources, 2):
        if any(first in own and second in own for own in means.values()):
            yield first, second
