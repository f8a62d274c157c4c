"""The live feed: everybody gets the newest, nobody can hold the agent up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge_agent.core.errors import ServerError
from edge_agent.core.expression import EMOTIONS, Expression
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.live import feed
from edge_agent.live.feed import AgentProbe, LiveServer, live_messages
from tests.support.broker import wait_until
from tests.support.timeline import START_MS, observation, reading, recognition

DEADLINE_S = 60.0
LITTLE_S = 0.1
ONLINE = {"type": "agent", "state": "online"}
OFFLINE = {"type": "agent", "state": "offline"}
SERVED = """
import socket, sys
from pathlib import Path
from edge_agent.live.feed import LiveServer
server = LiveServer(Path(sys.argv[1]))
server.start()
with socket.socket(socket.AF_UNIX) as reader:
    reader.connect(sys.argv[1])
    print(reader.recv(100).decode().strip())
server.stop()
server.join(60)
print("asyncio" in sys.modules)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "live.sock"


@contextlib.contextmanager
def serving(path: Path) -> Iterator[LiveServer]:
    server = LiveServer(path)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        assert server.join(DEADLINE_S)
        assert server.error is None


@pytest.fixture
def server(path: Path) -> Iterator[LiveServer]:
    with serving(path) as running:
        yield running


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, DEADLINE_S))


async def until(messages: AsyncIterator[dict[str, Any]], kind: str) -> dict[str, Any]:
    async for message in messages:
        if message["type"] == kind:
            return message
    raise AssertionError("the feed ended")


class Caller:
    """A reader made of a bare socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE_S)
        self.lines = self.socket.makefile("rb")
        self.socket.connect(str(path))

    def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.lines.readline())
        return message

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


@pytest.fixture
def call(path: Path) -> Iterator[Callable[[], Caller]]:
    """Connects readers that hang up at the end."""
    with contextlib.ExitStack() as calls:
        yield lambda: calls.enter_context(contextlib.closing(Caller(path)))


def test_a_message_reaches_every_reader(path: Path, server: LiveServer) -> None:
    async def two_readers() -> None:
        async with (
            contextlib.aclosing(live_messages(path)) as first,
            contextlib.aclosing(live_messages(path)) as second,
        ):
            assert [await anext(first), await anext(second)] == [ONLINE, ONLINE]
            server.publish({"type": "session", "name": "Übung"})
            for messages in (first, second):
                assert (await until(messages, "session"))["name"] == "Übung"

    run(two_readers())


def test_feed_of_an_agent_is_served_without_an_event_loop(path: Path) -> None:
    command = [sys.executable, "-c", SERVED, str(path)]
    served = subprocess.run(command, capture_output=True, text=True, check=True)
    assert served.stdout.splitlines() == ['{"type":"agent","state":"online"}', "False"]


def test_who_comes_late_gets_the_newest_of_each_type_and_kind(
    server: LiveServer, call: Callable[[], Caller]
) -> None:
    for value in (70.0, 71.0):
        server.publish_vital(reading(0, value))
    server.publish_vital(reading(0, 120, VitalKind.SYSTOLIC, flags=[VitalFlag.MANUAL]))
    server.publish({"type": "health", "alarms": []})
    caller = call()
    vital = {"type": "vital", "at": START_MS, "source": "strap"}
    heart = {"kind": "heart_rate", "value": 71.0, "unit": "/min", "flags": []}
    pressure = {"kind": "systolic", "value": 120, "unit": "mm[Hg]", "flags": ["manual"]}
    assert [caller.next() for _ in range(4)] == [
        ONLINE,
        vital | heart,
        vital | pressure,
        {"type": "health", "alarms": []},
    ]


def test_faces_are_relative_to_frame_with_raw_and_smoothed_probabilities(
    server: LiveServer, call: Callable[[], Caller]
) -> None:
    even = Expression(tuple(1 / 8 for _ in EMOTIONS))
    other = observation(None, track=4, primary=False)
    server.publish_recognition(recognition(0.5, observation(track=3, raw=even), other))
    caller = call()
    assert caller.next() == ONLINE
    message = caller.next()
    happy, unsure = message["faces"]
    assert message["at"] == START_MS + 500
    assert message["frame"] == {"width": 640, "height": 480, "number": 500}
    assert (message["state"], message["simulated"]) == ("happiness", False)
    assert happy["box"] == [0.01562, 0.04167, 0.15625, 0.25]
    assert (happy["track"], happy["primary"], happy["emotion"]) == (3, True, "happiness")
    assert (unsure["track"], unsure["primary"], unsure["emotion"]) == (4, False, None)
    assert (happy["probabilities"]["anger"], happy["smoothed"]["happiness"]) == (0.125, 0.86)
    assert (happy["valence"], happy["quality"], happy["flaw"]) == (0.76, 0.75, None)


def test_expressions_are_sent_at_most_five_times_a_second(
    server: LiveServer, call: Callable[[], Caller]
) -> None:
    caller = call()
    assert caller.next() == ONLINE
    for frame in range(30):
        server.publish_recognition(recognition(frame * 0.033))
    server.publish({"type": "end"})
    assert [caller.next()["type"] for _ in range(6)] == ["expression"] * 5 + ["end"]


def test_readers_that_never_read_cost_bounded_memory_and_hold_nobody_up(
    server: LiveServer, call: Callable[[], Caller]
) -> None:
    sleepers = [call() for _ in range(4)]
    awake = call()
    assert awake.next() == ONLINE
    before = psutil.Process().memory_info().rss
    filler = "x" * 10_000
    for number in range(5_000):
        server.publish({"type": "health", "number": number, "filler": filler})
    server.publish({"type": "end"})
    while awake.next()["type"] != "end":
        pass
    grown = psutil.Process().memory_info().rss - before
    assert grown < 100_000_000, f"{grown / 1e6:.0f} MB more for 50 MB of messages and four sleepers"
    for sleeper in sleepers:
        numbers = []
        while (message := sleeper.next())["type"] != "end":
            numbers.append(message.get("number", -1))
        assert numbers == sorted(numbers)
        assert numbers[-1] == 4_999
        assert len(numbers) < 1_000


def test_readers_beyond_the_most_are_turned_away_until_one_hangs_up(
    server: LiveServer,
    call: Callable[[], Caller],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(feed, "READERS", 1)
    first = call()
    assert first.next() == ONLINE
    with caplog.at_level(logging.WARNING):
        assert call().lines.readline() == b""
    assert "turned away" in caplog.text
    first.close()
    wait_until(lambda: call().lines.readline() != b"", "room for another", DEADLINE_S)


def test_the_feed_says_offline_once_and_comes_back_by_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "RETRIES_S", (0.02, 0.05))

    async def over_a_restart() -> None:
        async with contextlib.aclosing(live_messages(path)) as messages:
            assert await anext(messages) == OFFLINE
            with serving(path) as first:
                assert await anext(messages) == ONLINE
                first.stop()
                assert await anext(messages) == OFFLINE
            with serving(path) as second:
                second.publish({"type": "health"})
                assert await anext(messages) == ONLINE
                assert await anext(messages) == {"type": "health"}

    run(over_a_restart())


def test_a_peer_that_speaks_nonsense_counts_as_offline(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.bind(str(path))
        peer.listen()

        def speak() -> None:
            caller, _ = peer.accept()
            with caller:
                caller.sendall(b'[1]\n{"type":"health"}\nno json\n')

        speaker = threading.Thread(target=speak)
        speaker.start()

        async def listen() -> None:
            async with contextlib.aclosing(live_messages(path)) as messages:
                assert [await anext(messages), await anext(messages)] == [
                    {"type": "health"},
                    OFFLINE,
                ]

        run(listen())
        speaker.join(DEADLINE_S)
    assert "live:" in caplog.text


def test_dead_agents_socket_is_taken_over_by_one_that_goes_with_its_server(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with serving(path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()
    server.publish({"type": "health"})


def test_readers_that_come_while_it_stops_are_hung_up_on(
    path: Path, call: Callable[[], Caller]
) -> None:
    for _ in range(10):
        with serving(path):
            callers = [call() for _ in range(3)]
        for caller in callers:
            with contextlib.suppress(ConnectionResetError):
                while caller.lines.readline():
                    pass


@pytest.mark.parametrize("folder", ["short", "too long for the address of a socket " * 5])
def test_a_second_agent_on_one_socket_is_refused_and_the_first_goes_on(
    tmp_path: Path, folder: str
) -> None:
    path = tmp_path / folder / "live.sock"
    path.parent.mkdir()

    async def read() -> None:
        async with contextlib.aclosing(live_messages(path)) as messages:
            assert await anext(messages) == ONLINE

    with serving(path):
        with pytest.raises(ServerError, match=r"live\.sock: another agent serves it"):
            LiveServer(path).start()
        run(read())


def test_a_file_in_the_way_and_a_missing_folder_are_named(path: Path) -> None:
    path.write_text("mine", encoding="ascii")
    with pytest.raises(ServerError, match=r"live\.sock: something else has this name"):
        LiveServer(path).start()
    assert path.read_text(encoding="ascii") == "mine"
    for name in ("missing", "m" * 120):
        with pytest.raises(ServerError, match=r"cannot be made \(No such file.*folder must exist"):
            LiveServer(path.parent / name / "live.sock").start()


@pytest.fixture
def probe(path: Path) -> Iterator[AgentProbe]:
    with contextlib.closing(AgentProbe(path)) as made:
        yield made


def test_the_probe_hears_the_newest_state_over_one_connection(
    probe: AgentProbe, server: LiveServer
) -> None:
    server.publish({"type": "state", "at": 1000})
    assert probe.last_state_ms(DEADLINE_S) == 1000
    for at in range(1001, 1020):
        server.publish({"type": "vital", "kind": "heart_rate", "at": at})
        server.publish({"type": "state", "at": at})
    wait_until(lambda: probe.last_state_ms(DEADLINE_S) == 1019, "the newest state", DEADLINE_S)
    assert len(server._readers) == 1


def test_the_probe_hears_an_agent_that_was_started_again_in_the_same_call(
    path: Path, probe: AgentProbe
) -> None:
    for at in (1000, 2000):
        with serving(path) as server:
            server.publish({"type": "state", "at": at})
            assert probe.last_state_ms(DEADLINE_S) == at
    assert probe.last_state_ms(LITTLE_S) is None
    assert not probe.is_connected


@pytest.mark.parametrize(
    "nonsense",
    [
        b'{"type":"state",}\n',
        b'{"type":"state","at":null}\n',
        b'{"type":"state","at":1e999}\n',
        b'{"type":"state","at":' + b"[" * 20_000 + b"\n",
    ],
)
def test_nonsense_is_no_sign_of_life(path: Path, probe: AgentProbe, nonsense: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert probe.last_state_ms(LITTLE_S) is None
        assert probe.is_connected
        with listener.accept()[0] as connection:
            connection.sendall(nonsense)
            assert probe.last_state_ms(LITTLE_S) is None
