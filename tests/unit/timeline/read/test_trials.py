"""The screens of a session: in order, and how well they kept to their plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.read.trials import ShownTrial, timing_of, trials_of
from tests.support.timeline import timeline

SHOWN = {"late_ms": 20.0, "late_within_ms": 1.0, "frame_ms": 16.0}


def _trials(folder: Path, *rows: dict[str, Any]) -> list[ShownTrial]:
    trials = [
        {"session": 1, "at": 10 + place, "turn": place + 1, "step": 1, "kind": "blank"} | row
        for place, row in enumerate(rows)
    ]
    path = timeline(folder, session=[{"started": 0, "ended": 99}], trial=trials)
    with read_transaction(path) as connection:
        return trials_of(connection, 1)


def test_trials_come_in_order_with_their_answers(tmp_path: Path) -> None:
    likert = {"kind": "likert", "stood_ms": 900, "question": "q", "wording": "?", "value": 3}
    first, second = _trials(tmp_path, {"stood_ms": 500, "practice": 1}, likert)
    assert (first.turn, first.practice, first.value) == (1, True, None)
    assert (second.question, second.value, second.off_ms) == ("q", 3, None)


def test_timing_counts_what_stood_as_planned_to_within_a_frame(tmp_path: Path) -> None:
    planned = {"planned_ms": 1000, "stood_ms": 1000, **SHOWN}
    trials = _trials(
        tmp_path,
        planned | {"shown_ms": 1016.0},
        planned | {"shown_ms": 1040.0, "late_ms": 60.0},
        planned | {"shown_ms": 400.0, "stood_ms": 400},
        {"stood_ms": 700, "shown_ms": 705.0, **SHOWN},
        {"stood_ms": 700},
    )
    timing = timing_of(trials)
    assert (timing.shown, timing.late_ms, timing.latest_ms) == (4, 20.0, 60.0)
    assert (timing.planned, timing.on_time) == (2, 1)
    assert timing.worst is not None
    assert timing.worst.off_frames == pytest.approx(2.5)


def test_timing_of_screens_without_frames_is_not_known(tmp_path: Path) -> None:
    timing = timing_of(_trials(tmp_path, {"planned_ms": 9, "stood_ms": 9}))
    assert (timing.shown, timing.late_ms, timing.planned, timing.worst) == (0, None, 0, None)
