"""Measures over time in the sessions of a study, from the source that counts in each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from dashboard.analysis.readings.states import best_source
from edge_agent.core.measures import ExpressionKind, Measure, MovementKind, is_of_face
from edge_agent.core.process import Later
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.timeline.read.measured import FOREVER_MS, MeasureSeries
from edge_agent.timeline.read.reader import Reader

if TYPE_CHECKING:
    import numpy as np

    from edge_agent.timeline.read.matching import Integers, Reals
else:
    np = Later("numpy")


@dataclass(frozen=True, slots=True)
class CountedSeries:
    """One measure in one session over time, from the source that counts there.

    Attributes:
        session: whose.
        kind: what was measured.
        source: who measured.
        at_ms: when, UTC epoch milliseconds, rising. A row of the face is the mean of the interval
            before its time and stands in the middle of it: half of its usual distance from the row
            before it.
        values: in the unit of the kind.
        simulated: whether any of it, or the session, is simulated.
        doubtful_ms: when readings of the source were made that are left out by their flags, rising.
        doubted_ms: when those values were measured that their device itself doubts, rising.
    """

    session: Session
    kind: Measure
    source: str
    at_ms: Integers
    values: Reals
    simulated: bool
    doubtful_ms: Sequence[int] = ()
    doubted_ms: Sequence[int] = ()

    @property
    def doubtful(self) -> int:
        """Number of the readings of the source that are left out by their flags."""
        return len(self.doubtful_ms)


def with_own_times(sessions: Sequence[Session]) -> tuple[list[Session], int]:
    """Return the sessions that nobody left out and whose times are no made-up ones; and how many
    are not among them because their times are.
    """
    kept = [one for one in sessions if one.left_out != "whole"]
    timed = [one for one in kept if not one.has_made_up_times]
    return timed, len(kept) - len(timed)


def faces_changed(
    reader: Reader,
    kinds: Collection[Measure],
    sessions: Sequence[Session],
    *,
    by_face: bool = False,
) -> int | None:
    """Return when another model or prior began to read faces between sessions that need them, UTC
    milliseconds; ``None`` where it did not, or nothing is read from faces.

    Args:
        reader: the timeline of a site, or of several.
        kinds: what is asked for.
        sessions: where.
        by_face: whether the states are those that faces show.
    """
    is_shown = any(isinstance(kind, ExpressionKind) for kind in kinds)
    models = ["expression"] if is_shown or by_face else []
    if any(isinstance(kind, MovementKind) for kind in kinds):
        models.append("face-movements")
    if not models or not sessions:
        return None
    start = min(one.start_ms for one in sessions)
    ends = [FOREVER_MS if one.end_ms is None else one.end_ms for one in sessions]
    return reader.reading_changed(start, max(ends), models)


def read_series(
    reader: Reader,
    sessions: Sequence[Session],
    kinds: Collection[Measure],
    counted: Collection[VitalFlag] = (),
    preferred: Sequence[str] = (),
) -> list[CountedSeries]:
    """Return measures over time, in order of the sessions and kinds; each table is read once.

    A session without a usable value of a kind has no series of it.

    Args:
        reader: the timeline of a site, or of several.
        sessions: where to look.
        kinds: what to read.
        counted: flags of doubt whose readings count all the same.
        preferred: which source counts where several measured the same in a session, the best first;
            else the one with the most readings without doubt.

    Raises:
        StoreError: the database cannot be read.
    """
    by_id = {session.id: session for session in sessions}
    made = []
    for (number, kind), same in groupby(
        reader.measure_series(sessions, kinds, counted), key=lambda one: (one.session, one.kind)
    ):
        sources = {one.source: one for one in same}
        counts = {
            name: (len(one.values), len(one.values) + one.left_out) for name, one in sources.items()
        }
        chosen = sources[best_source(counts, preferred)]
        if len(chosen.values):
            session = by_id[number]
            made.append(
                CountedSeries(
                    session=session,
                    kind=kind,
                    source=chosen.source,
                    at_ms=_middles(chosen),
                    values=chosen.values,
                    simulated=session.simulated or chosen.simulated,
                    doubtful_ms=chosen.left_out_ms.tolist(),
                    doubted_ms=chosen.doubted_ms,
                )
            )
    return made


def _middles(series: MeasureSeries) -> Integers:
    """Return when the values were measured; of the face the middle of each row's interval."""
    if not is_of_face(series.kind) or len(series.at_ms) < 2:
        return series.at_ms
    return series.at_ms - int(np.median(np.diff(series.at_ms)) // 2)
