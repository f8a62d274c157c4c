"""Commands on a database of an earlier release, where no agent runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.timeline.database.schema import VERSION
from edge_agent.timeline.database.upgrade_progress import reported_upgrade
from tests.support.commands import affect_edge
from tests.support.first_release import ask, first_database, rows_in


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of release 0.1.0."""
    return first_database(tmp_path / "affect-edge.db")


def test_command_on_an_old_database_names_the_one_that_upgrades_it(path: Path) -> None:
    before = rows_in(path)
    refused = affect_edge("participant", "list", "--data", path.parent)
    assert refused.code == 1 and "affect-edge maintenance --upgrade" in refused.err
    done = affect_edge("maintenance", "--upgrade", "--data", path.parent)
    assert (done.code, done.out) == (0, f"{path}: is upgraded to this release.\n")
    assert rows_in(path) == before, "and no other step of the maintenance"
    assert ask(path, "PRAGMA user_version") == [(VERSION,)]
    again = affect_edge("maintenance", "--upgrade", "--data", path.parent)
    assert (again.code, again.out) == (0, f"{path}: is of this release. Nothing was changed.\n")
    assert affect_edge("participant", "list", "--data", path.parent).code == 0


def test_upgrade_by_command_of_a_missing_database_is_refused(tmp_path: Path) -> None:
    done = affect_edge("maintenance", "--upgrade", "--data", tmp_path)
    assert done.code == 1 and "there is no database" in done.err


@pytest.mark.parametrize(
    "words", [("maintenance", "--upgrade"), ("participant", "add", "P-2"), ("participant", "list")]
)
def test_command_during_an_upgrade_says_how_far_it_is(path: Path, words: tuple[str, ...]) -> None:
    with reported_upgrade(path) as report:
        report.show(0.41)
        done = affect_edge(*words, "--data", path.parent)
    assert done.code == 1
    assert "is being upgraded to this release just now, 41 % is done. Wait" in done.err
    assert ask(path, "PRAGMA user_version") == [(34,)]
