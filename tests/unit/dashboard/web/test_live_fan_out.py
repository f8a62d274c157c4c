"""Sharing out the agent's feed: latest state first, a slow one skipped, nobody held up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.web.agent_feed import WAITING, Listener, LiveFanOut
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.texts import N_, Message
from edge_agent.live.feed import SOCKET_NAME, LiveServer

DEADLINE_S = 60.0


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[LiveServer]:
    server = LiveServer(tmp_path / SOCKET_NAME)
    server.start()
    yield server
    server.stop()
    assert server.join(DEADLINE_S)


def number(value: int) -> dict[str, Any]:
    return {"type": "expression", "number": value}


def data_of(event: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.split("data: ", 1)[1])
    return found


async def heard(listener: Listener, until: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a listener is given up to a message."""
    said: list[dict[str, Any]] = []
    async with asyncio.timeout(DEADLINE_S):
        while until not in said:
            said += [data_of(event) for event in await listener.take(DEADLINE_S)]
    return said


def test_a_later_listener_begins_with_the_newest_of_each_kind(
    tmp_path: Path, agent: LiveServer
) -> None:
    async def listen() -> None:
        fan_out = LiveFanOut(tmp_path / SOCKET_NAME, asyncio.Event())
        with fan_out.listen() as first:
            agent.publish(number(1))
            agent.publish({"type": "vital", "kind": "heart_rate", "value": 70})
            systolic = {"type": "vital", "kind": "systolic", "value": 120}
            agent.publish(systolic)
            agent.publish(number(2))
            if systolic not in await heard(first, number(2)):  # it connected after all was said
                await heard(first, systolic)
            with fan_out.listen() as later:
                given = [data_of(event) for event in await later.take(DEADLINE_S)]
        assert [(one["type"], one.get("kind"), one.get("number")) for one in given] == [
            ("agent", None, None),
            ("expression", None, 2),
            ("vital", "heart_rate", None),
            ("vital", "systolic", None),
        ]

    asyncio.run(listen())


def test_shared_message_reaches_whoever_listens_and_is_not_kept_for_nobody(tmp_path: Path) -> None:
    async def listen() -> None:
        fan_out = LiveFanOut(tmp_path / SOCKET_NAME, asyncio.Event())
        fan_out.share(number(1))
        with fan_out.listen() as listener:
            fan_out.share(number(2))
            given = await heard(listener, number(2))
        assert number(1) not in given

    asyncio.run(listen())


def test_alarms_come_in_each_language_and_errors_in_english(
    tmp_path: Path, agent: LiveServer
) -> None:
    error = CameraError(CameraReason.NOT_FOUND, "/dev/video0: was unplugged.", "Plug it in again.")
    hot = Message(
        N_("The processor has {celsius:.0f} °C and will slow down. Give it air or a heat sink."),
        celsius=81.6,
    )

    async def listen() -> dict[str, Any]:
        fan_out = LiveFanOut(tmp_path / SOCKET_NAME, asyncio.Event())
        with fan_out.listen() as listener:
            agent.publish({"type": "health", "alarms": [{"text": hot}], "why": str(error)})
            agent.publish(number(1))
            given = await heard(listener, number(1))
        return next(one for one in given if one["type"] == "health")

    told = asyncio.run(listen())
    assert told["alarms"] == [{"text": str(hot)}]
    assert told["said"]["de"][str(hot)].startswith("Der Prozessor hat 82 °C und wird langsamer")
    assert told["said"]["es"][str(hot)].startswith("El procesador está a 82 °C")
    assert told["why"] == "/dev/video0: was unplugged. Plug it in again."
    assert told["why"] not in told["said"]["es"], "errors are English"
    assert "texts" not in told


def test_a_slow_listener_goes_on_with_what_is_newest(tmp_path: Path, agent: LiveServer) -> None:
    async def listen() -> None:
        fan_out = LiveFanOut(tmp_path / SOCKET_NAME, asyncio.Event())
        with fan_out.listen() as slow, fan_out.listen() as quick:
            await heard(quick, {"type": "agent", "state": "online"})
            numbers = []
            for value in range(WAITING * 3):
                agent.publish(number(value))
                numbers += [one["number"] for one in await heard(quick, number(value))]
            assert numbers == list(range(WAITING * 3))
            late = [data_of(event) for event in await slow.take(DEADLINE_S)]
            assert late[0] == {"type": "agent", "state": "online"}
            assert late[-1] == number(WAITING * 3 - 1)
            assert len(late) <= WAITING

    asyncio.run(listen())


def test_the_agent_has_one_reader_while_somebody_listens_and_none_after(
    tmp_path: Path, agent: LiveServer
) -> None:
    async def until_readers(count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(agent._readers) != count:
                await asyncio.sleep(0.005)

    async def listen() -> None:
        fan_out = LiveFanOut(tmp_path / SOCKET_NAME, asyncio.Event())
        for _ in range(2):
            with fan_out.listen() as one, fan_out.listen() as other:
                for listener in (one, other):
                    await heard(listener, {"type": "agent", "state": "online"})
                assert len(agent._readers) == 1
            await until_readers(0)

    asyncio.run(listen())


def test_a_page_knows_from_its_first_moment_whether_an_agent_runs(tmp_path: Path) -> None:
    async def come_and_go() -> None:
        fan_out = LiveFanOut(tmp_path / SOCKET_NAME, asyncio.Event())
        assert fan_out.is_agent_away()
        server = LiveServer(tmp_path / SOCKET_NAME)
        server.start()
        assert not fan_out.is_agent_away()
        with fan_out.listen() as listener:
            server.publish(number(1))
            await heard(listener, number(1))
            assert not fan_out.is_agent_away()
            server.stop()
            await heard(listener, {"type": "agent", "state": "offline"})
            assert fan_out.is_agent_away()
            with fan_out.listen() as later:
                given = [data_of(event) for event in await later.take(DEADLINE_S)]
                assert given == [{"type": "agent", "state": "offline"}], "nothing of before"
        assert server.join(DEADLINE_S)
        assert fan_out.is_agent_away()

    asyncio.run(come_and_go())


def test_listeners_wake_when_the_dashboard_stops_and_when_nothing_comes(tmp_path: Path) -> None:
    async def listen() -> None:
        stopping = asyncio.Event()
        fan_out = LiveFanOut(tmp_path / SOCKET_NAME, stopping)
        with fan_out.listen() as listener:
            await heard(listener, {"type": "agent", "state": "offline"})
            assert await listener.take(0.01) == []
            stopping.set()
            async with asyncio.timeout(DEADLINE_S):
                assert await listener.take(3600.0) == []

    asyncio.run(listen())
