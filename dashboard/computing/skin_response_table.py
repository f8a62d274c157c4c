"""Responses of skin conductance as a table: each with its beginning, its peak and its height."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from dashboard.analysis.inference.skin import Course
from dashboard.analysis.query import AnalysisQuery
from edge_agent.core.errors import StatisticsError
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.read.observed import SkinConductance, StateSpan
from edge_agent.timeline.read.reader import Reader

HEADS = ("session", "participant", "source", "began_ms", "at_ms", "amplitude")
_Row = tuple[int, str, str, int, int, float]


def skin_response_csv(
    reader: Reader, query: AnalysisQuery, sessions: Collection[int] | None
) -> str:
    """Return the responses of every sensor of the sessions; empty where none could be responses.

    One session of one sensor is in memory at a time.

    Args:
        reader: of the timeline.
        query: the least amplitude, and the doubts that count all the same.
        sessions: of which; ``None``: of all.

    Raises:
        StoreError: the database cannot be read.
    """
    if VitalKind.SKIN_CONDUCTANCE not in reader.recorded_kinds():
        return ""
    chosen = sorted(
        (one for one in reader.session_list() if sessions is None or one.id in sessions),
        key=lambda one: (one.start_ms, one.id),
    )
    spans = (
        StateSpan(one, "", one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms)
        for one in chosen
    )
    file = io.StringIO()
    # For the export of this device alone, and no spreadsheet: texts stand as they were recorded.
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(HEADS)
    writer.writerows(_rows(reader.each_skin_conductance(spans), query))
    return file.getvalue()


def _rows(recorded: Iterable[SkinConductance], query: AnalysisQuery) -> Iterator[_Row]:
    for one in recorded:
        # Too slow or too short: no response of this sensor is known.
        with suppress(StatisticsError):
            responses = Course(one, query.counted, query.scr_threshold).responses
            about = (one.session, one.participant, one.source)
            for began_s, at_s, amplitude in zip(
                responses.began_s.tolist(),
                responses.at_s.tolist(),
                responses.amplitude.tolist(),
                strict=True,
            ):
                yield (*about, round(1000 * began_s), round(1000 * at_s), amplitude)
