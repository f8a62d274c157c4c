"""The signal that wakes the thread which waits for the broker's bytes."""

from __future__ import annotations

import ctypes
import select
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core import files
from edge_agent.mqtt.broker import WakeSignal


def is_set(wake: WakeSignal, within_s: float = 0) -> bool:
    return bool(select.select([wake], [], [], within_s)[0])


def test_what_another_program_writes_sets_the_wake_signal(tmp_path: Path) -> None:
    log = tmp_path / "affect-edge.db-wal"
    log.touch()
    with closing(WakeSignal(tmp_path)) as wake:
        assert wake.watches and not is_set(wake)
        log.write_bytes(b"a row")
        assert is_set(wake, 60)
        wake.clear()
        assert not is_set(wake)
        wake.set()
        assert is_set(wake)
        wake.clear()
        assert not is_set(wake)


def test_a_folder_the_system_cannot_watch_leaves_the_signal_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(WakeSignal(tmp_path / "absent")) as wake:
        assert not wake.watches
        wake.set()
        assert is_set(wake)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())  # another system
    assert files.changes_in(tmp_path) is None
