"""Four sources at once, ten readings a second each, ten simulated minutes: none lost, none twice,
order kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_agent.config.data import RecorderOptions
from edge_agent.core.clock import Instant, now
from edge_agent.core.given_readings import ReadingOrigin
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.vitals.gatt import HeartRate
from edge_agent.vitals.ingest import VitalIngest
from edge_agent.vitals.profiles import SensorReadings
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.dashboard import client_of
from tests.support.security.tokens import make_token
from tests.support.timeline import query, wait_for

HZ = 10
SECONDS = 100
TICKS = HZ * SECONDS
SENT_AGAIN = 10  # every tenth message over MQTT comes twice, as at QoS 1 after a broken connection
WAITING = 1000


class Rig:
    """A recorder, and sources that are as fast as it is.

    The clock of all is the number of the tick.
    """

    def __init__(self, path: Path) -> None:
        self.recorder = Recorder(path, RecorderOptions(batch_seconds=0.5))
        self.start = now().shift(-SECONDS)

    def at(self, tick: int) -> Instant:
        return self.start.shift(tick / HZ)

    def ticks(self) -> Iterator[int]:
        """Count, but wait where the recorder falls behind: simulated seconds are far shorter than
        real ones.
        """
        for tick in range(TICKS):
            if self.recorder.queue_depth > WAITING:
                wait_for(lambda: self.recorder.queue_depth < WAITING // 2, 60)
            yield tick

    def run(self, *sources: Callable[[], None]) -> None:
        with ThreadPoolExecutor() as pool:
            for running in [pool.submit(source) for source in sources]:
                running.result()


def value_of(tick: int) -> int:
    """A heart rate by which a lost, doubled or swapped reading would be seen."""
    return 40 + tick % 197


@pytest.mark.timeout(600)
def test_four_sources_at_ten_hertz_lose_nothing_and_keep_their_order(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        path = tmp_path / "affect-edge.db"
        headers = {"Authorization": f"Bearer {make_token(path)}"}
        rig = Rig(path)
        submit = rig.recorder.submit
        person = SimulatedPerson(1)
        simulated: list[float] = []

        def strap() -> None:
            readings = SensorReadings("ble:A0:9E:1A:00:00:01")
            for tick in rig.ticks():
                beat = HeartRate(rate=value_of(tick), contact=True, rr_s=())
                for reading in readings.of_heart_rate(beat, rig.at(tick)):
                    submit(reading)

        def broker() -> None:
            present = [rig.start]
            ingest = VitalIngest(submit, ReadingOrigin("mqtt", prefix="mqtt:"), lambda: present[0])
            for tick in rig.ticks():
                present[0] = rig.at(tick)
                told = {"kind": "heart_rate", "value": value_of(tick), "at": present[0].wall_ms}
                message = {**told, "source": "watch"}
                for _ in range(2 if tick % SENT_AGAIN == 0 else 1):
                    assert ingest.accept(json.dumps(message).encode()).taken == 1

        def program() -> None:
            for second in range(SECONDS):
                body = [
                    {"kind": "heart_rate", "value": value_of(tick), "at": rig.at(tick).wall_ms}
                    for tick in range(HZ * second, HZ * (second + 1))
                ]
                answer = client.post("/api/v1/vitals", json=body, headers=headers)
                assert (answer.status_code, answer.json()["taken"]) == (200, HZ), answer.text

        def made_up() -> None:
            for tick in rig.ticks():
                person.advance(1 / HZ, None)
                for reading in person.readings(rig.at(tick), heart_rate=True, pressure=False):
                    simulated.append(reading.value)
                    submit(reading)

        client.app.state.services.tokens.requests._limit = SECONDS + 1  # type: ignore[attr-defined]
        rig.recorder.start()
        rig.run(strap, broker, program, made_up)
        rig.recorder.stop()
        assert rig.recorder.join(60)

    expected = [float(value_of(tick)) for tick in range(TICKS)]
    for source in ("ble:A0:9E:1A:00:00:01", "mqtt:watch", "http:bridge", "simulated"):
        rows = query(path, "SELECT at, value FROM vital WHERE source = ? ORDER BY at", source)
        assert [at for at, _ in rows] == [rig.at(tick).wall_ms for tick in range(TICKS)], source
        values = simulated if source == "simulated" else expected
        assert [value for _, value in rows] == values, source
    assert (rig.recorder.dropped, rig.recorder.duplicates) == (0, TICKS // SENT_AGAIN)
    assert query(path, "SELECT count(*) FROM vital") == [(4 * TICKS,)]
    assert query(path, "SELECT sum(n + flagged) FROM vital_minute") == [(4 * TICKS,)]
