"""Reading the timeline beside a running agent: read-only connections, one for each call."""

from __future__ import annotations

from edge_agent.store.read.state_reader import StateReader
from edge_agent.store.read.timeline_reader import TimelineReader


class Reader(TimelineReader, StateReader):
    """Answers every question about the database: timeline, sessions, and readings by state.

    Whoever asks about one of them only can take that reader alone.

    Example:
        >>> reader = Reader(Path("/var/lib/affect-edge/affect-edge.db"))
        >>> first_ms, last_ms = reader.span()
        >>> for session in reader.session_list():
        ...     print(session.participant, session.name)
    """
