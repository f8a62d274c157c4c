"""A made-up face with a pulse through the real chain.

``benchmarks/camera_pulse.py`` does it at length.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks.camera_pulse import LEVELS, ClipResult, PulsingPortrait, figures_of, listen
from edge_agent.agent.loop import Agent
from edge_agent.config.loading import load_settings
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.support.timeline import query, wait_for

STILL = LEVELS[0]
SEED = 2001
SECONDS = 26.0


def heard(*, pulse: bool) -> ClipResult:
    return listen(PulsingPortrait(0, STILL, SEED, pulse=pulse), STILL, SECONDS)


@pytest.mark.deep
def test_a_pulse_of_half_a_percent_of_the_green_is_found() -> None:
    beating = heard(pulse=True)
    lifeless = heard(pulse=False)
    assert len(beating.errors) >= beating.windows - 1 == 1
    assert max(beating.errors) < 3
    assert {gap.reason for gap in beating.gaps} <= {"gathering"}
    assert lifeless.errors == ()
    assert [gap.reason for gap in lifeless.gaps] in (["unclear"], ["gathering"])
    clips = [
        ClipResult(level.name, clip.has_pulse, len(beating.errors), clip.errors, ())
        for level in LEVELS
        for clip in (beating, lifeless)
    ]
    figures = figures_of(clips)
    assert (
        figures["camera_pulse_speaks_moving"]
        == figures["camera_pulse_silent_without_pulse_still"]
        == 1.0
    )


def frames_of_an_agent(frames: int, folder: Path, **sections: dict[str, Any]) -> Path:
    """Let an agent see frames of the demonstration's portraits; return its database."""
    changes: dict[str, dict[str, Any]] = {
        "camera": {"source": "demo", "width": 320, "height": 240},
        "mqtt": {"enabled": False},
        **sections,
    }
    agent = Agent(load_settings(None, changes), folder, {})

    def stop() -> None:
        wait_for(lambda: agent._threads.vision.frames >= frames, 60)
        agent.stop()

    threading.Thread(target=stop).start()
    assert agent.run() == 0
    return folder / DATABASE_NAME


def test_the_agent_looks_for_a_pulse_only_where_it_was_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.vitals.camera_pulse.SILENCE_S", 0.3)
    asked = frames_of_an_agent(20, tmp_path / "asked", vitals={"camera_pulse": {"enabled": True}})
    assert query(asked, "SELECT reason FROM gap WHERE source = 'camera_pulse'") == [("gathering",)]
    assert query(asked, "SELECT count(*) FROM vital") == [(0,)], "portraits have no pulse"
    unasked = frames_of_an_agent(3, tmp_path / "unasked")
    assert query(unasked, "SELECT count(*) FROM gap WHERE source = 'camera_pulse'") == [(0,)]
