"""Which summaries are marked as replayed: those that come late by the clock that never jumps."""

from __future__ import annotations

import time

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import now
from edge_agent.mqtt.broker import MqttState
from tests.support.broker import Mosquitto, subscribed, wait_until
from tests.support.memory_outbox import MemoryOutbox
from tests.support.mqtt_clients import Start, wait_for_state

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(("late_s", "replayed"), [(15, False), (25, True)])
def test_a_summary_is_late_after_two_windows_and_not_after_one(
    mosquitto: Mosquitto, start: Start, outbox: MemoryOutbox, monkeypatch: pytest.MonkeyPatch,
    late_s: float, replayed: bool,
) -> None:  # fmt: skip
    with subscribed(mosquitto.port) as reader:
        client = start(mosquitto.port, options={"window_s": 10.0})
        wait_for_state(client, MqttState.CONNECTED)
        monkeypatch.setattr(clock, "now", lambda: now().shifted(late_s))
        outbox.add()
        client.wake()
        assert reader.wait_for("summary").payload["replayed"] is replayed


@pytest.mark.parametrize("step_s", [-31_536_000, -60, 60, 31_536_000])
def test_setting_the_wall_clock_marks_no_summary_and_hides_none(
    mosquitto: Mosquitto, start: Start, outbox: MemoryOutbox, monkeypatch: pytest.MonkeyPatch,
    step_s: int,
) -> None:  # fmt: skip
    with subscribed(mosquitto.port) as reader:
        outbox.add(what="before the connection", age_s=0.01)  # clocks tell milliseconds
        client = start(mosquitto.port, options={"window_s": 1.0})
        wait_for_state(client, MqttState.CONNECTED)
        wait_until(lambda: outbox.deleted == [1], "the first summary to be sent")
        wall_ns = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + step_s * 1_000_000_000)
        outbox.add(what="in time")
        outbox.add(what="late", age_s=2.5)
        outbox.add(what="of another boot", boot="another")
        client.wake()
        reader.wait_for("summary", lambda said: said["seq"] == 4)
        late = {said.payload["what"]: said.payload["replayed"] for said in reader.on("summary")}
    assert late == {
        "before the connection": True,
        "in time": False,
        "late": True,
        "of another boot": True,
    }
