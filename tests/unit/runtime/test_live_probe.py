"""The probe: one connection to the agent that stays open, and is opened again when it has ended."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.live.feed import AgentProbe, LiveServer
from tests.support.broker import wait_until

PATIENCE_S = 60.0
LITTLE_S = 0.1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "live.sock"


@pytest.fixture
def probe(path: Path) -> Iterator[AgentProbe]:
    made = AgentProbe(path)
    yield made
    made.close()


def speaking(path: Path, at: int) -> LiveServer:
    server = LiveServer(path)
    server.start()
    server.publish({"type": "state", "at": at})
    return server


def end(server: LiveServer) -> None:
    server.stop()
    assert server.join(PATIENCE_S)


def test_without_an_agent_nothing_is_told(probe: AgentProbe) -> None:
    assert probe.last_state_ms(LITTLE_S) is None
    assert not probe.is_connected


def test_the_newest_state_is_told_over_one_connection(path: Path, probe: AgentProbe) -> None:
    server = speaking(path, 1000)
    assert probe.last_state_ms(PATIENCE_S) == 1000
    for at in range(1001, 1020):
        server.publish({"type": "vital", "kind": "heart_rate", "at": at})
        server.publish({"type": "state", "at": at})
    wait_until(lambda: probe.last_state_ms(PATIENCE_S) == 1019, "the newest state", PATIENCE_S)
    assert len(server._readers) == 1
    end(server)


def test_an_agent_that_was_started_again_is_heard_in_the_same_call(
    path: Path, probe: AgentProbe
) -> None:
    server = speaking(path, 1000)
    assert probe.last_state_ms(PATIENCE_S) == 1000
    end(server)
    again = speaking(path, 2000)
    assert probe.last_state_ms(PATIENCE_S) == 2000
    end(again)
    assert probe.last_state_ms(LITTLE_S) is None
    assert not probe.is_connected


@pytest.mark.parametrize("nonsense", [b'{"type":"state",}\n', b'{"type":"state","at":null}\n'])
def test_nonsense_is_no_sign_of_life(path: Path, probe: AgentProbe, nonsense: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert probe.last_state_ms(LITTLE_S) is None
        assert probe.is_connected
        connection = listener.accept()[0]
        with connection:
            connection.sendall(nonsense)
            assert probe.last_state_ms(LITTLE_S) is None
