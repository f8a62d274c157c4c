"""Root with the rights of another user, and the programs that it starts meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_agent.core.errors import ModelError
from edge_agent.core.helper.process import end_apart, start_apart
from edge_agent.core.owners import (
    Owner,
    as_owner_of,
    asked_as,
    open_folder_given,
    owner_of,
    read_given,
)
from edge_agent.core.process import run_to_end
from edge_agent.vision.models.card import read_card

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


def test_model_card_of_another_user_that_is_a_trap_is_refused(theirs: Path) -> None:
    secret = theirs / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    (theirs / "link.json").symlink_to(secret)
    os.link(secret, theirs / "second.json")
    os.mkfifo(theirs / "pipe.json", 0o666)
    with (theirs / "huge.json").open("wb") as file:
        file.truncate(30_000_000_000)
    for one in ("link.json", "pipe.json", "huge.json"):
        os.chown(theirs / one, AGENT, AGENT, follow_symlinks=False)
    for one in ("link", "second", "pipe", "huge"):
        with pytest.raises(ModelError, match="cannot be read"):
            read_card(theirs / f"{one}.json")
    with pytest.raises(OSError, match="larger than 10 bytes"):
        read_given(theirs / "huge.json", 10)


def test_answer_that_root_asks_of_a_process_of_another_user(theirs: Path) -> None:
    owner = owner_of(theirs)
    assert owner == Owner(AGENT, AGENT)
    told = asked_as(owner, lambda: {"users": os.getresuid(), "session": os.getsid(0)})
    assert told["users"] == [AGENT] * 3 and told["session"] != os.getsid(0)
    assert asked_as(owner, lambda: {"one": os.abort()}) == {
        "not_measured": "no answer as user 61001"
    }
    assert asked_as(None, lambda: {"users": os.getresuid()}) == {"users": (0, 0, 0)}
    assert os.getresuid() == (0, 0, 0)
