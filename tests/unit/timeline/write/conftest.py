"""A database, and recorders that end with the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clocks.machine import Machine
from tests.support.recording import DEADLINE_S, Recording


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture
def recordings() -> Iterator[list[Recording]]:
    started: list[Recording] = []
    yield started
    for recording in started:
        recording.recorder.stop()
        assert recording.recorder.join(DEADLINE_S)
