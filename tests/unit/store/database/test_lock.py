"""The lock of the one agent of a database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.store.database.lock import lock


def test_a_second_agent_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    with (
        lock(path),
        pytest.raises(StoreError, match=rf"another agent.*process {os.getpid()}\).*--data"),
    ):
        lock(path)


def test_a_lock_ends_with_its_release_or_its_process(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    held = lock(path)
    held.release()
    held.release()
    holder = (
        "import os, sys; from pathlib import Path; "
        "from edge_agent.store.database.lock import lock\n"
    )
    holder += "lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder.replace("lock(Path", "held = lock(Path"), str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"process {process.pid}"):
            lock(path)
        process.kill()
    lock(path).release()
