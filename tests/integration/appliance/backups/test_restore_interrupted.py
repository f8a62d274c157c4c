"""A restore that is interrupted: it is the old or the new appliance, never a half of each."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from itertools import count
from pathlib import Path

import pytest

from edge_agent.agent.loop import Agent
from edge_agent.appliance.restore import Places, finish_restore
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.copy import copies_beside
from edge_agent.timeline.database.files import finish_replacement, is_half_replaced, prepared_path
from edge_agent.timeline.database.upgrade import migrate
from tests.support.agent import WITHOUT_BROKER
from tests.support.backups.killed import killed_at, killed_when
from tests.support.backups.whole_appliance import WholeAppliance, change, codes, open_to_others


class States:
    """What an appliance may be after a restore that was killed."""

    def __init__(self, appliance: WholeAppliance, archive: Path) -> None:
        self.appliance = appliance
        self.archive = archive
        self.new = appliance.files()
        change(appliance)
        self.old = appliance.files()
        self.template = appliance.data.parent / "template"
        shutil.copytree(appliance.data.parent, self.template, ignore=shutil.ignore_patterns("tem*"))

    def begin_again(self) -> None:
        for folder in (self.appliance.data, self.appliance.settings):
            shutil.rmtree(folder)
            shutil.copytree(self.template / folder.name, folder)

    def restore(self) -> None:
        done = self.appliance.run("restore", self.archive, "--yes")
        assert done.exit_code == 0, done.output

    def kill_half_way(self) -> None:
        """Kill a restore when some of the files have changed places."""
        database = self.appliance.database
        # Its journal is there from before the first file until after the last one: at the third
        # step that finds it, some are in their new places.
        found = count(1)
        assert killed_when(lambda: is_half_replaced(database) and next(found) == 3, self.restore)
        assert is_half_replaced(database)

    def is_old(self) -> bool:
        return self.appliance.files() == self.old and "LATER" in codes(self.appliance.database)

    def is_new(self) -> bool:
        return self.appliance.files() == self.new and "LATER" not in codes(self.appliance.database)


@pytest.mark.deep
def test_killed_at_each_step_it_is_the_old_or_the_new_appliance(
    appliance: WholeAppliance, archive: Path
) -> None:
    states = States(appliance, archive)
    states.restore()
    outcomes = []
    step = 1
    while True:
        states.begin_again()
        if not killed_at(step, states.restore):
            break
        half = is_half_replaced(appliance.database)
        if half:
            with pytest.raises(StoreError, match="a restore was interrupted"):
                migrate(appliance.database)
            assert finish_restore(Places(appliance.data, appliance.config))
            assert states.is_new(), step
            (aside,) = appliance.data.glob("affect-edge.db.replaced.*[0-9Z]")
            assert "LATER" in codes(aside)
        else:
            assert states.is_old() or states.is_new(), step
        outcomes.append("half" if half else "old" if states.is_old() else "new")
        step += 1
    assert states.is_new()
    assert outcomes == sorted(outcomes, key=["old", "half", "new"].index)
    assert outcomes.count("old") > 20 and outcomes.count("half") > 10
    assert not list(appliance.data.glob("*restoring*"))


def test_a_disk_that_fails_while_files_change_places_loses_none_of_them(
    appliance: WholeAppliance, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = States(appliance, archive)
    rename = Path.rename

    def fails(path: Path, target: Path) -> Path:
        if path == prepared_path(appliance.database):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fails)
        done = appliance.run("restore", archive, "--yes")
    assert isinstance(done.exception, StoreError) and "interrupted" in str(done.exception)
    assert prepared_path(appliance.database).exists() and not appliance.database.exists()
    done = appliance.run("restore")
    assert done.exit_code == 0 and "is complete now" in done.output
    assert states.is_new()


def test_files_of_a_killed_restore_are_removed_by_the_next_one(
    appliance: WholeAppliance, archive: Path
) -> None:
    states = States(appliance, archive)
    prepared = prepared_path(appliance.database)
    assert killed_when(prepared.exists, states.restore)
    assert prepared in copies_beside(appliance.database)  # where an erasure finds it
    states.restore()
    assert states.is_new() and not prepared.exists()


def test_the_agent_completes_a_restore_that_was_interrupted(
    appliance: WholeAppliance, archive: Path
) -> None:
    states = States(appliance, archive)
    states.kill_half_way()
    settings = load_settings(None, WITHOUT_BROKER)
    with pytest.raises(StoreError, match="interrupted is complete now"):
        Agent(settings, appliance.data, {})
    assert states.is_new() and not is_half_replaced(appliance.database)
    Agent(settings, appliance.data, {})._lock.release()


def test_the_user_of_agent_completes_what_it_may_and_says_who_does_rest(
    appliance: WholeAppliance, archive: Path
) -> None:
    """The service may not write below /etc, where root restores to."""
    states = States(appliance, archive)
    states.kill_half_way()
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    for path in (appliance.data, *appliance.data.rglob("*")):
        os.chown(path, 12345, 12345)
    open_to_others(appliance.data)

    def as_the_agent() -> None:
        os.setgid(12345)
        os.setuid(12345)
        with pytest.raises(StoreError, match="sudo"):
            finish_replacement(appliance.database)
        os.kill(os.getpid(), signal.SIGKILL)

    assert killed_at(0, as_the_agent)
    os.chown(appliance.database.with_name("affect-edge.db.replacing"), 0, 12345)
    assert finish_restore(Places(appliance.data, appliance.config))
    assert states.is_new()
