"""The views, as SQL.

``EPISODES`` has a place where the reader narrows the rows before the window functions run.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from edge_agent.store.database.tables import NAMES, SMOOTHED

EPISODE_GAP_MS = 3_000
_FOREVER = 2**62  # the end of an open session, so that the range of an index has two ends


def iso(column: str) -> str:
    """Return SQL that writes epoch milliseconds as ``2026-11-20T08:15:00.250Z``."""
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000, 'unixepoch') || printf('.%03dZ', "
        f"{column} % 1000)"
    )


def _session_at(column: str) -> str:
    """Return SQL that finds the session in which an instant lies; sessions do not overlap."""
    return (
        f"(SELECT nearest.id FROM (SELECT id, ended FROM session WHERE started <= {column} ORDER "
        f"BY started DESC LIMIT 1) AS nearest WHERE nearest.ended IS NULL OR {column} < "
        "nearest.ended)"
    )


def _condition_at(session: str, at: str) -> str:
    """Return SQL that finds the condition that was open in a session at an instant.

    Its last stimulus marker tells.
    """
    return (
        "(SELECT CASE marker.kind WHEN 'stimulus_start' THEN marker.label END FROM marker "
        f"WHERE marker.session = {session} AND marker.kind IN ('stimulus_start', 'stimulus_end') "
        f"AND marker.at <= {at} ORDER BY marker.at DESC, marker.id DESC LIMIT 1)"
    )


_IS_SIMULATED = "instr(' ' || vital.flags || ' ', ' simulated ') > 0"
_UNIT = "(SELECT unit FROM vital_kind WHERE vital_kind.kind = vital.kind)"

_EXPRESSION_VIEW = f"""
    SELECT {iso("expression.at")} AS at, expression.at AS at_ms,
        expression.session, session_participant.code AS participant,
        {_condition_at("expression.session", "expression.at")} AS condition,
        expression.track, expression.interval_ms, expression.frames,
        {", ".join(f"expression.{name}" for name in (*NAMES, *SMOOTHED))},
        coalesce(expression.emotion, 'uncertain') AS emotion,
        expression.face_size, expression.quality, expression.is_primary, expression.simulated
    FROM (SELECT *, {_session_at("expression.at")} AS session FROM expression) AS expression
    LEFT JOIN session ON session.id = expression.session
    LEFT JOIN participant AS session_participant ON session_participant.id = session.participant"""

_REJECTED_FRAMES_VIEW = f"""
    SELECT {iso("unfit.at")} AS at, unfit.at AS at_ms,
        unfit.session, participant.code AS participant,
        {_condition_at("unfit.session", "unfit.at")} AS condition, unfit.track, unfit.interval_ms,
        unfit.reason, unfit.frames, unfit.is_primary, unfit.simulated
    FROM (SELECT *, {_session_at("unfit.at")} AS session FROM unfit) AS unfit
    LEFT JOIN session ON session.id = unfit.session
    LEFT JOIN participant ON participant.id = session.participant"""

EPISODES = f"""
    WITH marked AS (
        SELECT id, at, interval_ms, emotion, simulated, frames,
            CASE WHEN emotion IS lag(emotion) OVER following
                AND at - interval_ms - lag(at) OVER following <= {EPISODE_GAP_MS}
                THEN 0 ELSE 1 END AS opens
        FROM expression
        WHERE is_primary = 1 {{and_where}}
        WINDOW following AS (PARTITION BY simulated ORDER BY at, id)
    ), numbered AS (
        SELECT *, sum(opens) OVER (PARTITION BY simulated ORDER BY at, id) AS number FROM marked
    )
    SELECT {iso("min(at - interval_ms)")} AS start_at, {iso("max(at)")} AS end_at,
        min(at - interval_ms) AS start_ms, max(at) AS end_ms,
        (max(at) - min(at - interval_ms)) / 1000.0 AS seconds,
        coalesce(emotion, 'uncertain') AS emotion,
        count(*) AS rows, sum(frames) AS frames, simulated
    FROM numbered
    GROUP BY simulated, number"""

# A condition lasts from its stimulus start to the next stimulus marker, or to the end of the
# session.
_CONDITION_VIEW = """
    SELECT session, participant, label, started, ended FROM (
        SELECT marker.session, participant.code AS participant,
            marker.kind, marker.label, marker.at AS started,
            coalesce(
                lead(marker.at) OVER (PARTITION BY marker.session ORDER BY marker.at, marker.id),
                session.ended
            ) AS ended
        FROM marker JOIN session ON session.id = marker.session
        JOIN participant ON participant.id = session.participant
        WHERE marker.kind IN ('stimulus_start', 'stimulus_end')
    ) WHERE kind = 'stimulus_start'"""

_SESSION_VITAL_VIEW = f"""
    SELECT {iso("vital.at")} AS at, vital.at AS at_ms,
        session.id AS session, participant.code AS participant,
        {_condition_at("session.id", "vital.at")} AS condition,
        vital.kind, vital.value, {_UNIT} AS unit, vital.source, vital.flags,
        max(session.simulated, {_IS_SIMULATED}) AS simulated
    FROM session
    JOIN participant ON participant.id = session.participant
    JOIN vital ON vital.at >= session.started AND vital.at < coalesce(session.ended, {_FOREVER})"""

_VITAL_VIEW = f"""
    SELECT {iso("vital.at")} AS at, vital.at AS at_ms,
        vital.session, participant.code AS participant,
        {_condition_at("vital.session", "vital.at")} AS condition,
        vital.kind, vital.value, {_UNIT} AS unit, vital.source, vital.flags, vital.device_time,
        {_IS_SIMULATED} AS simulated
    FROM (SELECT *, {_session_at("vital.at")} AS session FROM vital) AS vital
    LEFT JOIN session ON session.id = vital.session
    LEFT JOIN participant ON participant.id = session.participant"""

VIEWS = {
    "expression_view": f"CREATE VIEW expression_view AS {_EXPRESSION_VIEW}",
    "unfit_view": f"CREATE VIEW unfit_view AS {_REJECTED_FRAMES_VIEW}",
    "vital_view": f"CREATE VIEW vital_view AS {_VITAL_VIEW}",
    "episode": f"CREATE VIEW episode AS {EPISODES.format(and_where='')}",
    "condition": f"CREATE VIEW condition AS {_CONDITION_VIEW}",
    "session_vital": f"CREATE VIEW session_vital AS {_SESSION_VITAL_VIEW}",
}
