"""Root with the rights of another user, and the programs that it starts meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_agent.core.helper.process import end_apart, start_apart
from edge_agent.core.owners import as_owner_of, open_folder_given
from edge_agent.core.process import run_to_end

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root takes another user's rights")
AGENT = 61001
_ASK = (
    "sed -n 's/^Uid://p; s/^Gid://p; s/^CapPrm://p' /proc/self/status; cut -d' ' -f6 /proc/$$/stat"
)


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of another user."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        os.chown(name, AGENT, AGENT)
        yield Path(name)


def test_child_of_root_as_another_user_never_gets_root_back(theirs: Path) -> None:
    with as_owner_of(theirs):
        told = run_to_end("sh", "-c", f"id -u; {_ASK}; echo $$").stdout.split()
    asked = [str(AGENT)] * 9
    assert told[:9] == asked and int(told[9], 16) == 0
    assert told[10] == told[11], "it has a session of its own"
    assert os.getresuid() == (0, 0, 0)


def test_process_apart_of_root_as_another_user_is_that_users_for_good(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = theirs / "program"  # Python may be installed for root alone
    program.write_text("#!/bin/sh\nexec cat /proc/self/status\n")
    program.chmod(0o755)
    monkeypatch.setattr("edge_agent.core.helper.process.sys.executable", str(program))
    with as_owner_of(theirs):
        process = start_apart("edge_agent.camera.decoder_worker")
    assert process.stdout is not None
    told = process.stdout.read().decode().splitlines()
    end_apart(process)
    assert f"Uid:\t{AGENT}\t{AGENT}\t{AGENT}\t{AGENT}" in told
    assert "CapPrm:\t0000000000000000" in told


def test_folder_to_write_into_behind_a_link_of_another_user_is_refused(theirs: Path) -> None:
    (theirs / "own").mkdir()  # of root, in their folder
    os.close(open_folder_given(theirs / "own"))
    (theirs / "exports").symlink_to(theirs / "own")
    os.chown(theirs / "exports", AGENT, AGENT, follow_symlinks=False)
    for path in (theirs / "exports", theirs / "exports/.."):
        with pytest.raises(OSError, match=rf"'{path}'"):
            open_folder_given(path)
