"""The builder of made timelines: rows as the product stores them, and a word about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion, ExpressionRow
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.write.inserts import write_expressions
from tests.support.timeline import START_MS, mostly, query, reading, session_row, timeline

ROLLUPS = ("expression_minute", "expression_hour", "vital_minute", "vital_hour")


def test_timeline_rows_have_the_rollups_that_the_recorder_writes(tmp_path: Path) -> None:
    shown = {59: Emotion.ANGER, 60: None, 3700: Emotion.HAPPINESS}
    faces = [
        ExpressionRow(Instant(0, START_MS + 1000 * at), 1, 10, face, face, emotion, 120, 0.75, True)
        for at, emotion in shown.items()
        for face in [mostly(emotion or Emotion.NEUTRAL)]
    ]
    readings = [reading(59, 70), reading(60.5, 73), reading(61, 300)]
    recorded = timeline(tmp_path / "recorded", vital=readings)
    with write_transaction(recorded) as connection:
        write_expressions(connection, [(face, None) for face in faces], 1000, simulated=False)
    made = timeline(tmp_path / "made", expression=[{"at": 59, "emotion": "anger"}])
    timeline(
        made,
        expression=[{"at": 60, "emotion": None}, 3700],
        vital=[{"at": 59, "value": 70}, {"at": 60.5, "value": 73}, {"at": 61, "value": 300}],
    )
    for table in ("vital", "expression", *ROLLUPS):
        assert query(made, f"SELECT * FROM {table}") == query(recorded, f"SELECT * FROM {table}")


def test_timeline_session_brings_its_participant_consent_and_conditions(tmp_path: Path) -> None:
    held = session_row(5, 50, (10, 20, "anger"), (20, None, "neutral"), participant="P07")
    path = timeline(tmp_path, session=[held, session_row(60, None)], marker=[_note(61)])
    sessions = [(one.id, one.participant, one.end_ms) for one in Reader(path).session_list()]
    assert sessions == [(2, "P01", None), (1, "P07", START_MS + 50_000)]
    assert query(path, "SELECT given FROM consent") == [(START_MS + at,) for at in (5000, 60_000)]
    marked = query(path, "SELECT session, (at - ?) / 1000, kind, label FROM marker", START_MS)
    assert marked == [
        (1, 10, "stimulus_start", "anger"),
        (1, 20, "stimulus_end", "anger"),
        (1, 20, "stimulus_start", "neutral"),
        (2, 61, "note", "coughed"),
    ]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"vitals": [1]}, "There is no table 'vitals'. Tables: .*vital, "),
        ({"vital": [{"at": 1, "flag": "manual"}]}, "vital has no column 'flag', but at, kind, "),
    ],
)
def test_timeline_unknown_name_is_refused(
    tmp_path: Path, tables: dict[str, list[object]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        timeline(tmp_path, **tables)  # type: ignore[arg-type]


def _note(at: float) -> dict[str, object]:
    return {"at": at, "kind": "note", "label": "coughed"}
