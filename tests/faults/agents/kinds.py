"""Faults around a whole agent: its broker, its camera, and the two with ``kill -9``.

One agent lives through several trials, one after the other, as a box does.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_agent.timeline.upkeep.soundness import look_at
from tests.faults.agents.camera import FailingCamera, Mood
from tests.faults.checks import GAP_MS, numbers_told
from tests.faults.outcome import Outcome
from tests.faults.stopwatch import Stopwatch, stop_patiently, wait_patiently
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, Relay, Subscriber, subscribed

BROKER = "broker"
CAMERA = "camera"
AGENT_FAULTS = (BROKER, CAMERA)
TRIALS_A_SESSION = 6
DEADLINE_S = 60.0
_BATCH_S = 1.0
_SLACK_MS = 2_500


class WholeAgent:
    """An agent with a broker behind a relay, a camera that can fail, and simulated vitals."""

    def __init__(
        self, folder: Path, mosquitto: Mosquitto, relay: Relay, camera: FailingCamera
    ) -> None:
        self.mosquitto = mosquitto
        self.relay = relay
        self.camera = camera
        self.appliance = Appliance(folder, _settings(relay.port, camera.address))
        self.seen: set[int] = set()

    @property
    def database(self) -> Path:
        return self.appliance.database

    def rows(self) -> set[int]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            sql = "SELECT at FROM vital WHERE kind = 'heart_rate'"
            return {row[0] for row in connection.execute(sql)}

    def kill(self) -> None:
        self.appliance.stop(signal.SIGKILL)
        self.appliance.start()

    def kill_broker(self) -> None:
        """End the broker at once; what it has written down comes back."""
        self.mosquitto.save()
        self.mosquitto.kill()

    def records_again(self) -> Stopwatch:
        """Return once a reading of after now is in the database, with how long that took."""
        now_ms = time.time_ns() // 1_000_000
        return self.wait(lambda: self._newest() > now_ms, "a reading of after the fault")

    def wait(self, condition: Callable[[], bool], what: str) -> Stopwatch:
        """Return once a condition holds, with how long that took."""
        return wait_patiently(condition, what, lambda: self.appliance.pid, DEADLINE_S)

    def _newest(self) -> int:
        if self.appliance.has_ended:
            self.appliance.start()
        try:
            return max(self.rows(), default=0)
        except sqlite3.Error:
            return 0


def _settings(port: int, address: str) -> dict[str, dict[str, Any]]:
    return {
        "device": {"name": "box"},
        "camera": {"source": "snapshot", "device": address, "snapshot_seconds": 0.2}
        | {"stall_seconds": 1.0},
        "mqtt": {"host": "127.0.0.1", "port": port, "keepalive": 5},
        "record": {"batch_seconds": _BATCH_S},
        "summary": {"window": 1},
        "vitals.simulated": {"enabled": True, "heart_rate_seconds": 0.1},
    }


def strike(agent: WholeAgent, name: str, chance: random.Random) -> None:
    if name == "kill":
        agent.kill()
    elif name == CAMERA:
        agent.camera.turn(chance.choice([mood for mood in Mood if mood is not Mood.GOOD]))
    else:
        relay = agent.relay
        hurts = (
            relay.cut,
            relay.swallow_answers,
            relay.swallow_everything,
            partial(setattr, relay, "delay_s", 1.0),
            relay.half_close,
            agent.kill_broker,
        )
        chance.choice(hurts)()


def lift(agent: WholeAgent, name: str) -> None:
    if name == CAMERA:
        agent.camera.turn(Mood.GOOD)
    elif name == BROKER:
        agent.relay.delay_s = 0.0
        agent.mosquitto.stop()
        agent.mosquitto.start()
        agent.relay.cut()


def run_session(folder: Path, plans: list[tuple[str, str, int]]) -> list[Outcome]:
    """Let one agent live through some trials, each a kind, another kind or nothing, and a seed."""
    outcomes: list[Outcome] = []
    try:
        with _whole_agent(folder) as (agent, reader):
            agent.records_again()
            for name, other, seed in plans:
                outcomes.append(Outcome(name, other, seed))
                _trial(agent, outcomes[-1])
            _deliver(agent, reader)
            if stop_patiently(agent.appliance, 30):
                outcomes[-1].wrong.append(f"bad end: {agent.appliance.said[-600:]}")
            _check_all(agent, reader, outcomes)
    except Exception as error:  # noqa: BLE001 - one bad session must not hide others
        if not outcomes:
            outcomes.append(Outcome(*plans[0]))
        outcomes[-1].wrong.append(f"{type(error).__name__}: {error}"[:900])
    return outcomes


@contextmanager
def _whole_agent(folder: Path) -> Iterator[tuple[WholeAgent, Subscriber]]:
    relay = None
    with Mosquitto(folder / "broker") as mosquitto, FailingCamera() as camera:
        relay = Relay(mosquitto.port)
        try:
            with subscribed(mosquitto.port) as reader:
                agent = WholeAgent(folder / "agent", mosquitto, relay, camera)
                with agent.appliance:
                    yield agent, reader
        finally:
            relay.close()


def _trial(agent: WholeAgent, outcome: Outcome) -> None:
    chance = random.Random(f"{outcome.kind}/{outcome.other}/{outcome.seed}")
    before = agent.rows()
    outcome.expected = len(before - agent.seen)
    agent.seen |= before
    faults = [one for one in (outcome.other, outcome.kind) if one]
    for fault in faults:
        strike(agent, fault, chance)
        time.sleep(chance.uniform(0.2, 2.0))
    for fault in reversed(faults):
        lift(agent, fault)
    outcome.note_time(agent.records_again())
    outcome.lost = len(before - agent.rows())


def _deliver(agent: WholeAgent, reader: Subscriber) -> None:
    """Wait until the broker has a summary of after the last fault."""
    told = len(reader.on("summary"))
    agent.wait(lambda: len(reader.on("summary")) > told + 2, "summaries at the broker")


def _check_all(agent: WholeAgent, reader: Subscriber, outcomes: list[Outcome]) -> None:
    """Look at what the whole session has left; what is wrong is said at its last trial."""
    last = outcomes[-1]
    with closing(sqlite3.connect(agent.database)) as connection:
        at = sorted(row[0] for row in connection.execute("SELECT at FROM vital"))
        gaps = connection.execute("SELECT started, ended FROM gap").fetchall()
        numbers = numbers_told(connection)
    for start, end in pairwise(at):
        told = any(a <= start + _SLACK_MS and b >= end - _SLACK_MS for a, b in gaps)
        last.unexplained += end - start > GAP_MS + _SLACK_MS and not told
    for message in reader.on("summary"):
        payload: Mapping[str, Any] = message.payload
        numbers.setdefault(payload["epoch"], set()).add(payload["seq"])
    for some in numbers.values():
        last.unexplained += max(some) - len(some)
    faults = look_at(agent.database, deep=True, within_s=60).faults
    last.wrong += [f"damaged: {faults}"] if faults else []
    if "Traceback" in agent.appliance.said:
        last.wrong.append(agent.appliance.said[agent.appliance.said.index("Traceback") :][:900])
