"""Every command in a data folder that this user may not read, or not write, and as root."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tools.build_release import ROOT


@pytest.mark.deep
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without rights")
def test_command_without_rights_ends_with_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.security.unprivileged"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=600,
    )
    assert not done.returncode, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert len(told) > 200
    # Empty: it works on, such as `bench`, which needs nothing of the folder.
    assert [one for one in told if one["ended"] not in {"", "0", "1", "2"}] == []
