"""A made-up face that blinks, through the real chain.

``benchmarks/blinks.py`` does it at length.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.blinks import Clip, watch
from benchmarks.camera_pulse import LEVELS
from tests.integration.camera.test_camera_pulse_faces import frames_of_an_agent
from tests.support.timeline import query


@pytest.mark.parametrize("lasting_ms", [0, 150])
def test_blinks_that_were_drawn_are_found_and_no_others(lasting_ms: int) -> None:
    seen = watch(0, Clip(0, LEVELS[0], lasting_ms, 15.0, 7), 24.0)
    assert (seen.false, seen.gaps, seen.watched_s) == (0, (), 20.0)
    assert seen.hits == seen.shown
    assert bool(seen.shown) == bool(lasting_ms)


def test_agent_counts_blinks_only_where_it_was_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.vitals.camera_blinks.SILENCE_S", 0.3)
    gaps = "SELECT reason FROM gap WHERE source = 'camera_blinks'"
    models = "SELECT count(*) FROM model WHERE kind = 'face-movements'"
    vision = {"blinks": True, "movements": False}
    asked = frames_of_an_agent(20, tmp_path / "asked", vision=vision)
    assert query(asked, gaps) == [("gathering",)], "a window has ten seconds"
    assert query(asked, models) == [(1,)], "what read the eyes"
    unasked = frames_of_an_agent(3, tmp_path / "unasked", vision={"movements": False})
    assert query(unasked, gaps) == []
    assert query(unasked, models) == [(0,)]
