"""What the settings ask for is built, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.settings import Settings
from edge_agent.control.listening import configured_control, configured_streams
from edge_agent.timeline.study.sessions import Study
from tests.support.timeline import timeline

STRAP = {"address": "A0:9E:1A:00:00:01", "kind": "heart_rate"}


def settings(**tables: Any) -> Settings:
    return Settings.model_validate(tables)


def test_nothing_is_built_where_nothing_is_asked_for(tmp_path: Path) -> None:
    file = timeline(tmp_path)
    assert configured_streams(settings(), file) is None
    assert configured_control(settings(), Study(file)) == []


def test_streams_of_each_sensor_are_there_before_it_speaks(tmp_path: Path) -> None:
    pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)
    asked = settings(
        device={"name": "lab"},
        lsl={"enabled": True, "estimated": True},
        vitals={"bluetooth": {"devices": [STRAP]}},
    )
    assert configured_streams(asked, timeline(tmp_path)) is not None


def test_a_stream_of_markers_and_a_serial_port_are_listened_to(tmp_path: Path) -> None:
    pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)
    pytest.importorskip("serial", reason="pyserial is not installed")
    asked = settings(
        control={
            "lsl_stream": "PsychoPy",
            "serial_port": "/dev/ttyUSB0",
            "codes": {"1": "stimulus_start/anger"},
        }
    )
    workers = configured_control(asked, Study(timeline(tmp_path)))
    assert [type(worker).__name__ for worker in workers] == [
        "OrderWorker",
        "MarkerStream",
        "SerialCodes",
    ]
