"""The quality report of a session: what was recorded, and whether it is fit for analysis."""

from __future__ import annotations

from edge_agent.core.vitals import VitalKind
from edge_agent.store.quality.checks import evaluate
from edge_agent.store.quality.report import Recorded, SessionQuality, Thresholds
from edge_agent.store.quality.rows import (
    read_clock,
    read_face_spans,
    read_frame_counts,
    read_lost_seconds,
)
from edge_agent.store.read.matching import Matching
from edge_agent.store.read.reader import Reader


def session_quality(
    reader: Reader, session: int, thresholds: Thresholds | None = None
) -> SessionQuality:
    """Return the quality report of a session.

    Args:
        reader: of the timeline.
        session: its number.
        thresholds: what the session must reach; ``None`` takes the defaults.

    Raises:
        StudyError: there is no such session.
    """
    recorded_session, end = reader.session(session)
    start = recorded_session.start_ms
    with reader.connect() as connection:
        face = read_face_spans(connection, start, end)
        counts = read_frame_counts(connection, start, end)
        lost = read_lost_seconds(connection, start, end)
        events, synchronised = read_clock(connection, start, end)
    shown = reader.face_labels([recorded_session])
    recorded = Recorded(
        session=recorded_session,
        end_ms=end,
        conditions=[one for one in reader.conditions(start, end + 1) if one.session == session],
        face=face,
        frames=reader.face_frames(start, end),
        lost_s=lost,
        counts=counts,
        readings=reader.session_readings([session], tuple(VitalKind)),
        matches={
            kind: reader.observed_sums([recorded_session], shown, [kind], [Matching()])[0].counts
            for kind in VitalKind
        },
        gaps=reader.gaps(start, end),
        clock=events,
        synchronised=synchronised,
    )
    return evaluate(recorded, thresholds)
