"""A D-Bus of the test's own, in place of the system's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.vitals.dbus import Bus


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    with Bus() as running:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", running.address)
        yield running
