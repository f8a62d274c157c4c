"""The live feed: everybody gets the newest, nobody can hold the agent up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import ServerError
from edge_agent.core.expression import (
    EMOTIONS,
    Box,
    Emotion,
    Expression,
    Face,
    Observation,
    Recognition,
)
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.live import feed
from edge_agent.live.feed import LiveServer, live_messages

DEADLINE_S = 60.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "live.sock"


@pytest.fixture(autouse=True)
def _no_caller_stays() -> Iterator[None]:
    yield
    while Caller.made:
        Caller.made.pop().close()


@pytest.fixture
def serve() -> Iterator[Callable[[Path], LiveServer]]:
    """Starts servers that are stopped at the end."""
    started: list[LiveServer] = []

    def start(path: Path) -> LiveServer:
        server = LiveServer(path)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
        assert server.join(60)
        assert server.error is None


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, DEADLINE_S))


@contextlib.asynccontextmanager
async def reading(path: Path) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    messages = live_messages(path)
    try:
        yield messages
    finally:
        await messages.aclose()


async def until(messages: AsyncIterator[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    """The next message that has these values."""
    async for message in messages:
        if wanted.items() <= message.items():
            return message
    raise AssertionError("the feed ended")


class Caller:
    """A reader made of a bare socket."""

    made: ClassVar[list[Caller]] = []

    def __init__(self, path: Path) -> None:
        self.made.append(self)
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


def observation(track: int, emotion: Emotion | None, *, primary: bool) -> Observation:
    face = Face(Box(64, 48, 320, 240), 0.9, ((1, 1), (2, 1), (1.5, 2), (1, 3), (2, 3)))
    even = Expression(tuple(1 / 8 for _ in EMOTIONS))
    happy = Expression(tuple(0.86 if e is Emotion.HAPPINESS else 0.02 for e in EMOTIONS))
    return Observation(track, face, even, happy, emotion, primary, 0.75)


def recognition(boot_ms: int, *observations: Observation) -> Recognition:
    return Recognition(Instant(boot_ms, 1_000_000 + boot_ms), 7, 640, 480, observations)


def test_a_message_reaches_every_reader(path: Path, serve: Callable[[Path], LiveServer]) -> None:
    server = serve(path)

    async def two_readers() -> None:
        async with reading(path) as first, reading(path) as second:
            assert await anext(first) == {"type": "agent", "state": "online"}
            assert await anext(second) == {"type": "agent", "state": "online"}
            server.publish({"type": "session", "event": "started", "name": "Übung"})
            assert (await until(first, type="session"))["name"] == "Übung"
            assert (await until(second, type="session"))["event"] == "started"

    run(two_readers())


def test_who_comes_late_gets_the_newest_of_each_type_and_kind(
    path: Path, serve: Callable[[Path], LiveServer]
) -> None:
    server = serve(path)
    for value in (70.0, 71.0):
        server.publish_vital(VitalReading(Instant(1, 2), VitalKind.HEART_RATE, value, "test"))
    server.publish_vital(
        VitalReading(Instant(1, 2), VitalKind.SYSTOLIC, 120, "test", frozenset({VitalFlag.MANUAL}))
    )
    server.publish({"type": "health", "alarms": []})
    caller = Caller(path)
    messages = [caller.next() for _ in range(4)]
    vital = {"type": "vital", "at": 2, "source": "test"}
    heart = {"kind": "heart_rate", "value": 71.0, "unit": "/min", "flags": []}
    pressure = {"kind": "systolic", "value": 120, "unit": "mm[Hg]", "flags": ["manual"]}
    assert messages == [
        {"type": "agent", "state": "online"},
        vital | heart,
        vital | pressure,
        {"type": "health", "alarms": []},
    ]


def test_faces_are_given_relative_to_the_frame_with_raw_and_smoothed_probabilities(
    path: Path, serve: Callable[[Path], LiveServer]
) -> None:
    server = serve(path)
    seen = (observation(3, Emotion.HAPPINESS, primary=True), observation(4, None, primary=False))
    server.publish_recognition(recognition(500, *seen))
    caller = Caller(path)
    assert caller.next()["type"] == "agent"
    message = caller.next()
    assert (message["at"], message["simulated"]) == (1_000_500, False)
    assert message["frame"] == {"width": 640, "height": 480, "number": 7}
    happy, unsure = message["faces"]
    assert happy["box"] == [0.1, 0.1, 0.5, 0.5]
    assert (happy["track"], happy["primary"], happy["emotion"]) == (3, True, "happiness")
    assert (unsure["track"], unsure["primary"], unsure["emotion"]) == (4, False, None)
    assert happy["probabilities"]["anger"] == 0.125
    assert happy["smoothed"]["happiness"] == 0.86
    assert (happy["valence"], happy["quality"], happy["flaw"]) == (0.76, 0.75, None)
    assert message["state"] == "happiness"


def test_expressions_are_sent_at_most_five_times_a_second(
    path: Path, serve: Callable[[Path], LiveServer]
) -> None:
    server = serve(path)
    caller = Caller(path)
    assert caller.next()["state"] == "online"
    for frame in range(30):
        server.publish_recognition(recognition(10_000 + frame * 33))
    server.publish({"type": "end"})
    kinds = [caller.next()["type"] for _ in range(6)]
    assert kinds == ["expression"] * 5 + ["end"]


def test_a_reader_that_never_reads_costs_a_bounded_amount_of_memory_and_holds_nobody_up(
    path: Path, serve: Callable[[Path], LiveServer]
) -> None:
    server = serve(path)
    sleepers = [Caller(path) for _ in range(4)]
    awake = Caller(path)
    assert awake.next()["state"] == "online"
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


def test_readers_beyond_the_most_allowed_are_turned_away(
    path: Path,
    serve: Callable[[Path], LiveServer],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(feed, "READERS", 2)
    serve(path)
    callers = [Caller(path) for _ in range(2)]
    assert [caller.next()["state"] for caller in callers] == ["online", "online"]
    with caplog.at_level(logging.WARNING):
        third = Caller(path)
        assert third.lines.readline() == b""
    assert "turned away" in caplog.text


def test_a_reader_that_hangs_up_makes_room(
    path: Path, serve: Callable[[Path], LiveServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "READERS", 1)
    serve(path)
    deadline = time.monotonic() + DEADLINE_S
    for _ in range(3):
        greeting = b""
        while not greeting and time.monotonic() < deadline:
            caller = Caller(path)
            greeting = caller.lines.readline()
            caller.close()
        assert b"online" in greeting


def test_the_feed_says_offline_once_and_comes_back_by_itself(
    path: Path, serve: Callable[[Path], LiveServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(feed, "LONGEST_RETRY_S", 0.05)

    async def over_a_restart() -> None:
        async with reading(path) as messages:
            assert await anext(messages) == {"type": "agent", "state": "offline"}
            first = serve(path)
            assert await anext(messages) == {"type": "agent", "state": "online"}
            first.stop()
            assert await anext(messages) == {"type": "agent", "state": "offline"}
            assert await asyncio.to_thread(first.join, 5)
            serve(path).publish({"type": "health"})
            assert await anext(messages) == {"type": "agent", "state": "online"}
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
            async with reading(path) as messages:
                assert await anext(messages) == {"type": "health"}
                assert await anext(messages) == {"type": "agent", "state": "offline"}

        run(listen())
        speaker.join(60)
    assert "live:" in caplog.text


def test_the_socket_is_for_user_and_group_and_goes_with_the_server(path: Path) -> None:
    server = LiveServer(path)
    server.start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    server.stop()
    assert server.join(60)
    assert not path.exists()
    server.publish({"type": "health"})


def test_readers_that_come_while_it_stops_are_hung_up_on(path: Path) -> None:
    for _ in range(10):
        server = LiveServer(path)
        server.start()
        callers = [Caller(path) for _ in range(3)]
        server.stop()
        assert server.join(60)
        assert server.error is None
        for caller in callers:
            with contextlib.suppress(ConnectionResetError):
                while caller.lines.readline():
                    pass


def test_a_socket_that_a_dead_agent_left_is_taken_over(
    path: Path, serve: Callable[[Path], LiveServer]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    assert path.exists()
    serve(path)
    caller = Caller(path)
    assert caller.next()["state"] == "online"


def test_a_second_agent_on_one_socket_is_refused_and_the_first_goes_on(
    path: Path, serve: Callable[[Path], LiveServer]
) -> None:
    serve(path)
    with pytest.raises(ServerError, match=r"live\.sock: another agent serves it"):
        LiveServer(path).start()
    caller = Caller(path)
    assert caller.next()["state"] == "online"


def test_a_file_in_the_way_is_named_and_left_alone(path: Path) -> None:
    path.write_text("mine", encoding="ascii")
    with pytest.raises(ServerError, match=r"live\.sock: something else has this name"):
        LiveServer(path).start()
    assert path.read_text(encoding="ascii") == "mine"


def test_a_missing_folder_is_named_with_its_cure(tmp_path: Path) -> None:
    for name in ("missing", "m" * 120):
        with pytest.raises(ServerError, match=r"cannot be made \(No such file.*folder must exist"):
            LiveServer(tmp_path / name / "live.sock").start()


def test_a_path_too_long_for_a_socket_address_works_all_the_same(
    tmp_path: Path, serve: Callable[[Path], LiveServer]
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    path = folder / "live.sock"
    serve(path)

    async def read() -> None:
        async with reading(path) as messages:
            assert await anext(messages) == {"type": "agent", "state": "online"}

    run(read())
    with pytest.raises(ServerError, match="another agent"):
        LiveServer(path).start()
