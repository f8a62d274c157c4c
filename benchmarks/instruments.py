"""Cost of a strap with a kept electrocardiogram and with motion for the agent.

    python -m benchmarks.instruments [--json] [--seconds N]

Two agents run at the same time, so that what else the machine does slows both alike: one with the
demonstration camera at 15 frames/s, with movements, and one with the same camera and an H10 of
Polar whose electrocardiogram is kept and whose motion is measured. The strap is played: bytes as
Polar's specification has them (electrocardiogram at 130 Hz with noise of 10 µV, acceleration at
25 Hz with noise of 20 mg, heart rate and intervals each second) come from
BlueZ's objects on a D-Bus daemon of its own, through the real ``bleak``. Processor time is that of
the agent, in percent of one core; bluetoothd's own is not in it. Memory is resident memory, 10⁶
bytes, and PSS of the agent with the strap after the other has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import accumulate, count, pairwise
from pathlib import Path

from benchmarks._command import benchmark
from benchmarks._running import Running, agent_on, first_message
from benchmarks.live import cpu_percent
from benchmarks.memory import pss_mb
from edge_agent.core.process import give_back
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.vitals import polar
from edge_agent.vitals.gatt import HEART_RATE_MEASUREMENT
from edge_agent.vitals.polar_motion import EPOCH_S
from tests.support.broker import wait_until
from tests.support.vitals.bluez import BlueZ
from tests.support.vitals.dbus import Bus
from tests.support.vitals.near_sensors import Sensor, polar_sensor
from tests.support.vitals.polar_frames import (
    ECG_HZ,
    FRAME,
    SETTINGS_OF_H10,
    SINCE_2000_S,
    ecg_frame,
    ecg_of,
    raw_acceleration,
)
from tests.support.vitals.straps import heart_rate

SECONDS = 240.0
SETTLE_S = 20.0
PATIENCE_S = 90.0
HEART_S = 60
"""Length of the heart's course, which is repeated."""
BEAT_S = 0.85
"""Mean time between two beats."""
MOTION_FRAME, MOTION_HZ = 36, 25
ADDRESS = "A0:9E:1A:00:00:01"


class PlayedStrap(threading.Thread):
    """An H10 that sends in real time until it is stopped.

    Args:
        bluez: where it is near.
        near: the sensor.
    """

    def __init__(self, bluez: BlueZ, near: Sensor) -> None:
        super().__init__(name="strap", daemon=True)
        self._bluez, self._near = bluez, near
        self._stopping = threading.Event()
        draws = random.Random(1)
        ends = accumulate(draws.gauss(BEAT_S, 0.04) for _ in range(2 * HEART_S))
        self._beats = [end for end in ends if end < HEART_S]
        clean = ecg_of(self._beats, HEART_S)
        self._signal = [one + round(draws.gauss(0, 10)) for one in clean]
        self._draws = draws

    def stop(self) -> None:
        """Stop sending."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Send what is due, and wait."""
        began_s = time.monotonic()
        frames, seconds, moves = count(1), count(1), count(1)
        frame, second, move = next(frames), next(seconds), next(moves)
        while not self._stopping.wait(0.05):
            passed_s = time.monotonic() - began_s
            while frame * FRAME / ECG_HZ <= passed_s:
                self._bluez.say(self._near, polar.DATA, self._frame(frame))
                frame = next(frames)
            while move * MOTION_FRAME / MOTION_HZ <= passed_s:
                self._bluez.say(self._near, polar.DATA, self._motion(move))
                move = next(moves)
            while second <= passed_s:
                self._bluez.say(self._near, HEART_RATE_MEASUREMENT, self._rate(second))
                second = next(seconds)

    def _frame(self, number: int) -> bytes:
        first = (number - 1) * FRAME
        samples = [self._signal[(first + at) % len(self._signal)] for at in range(FRAME)]
        return ecg_frame(samples, SINCE_2000_S + (first + FRAME - 1) / ECG_HZ)

    def _motion(self, number: int) -> bytes:
        noise = [round(self._draws.gauss(0, 20)) for _ in range(MOTION_FRAME)]
        samples = [(one, -one, 1000 + one) for one in noise]
        return raw_acceleration(samples, SINCE_2000_S + number * MOTION_FRAME / MOTION_HZ)

    def _rate(self, second: int) -> bytes:
        until_s = second % HEART_S
        ended = [
            after - before
            for before, after in pairwise(self._beats)
            if until_s - 1 < after <= until_s
        ]
        return heart_rate(round(60 / BEAT_S), *ended)


@contextmanager
def strap_near() -> Iterator[str]:
    """Play a strap on a bus of its own; yield the bus's address."""
    streams = 1 << polar.PolarMeasurement.ECG | 1 << polar.PolarMeasurement.ACC
    near = polar_sensor(ADDRESS, streams, "Polar H10 00000001")
    near.answers = {bytes([polar.SETTINGS, polar.PolarMeasurement.ACC]): SETTINGS_OF_H10}
    with Bus() as bus, BlueZ(bus, near) as bluez:
        strap = PlayedStrap(bluez, near)
        strap.start()
        try:
            yield bus.address
        finally:
            strap.stop()


def kept(agent: Running) -> tuple[int, int, int]:
    """Return how many stretches of an electrocardiogram, beats with errors and motions it has."""
    with closing(connect(agent.data / DATABASE_NAME, readonly=True)) as database:
        (stretches,) = database.execute("SELECT count(*) FROM ecg").fetchone()
        (beats,) = database.execute("SELECT count(*) FROM vital WHERE error > 0").fetchone()
        of_motion = "SELECT count(*) FROM vital WHERE kind = 'body_motion'"
        (motions,) = database.execute(of_motion).fetchone()
    return stretches, beats, motions


def compared(agents: tuple[Running, Running], seconds: float) -> dict[str, float]:
    """Return the figures of an agent without and one with a strap, in the same seconds."""
    wait_until(lambda: kept(agents[1])[0] > 0, "a kept electrocardiogram", PATIENCE_S)
    time.sleep(SETTLE_S)
    before = kept(agents[1])
    shares, _ = cpu_percent([agent.process for agent in agents], seconds)
    after = kept(agents[1])
    more = [late - early for early, late in zip(before, after, strict=True)]
    # Rows are written ten seconds at a time.
    least = (seconds / 10 - 2, 0.95 * seconds / BEAT_S, seconds / EPOCH_S - 3)
    if any(one < wanted for one, wanted in zip(more, least, strict=True)):
        raise SystemExit(f"the strap was not recorded in full: {before} became {after}")
    return {
        "instruments_agent_cpu_percent": shares[1],
        "instruments_cpu_more_percent": shares[1] - shares[0],
        "instruments_agent_mb": agents[1].memory_mb,
        "instruments_mb_more": agents[1].memory_mb - agents[0].memory_mb,
    }


def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Return all figures."""
    places = [folder / name for name in ("without", "with")]
    for place in places:
        place.mkdir()
    strap = [{"address": ADDRESS, "kind": "heart_rate", "keep_ecg": True, "body_motion": True}]
    with strap_near() as bus:
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus
        devices = {"VITALS__BLUETOOTH__DEVICES": json.dumps(strap)}
        with agent_on(None, places[1], settings=devices) as having:
            with agent_on(None, places[0]) as plain:
                for agent in (plain, having):
                    asyncio.run(first_message(agent, "expression"))
                figures = compared((plain, having), seconds)
            give_back()  # else OpenCV's and NumPy's pages would count half
            figures["instruments_agent_pss_mb"] = pss_mb(having.process.pid)
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, seconds=(SECONDS, "how long both agents are watched"))
