"""Who gets a place, who gives way, who is cut off: over real sockets, with a clock to turn."""

from __future__ import annotations

import asyncio
import logging
import socket
import weakref
from collections.abc import Iterator, Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from dashboard.web.guards.connections import (
    BODY_BYTES_A_SECOND,
    BODY_SECONDS,
    HEADER_SECONDS,
    WRITE_SECONDS,
    ConnectionGuard,
    GuardedListener,
    OnceAMinute,
    RequestTimes,
)
from tests.support.clocks.simulated_time import Seconds


class Place:
    """A listener with a guard, and who comes to it."""

    def __init__(self, total: int, per_address: int) -> None:
        self.clock = Seconds()
        self.guard = ConnectionGuard(self.clock, total, per_address)
        with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
            self.listener = GuardedListener(listening, self.guard)
        self.sockets: list[socket.socket] = [self.listener]

    def come(self, source: str = "127.0.0.1") -> socket.socket:
        """Connect; accept what is there. Return the end of who came."""
        client = socket.create_connection(self.listener.getsockname(), 5, (source, 0))
        self.sockets.append(client)
        try:
            self.sockets.append(self.listener.accept()[0])
        except BlockingIOError:
            assert has_ended(client), "it was refused"
        return client

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.guard.cut_off_the_slow()


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place(total=4, per_address=2)
    yield made
    for one in made.sockets:
        one.close()


def has_ended(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def ended(*clients: socket.socket) -> list[bool]:
    return [has_ended(client) for client in clients]


async def held(place: Place, client: socket.socket, *, body: bool = False) -> asyncio.Task[None]:
    """Let the request of a client be answered for as long as the test lasts."""
    return await request(place, client, [], "5000000" if body else "0")


EMPTY = {"type": "http.request"}


async def request(
    place: Place,
    client: socket.socket,
    parts: list[Message],
    length: str = "0",
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> asyncio.Task[None]:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.Event().wait()

    async def receive() -> Message:
        if parts:
            return parts.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(_message: Message) -> None:
        return

    scope = {
        "type": "http",
        "client": client.getsockname(),
        "headers": [(b"content-length", length.encode())],
    }
    task = asyncio.create_task(RequestTimes(app, place.guard)(scope, receive, send))
    await asyncio.sleep(0)
    return task


def test_of_one_address_the_one_that_waited_longest_gives_way(place: Place) -> None:
    first = place.come()
    place.clock.now += 1
    second = place.come()
    other = place.come("127.0.0.2")
    third = place.come()
    assert ended(first, second, third, other) == [True, False, False, False]


def test_the_address_with_the_most_connections_makes_room_for_others(place: Place) -> None:
    crowd = [place.come("127.0.0.2"), place.come("127.0.0.2"), place.come("127.0.0.3")]
    place.come("127.0.0.4")
    new = place.come("127.0.0.5")
    assert ended(*crowd, new) == [True, False, False, False]


def test_who_is_being_answered_stays_and_where_all_are_newcomer_is_refused(place: Place) -> None:
    async def scene() -> None:
        first = place.come()
        tasks = [await held(place, first)]
        second = place.come()
        third = place.come()
        assert ended(first, second, third) == [False, True, False]
        tasks.append(await held(place, third))
        fourth = place.come()
        assert ended(first, third, fourth) == [False, False, True]
        for task in tasks:
            task.cancel()

    asyncio.run(scene())


def test_where_all_are_event_streams_one_of_them_gives_way(place: Place) -> None:
    async def scene() -> None:
        kind = [(b"content-type", b"text/event-stream; charset=utf-8")]
        streams = [place.come(), place.come()]
        tasks = [await request(place, stream, [EMPTY], headers=kind) for stream in streams]
        health = place.come()
        assert ended(*streams, health) == [True, False, False]
        tasks.append(await request(place, health, [EMPTY]))
        another = place.come()
        assert ended(streams[1], health, another) == [True, False, False]
        for task in tasks:
            task.cancel()

    asyncio.run(scene())


def test_a_place_is_free_again_when_the_connection_is_closed(place: Place) -> None:
    clients = [place.come(), place.come()]
    for accepted in place.sockets[2::2]:
        accepted.close()
    clients = [place.come(), place.come()]
    assert ended(*clients) == [False, False]


def test_client_that_sends_no_request_is_disconnected(place: Place) -> None:
    idle = place.come()
    place.pass_time(HEADER_SECONDS - 0.1)
    assert not has_ended(idle)
    place.pass_time(0.2)
    assert has_ended(idle)


def test_a_body_has_time_by_its_size_and_an_answer_has_all_the_time(place: Place) -> None:
    async def scene() -> None:
        nothing = place.come()
        steady = place.come("127.0.0.2")
        open_page = place.come("127.0.0.3")
        part = {"type": "http.request", "body": bytes(50 * BODY_BYTES_A_SECOND), "more_body": True}
        tasks = [
            await held(place, nothing, body=True),
            await request(place, steady, [part], "5000000"),
            await request(place, open_page, [{"type": "http.request"}]),
        ]
        place.pass_time(BODY_SECONDS + 1)
        assert ended(nothing, steady, open_page) == [True, False, False]
        place.pass_time(50)
        assert ended(steady, open_page) == [True, False]
        place.pass_time(100_000)
        assert not has_ended(open_page)
        for task in tasks:
            task.cancel()

    asyncio.run(scene())


def test_client_that_does_not_read_its_answer_is_disconnected(place: Place) -> None:
    async def scene() -> None:
        reader = place.come()

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200})

        async def never(_message: Message | None = None) -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        scope = {"type": "http", "client": reader.getsockname(), "headers": []}
        task = asyncio.create_task(RequestTimes(app, place.guard)(scope, never, never))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        place.pass_time(WRITE_SECONDS - 1)
        assert not has_ended(reader)
        place.pass_time(2)
        assert has_ended(reader)
        task.cancel()

    asyncio.run(scene())


def test_all_who_had_to_go_are_reported_in_one_line(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        place.come()
    place.guard.tell()
    place.guard.tell()
    assert [record.getMessage() for record in caplog.records] == [
        "too many connections: 18 gave way to others and 0 were refused, 2 are open"
    ]


def test_a_line_that_strangers_cause_is_written_once_a_minute() -> None:
    clock = Seconds()
    limit = OnceAMinute(clock)

    def line(name: str, level: int, text: str) -> bool:
        return limit.filter(logging.LogRecord(name, level, "", 0, text, None, None))

    odd = ("uvicorn.error", logging.WARNING, "Invalid HTTP request received.")
    assert [line(*odd), line(*odd), line("asyncio", logging.ERROR, "x")] == [True, False, True]
    ours = ("uvicorn.error", logging.ERROR, "Exception in ASGI application")
    assert [line(*ours), line(*ours)] == [True, True]
    clock.now += 60
    assert line(*odd)


class Held:
    """What a closed connection under TLS is: nobody needs it, but it holds itself."""

    def __init__(self) -> None:
        self.itself = self


def test_memory_of_closed_connections_is_freed_in_a_crowd(place: Place) -> None:
    held = weakref.ref(Held())
    for _ in range(64):
        assert held() is not None
        place.guard.left(place.listener, ("192.0.2.1", 1))
    assert held() is None
