"""What devices say of themselves: what is read of it, what is refused, and what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.core.clock import boot_seconds

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from collector.database.devices import note_states
from collector.messages import Health, StateMessage, Status, read_state
from edge_agent.fleet.chunks import MessageError
from tests.support.fleet.health_example import health_example

AT = "2026-11-20T08:12:10.250Z"
AT_MS = 1_795_162_330_250
HEALTH = health_example()


def status(content: object, *, kept: bool = False, device: str = "lab") -> StateMessage:
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return StateMessage(device, "status", payload, kept, boot_seconds())


def health(device: str = "affect-edge", *, kept: bool = False, **more: object) -> StateMessage:
    payload = json.dumps(HEALTH | {"device": device} | more).encode()
    return StateMessage(device, "health", payload, kept, boot_seconds())


def test_a_status_and_a_last_will_are_read() -> None:
    online = read_state(status({"schema": 1, "state": "online", "at": AT}))
    assert online == Status("online", AT_MS)
    will = read_state(status({"schema": 1, "state": "offline", "at": None, "more": 1}))
    assert will == Status("offline", None)


def test_a_health_is_read_with_what_a_newer_device_says_beside_it() -> None:
    said = read_state(health(newer={"of": "tomorrow"}))
    assert isinstance(said, Health)
    assert (said.at_ms, said.version) == (AT_MS, "0.1.0")
    assert json.loads(said.text)["newer"] == {"of": "tomorrow"}


def test_the_health_of_an_older_device_may_lack_what_came_later() -> None:
    old = {"schema": 1, "at": AT, "device": "lab", "version": "0.0.1"}
    said = read_state(StateMessage("lab", "health", json.dumps(old).encode(), False, 0.0))
    assert isinstance(said, Health)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"online", "is no status: Invalid JSON"),
        (b"\xff", "is no status: it is not UTF-8"),
        (b"[" * 9000, "is no status: Invalid JSON"),
        (b'{"schema": 1, "state": "\\ud800", "at": null}', "is no status: Invalid JSON"),
        (b'{"at": "\\u0000"}', "is no status: a text in it has a NUL"),
        ([1], "is no status: Input should be an object"),
        ({"schema": 1, "state": "asleep", "at": None}, "is no status: state: Input should be"),
        ({"schema": 2, "state": "online", "at": None}, "is no status: schema: Input should be 1"),
        ({"schema": 1, "state": "online", "at": "2026-13-45T99:00:00.000Z"}, "is no status: at:"),
        ({"schema": 1, "state": "online", "at": 5}, "is no status: at:"),
        (b" " * 70_000, "is no status: it has more than 65536 bytes"),
    ],
)
def test_what_is_no_status_is_refused_with_the_reason(content: object, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        read_state(status(content))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"device": "ward"}, "says that it is of 'ward'"),
        ({"version": None}, "is no health: version"),
        ({"disk": {"free_bytes": -1, "free_percent": 3}}, "is no health: disk.free_bytes"),
        ({"alarms": [{"name": "hot"}]}, "is no health: alarms.0.text"),
        ({"sensors": "none"}, "is no health: sensors"),
        ({"mqtt": {"outbox": True}}, "is no health: mqtt.outbox"),
    ],
)
def test_what_is_no_health_of_this_device_is_refused(more: dict[str, Any], reason: str) -> None:
    payload = json.dumps(HEALTH | {"device": "lab"} | more).encode()
    with pytest.raises(MessageError, match=reason):
        read_state(StateMessage("lab", "health", payload, False, 0.0))


@pytest.mark.parametrize("name", ["", "a" * 201, "a\nb"])
def test_a_device_without_a_usable_name_is_refused(name: str) -> None:
    with pytest.raises(MessageError, match="no usable name"):
        read_state(status({"schema": 1, "state": "online", "at": AT}, device=name))


class Written:
    """A connection that notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def execute(self, statement: str | bytes, values: Any = None) -> None:
        text = statement.decode() if isinstance(statement, bytes) else statement
        self.asked.append((text, values))


def test_many_devices_are_written_with_one_statement_for_each_kind() -> None:
    there: Any = Written()
    online = {"schema": 1, "state": "online", "at": AT}
    note_states(
        there,
        [
            *(status(online, device=name) for name in ("a", "b")),
            *(health(name) for name in ("a", "b")),
            status({"schema": 1, "state": "offline", "at": None}, kept=True, device="c"),
            health("c", kept=True),
            status(b"?", device="d"),
        ],
    )
    letter, *written = there.asked
    assert "dead_letter" in letter[0]
    assert letter[1][1:3] == ("d", "is no status: Invalid JSON")
    assert [values[0] for _, values in written] == [["c"], ["c"], ["a", "b"], ["a", "b"]]


def test_the_same_mistake_is_one_dead_letter_whatever_the_rest_says() -> None:
    there: Any = Written()
    for version in (1, 2):
        note_states(there, [health("lab", version=version, uptime_seconds=version)])
    assert len({values[0] for _, values in there.asked}) == 1
