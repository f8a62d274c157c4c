"""Root's commands over folders in which the agent's and the dashboard's users have laid traps."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.security.root_traps import COMMANDS, TRAPS
from tools.build_release import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users' folders")


QUICK = {"maintenance", "participant add", "restore COPY", "update", "install.sh"}
"""Commands that have each a way of their own; those of the others are like one of these."""


@pytest.mark.parametrize(
    "command",
    [pytest.param(one, marks=[] if one in QUICK else [pytest.mark.deep]) for one in COMMANDS],
)
def test_root_command_over_traps_changes_nothing_of_roots(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.security.root_traps", command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    assert not done.returncode, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert [one["trap"] for one in told] == ["none", *TRAPS]
    assert {one["trap"]: one["changed"] for one in told if one["changed"]} == {}
    assert "Traceback" not in done.stderr
    assert [one["trap"] for one in told if one["ended"] == "hangs"] == []


def test_root_traps_are_at_least_thirty_for_twelve_commands() -> None:
    assert len(TRAPS) >= 30 and len(COMMANDS) >= 12
