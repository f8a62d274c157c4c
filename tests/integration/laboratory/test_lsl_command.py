"""The live feed as Lab Streaming Layer streams: a real agent's side, the real command, a real
reader of streams.
"""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.laboratory import LslSettings
from edge_agent.core import clock
from edge_agent.core.errors import ServerError
from edge_agent.core.expression import EMOTIONS, Emotion, Recognition
from edge_agent.core.movements import MOVEMENTS, NAMES
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.live.feed import SOCKET_NAME, LiveServer
from edge_agent.lsl.streams import EXPRESSION_CHANNELS, StreamOptions, Streams
from tests.support.broker import DEADLINE_S
from tests.support.timeline import movements, observation, wait_for

pylsl: Any = pytest.importorskip(
    "pylsl",
    reason="pylsl is not installed (.venv/bin/pip install -e '.[lsl]')",
    exc_type=ImportError,
)


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[LiveServer]:
    """The agent's side of the live feed."""
    server = LiveServer(tmp_path / SOCKET_NAME)
    server.start()
    yield server
    server.stop()
    assert server.join(60)


@pytest.fixture
def offered(tmp_path: Path, feed: LiveServer) -> Iterator[str]:
    """The command over that feed.

    Gives the name of the device, which no other machine in the network has.
    """
    device = f"test-{tmp_path.stat().st_ino}"
    config = tmp_path / "affect-edge.toml"
    config.write_text(f'[device]\nname = "{device}"\n', encoding="utf-8")
    words = ["-m", "edge_agent", "lsl", "--data", str(tmp_path), "--config", str(config)]
    command = [sys.executable, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        try:
            while "The agent is online" not in said:
                said = process.stderr.readline()
                assert said, "the command ended"
            yield device
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def inlet_of(device: str, name: str) -> Any:
    """A reader of one stream, once it is found."""
    found = pylsl.resolve_byprop("source_id", f"affect-edge/{device}/{name}", timeout=DEADLINE_S)
    assert found, f"no stream {name} in 30 s"
    inlet = pylsl.StreamInlet(found[0])
    inlet.open_stream(timeout=DEADLINE_S)
    return inlet


def test_expressions_and_vitals_arrive_with_their_time(offered: str, feed: LiveServer) -> None:
    inlet = inlet_of(offered, "expression")
    moving = inlet_of(offered, "movements")
    at = clock.now().shift(-2)
    moved = movements(smile=0.5, yaw=-12.3, look_y=0.25)
    seen = observation(Emotion.ANGER, movements=moved)
    feed.publish_recognition(Recognition(at, 1, 640, 480, (seen,)))
    sample, stamp = inlet.pull_sample(timeout=DEADLINE_S)
    assert sample[:8] == pytest.approx(
        [seen.smoothed.as_dict()[e.value] for e in EMOTIONS], abs=1e-3
    )
    assert sample[-1] == 0
    sample, _ = moving.pull_sample(timeout=DEADLINE_S)
    told = moved.as_dict()
    expected = [told.get(name, math.nan) for name in NAMES]
    assert sample == pytest.approx(expected, abs=1e-3, nan_ok=True)
    assert pylsl.local_clock() - stamp == pytest.approx(2, abs=1.5), (
        "when it was seen, not when it came"
    )
    away = replace(seen, smoothed_movements=replace(moved, only_pose=True))
    feed.publish_recognition(Recognition(at.shift(1), 2, 640, 480, (away,)))
    inlet.pull_sample(timeout=DEADLINE_S)
    sample, _ = moving.pull_sample(timeout=DEADLINE_S)
    assert all(math.isnan(value) for value in sample[: len(MOVEMENTS)]), "strengths"
    assert sample[len(MOVEMENTS) :] == pytest.approx(moved.values[len(MOVEMENTS) :], abs=1e-3)
    labels = []
    channel = inlet.info(timeout=DEADLINE_S).desc().child("channels").child("channel")
    while not channel.empty():
        labels.append(channel.child_value("label"))
        channel = channel.next_sibling()
    assert labels == list(EXPRESSION_CHANNELS)
    feed.publish_recognition(Recognition(clock.now(), 3, 640, 480, ()))
    sample, _ = inlet.pull_sample(timeout=DEADLINE_S)
    assert all(math.isnan(value) for value in sample), "nobody was seen"
    sample, _ = moving.pull_sample(timeout=DEADLINE_S)
    assert all(math.isnan(value) for value in sample), "nobody was seen"
    feed.publish_vital(VitalReading(clock.now(), VitalKind.HEART_RATE, 71.5, "strap"))
    heart = inlet_of(offered, "heart_rate/strap")
    values: list[float] = []

    def came() -> bool:  # what was sent before the reader came is not sent again
        feed.publish_vital(VitalReading(clock.now(), VitalKind.HEART_RATE, 72.5, "strap"))
        sample, _ = heart.pull_sample(timeout=0.5)
        values.extend((sample or ())[:1])
        return bool(values)

    wait_for(came)
    assert set(values) <= {71.5, 72.5}


def test_without_the_library_the_cure_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(ServerError, match="install.sh --with lsl"):
        Streams(StreamOptions("pi", LslSettings()))
