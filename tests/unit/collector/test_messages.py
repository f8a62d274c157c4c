"""What devices say of themselves: what is read of it, what is refused, and what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_agent.core.clock import iso_utc

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from collector.messages import Health, Status, read_state
from edge_agent.fleet.chunks import MessageError
from tests.support.fleet.health_example import health_example
from tests.support.fleet.states import health, said, status

AT_MS = 1_795_162_330_250


def test_a_status_and_a_last_will_are_read() -> None:
    online = read_state(status("lab", "online", AT_MS))
    assert online == Status("online", AT_MS)
    will = read_state(
        said("lab", "status", {"schema": 1, "state": "offline", "at": None, "more": 1})
    )
    assert will == Status("offline", None)


def test_a_health_is_read_with_what_a_newer_device_says_beside_it() -> None:
    read = read_state(health("lab", AT_MS, newer={"of": "tomorrow"}))
    assert isinstance(read, Health)
    assert (read.at_ms, read.version) == (AT_MS, "0.1.0")
    assert json.loads(read.text)["newer"] == {"of": "tomorrow"}


def test_the_health_of_an_older_device_may_lack_what_came_later() -> None:
    old = {"schema": 1, "at": iso_utc(AT_MS), "device": "lab", "version": "0.0.1"}
    assert isinstance(read_state(said("lab", "health", old)), Health)


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
        read_state(said("lab", "status", content))


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
    content = health_example() | {"device": "lab"} | more
    with pytest.raises(MessageError, match=reason):
        read_state(said("lab", "health", content))


@pytest.mark.parametrize("name", ["", "a" * 201, "a\nb"])
def test_a_device_without_a_usable_name_is_refused(name: str) -> None:
    with pytest.raises(MessageError, match="no usable name"):
        read_state(status(name, "online", AT_MS))
