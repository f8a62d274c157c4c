"""The dashboard of a fleet in every state: devices, studies, wrong clocks, a disabled account."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from collector.database.devices import note_states
from dashboard.accounts.roles import Role
from edge_agent.timeline.database.schema import HOUR_MS
from tests.browser.served import Served
from tests.support.fleet.clocked_device import ClockedDevice
from tests.support.fleet.postgres import running_postgres
from tests.support.fleet.states import health, status
from tests.support.fleet.studies_there import collect, other_device, studied_device

ALARM = {"name": "hot", "text": "The processor has 79 °C."}
STATES: dict[str, tuple[float, list[dict[str, str]]]] = {
    "room-1": (5.0, []),
    "hall": (5.0, [ALARM]),
    "attic": (5.0, []),
    "revoked": (400.0, []),
}
"""Seconds since a device was last heard, and its alarms."""


@contextmanager
def served_fleet(folder: Path) -> Iterator[Served]:
    """Serve the dashboard of a fleet for the length of a ``with`` block.

    Args:
        folder: an empty one.
    """
    devices = {"room-1": studied_device(folder / "devices"), "hall": other_device(folder / "other")}
    config, own = folder / "fleet.toml", folder / "own"
    own.mkdir()
    with running_postgres() as postgres:
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            collect(connection, devices)
            for name, hours in (("early", 2), ("late", -26)):
                off = ClockedDevice.make(folder, name, ahead_ms=hours * HOUR_MS)
                off.record(10)
                off.send(connection)
                off.speak(connection)
            _note_states(connection)
        config.write_text(f'[dashboard]\nsource = "{postgres.address}"\n', encoding="utf-8")
        with Served(own, config) as served:
            members = served.services.members
            members.add_with_link("gone", Role.VIEWER, "test")
            members.disable(members.find("gone").id, "test")
            yield served


def _note_states(connection: Any) -> None:
    """Let devices be well, warm, away, and silent, as one is whose account was revoked."""
    for name, (ago_s, alarms) in STATES.items():
        at_ms = time.time_ns() // 1_000_000 - round(ago_s * 1000)
        said = health(name, at_ms, ago_s=ago_s, alarms=alarms)
        note_states(connection, [status(name, "online", at_ms, ago_s=ago_s), said])
    note_states(connection, [status("attic", "offline", None)])
