"""What a service tells systemd over its socket."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import pytest

from edge_agent.core.process import SystemdNotifier


def listening(address: str) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(address)
    receiver.settimeout(60)
    return receiver


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_over_its_socket(tmp_path: Path, abstract: bool) -> None:
    name = f"affect-edge-{uuid.uuid4()}"
    address = f"@{name}" if abstract else str(tmp_path / "notify")
    with listening(f"\0{name}" if abstract else address) as systemd:
        notifier = SystemdNotifier.from_environment({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.status("12 frames/s\nbroker away")
        notifier.watchdog()
        notifier.stopping()
        told = [systemd.recv(200).decode() for _ in range(4)]
    assert told == ["READY=1", "STATUS=12 frames/s broker away", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_or_with_a_deaf_one_nothing_happens(tmp_path: Path) -> None:
    SystemdNotifier.from_environment({}).ready()
    SystemdNotifier.from_environment({"NOTIFY_SOCKET": ""}).ready()
    SystemdNotifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).watchdog()


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_interval_is_half_of_what_systemd_asks_of_this_process(
    environment: dict[str, str], interval: float | None
) -> None:
    assert SystemdNotifier.from_environment(environment).watchdog_interval_s == interval
