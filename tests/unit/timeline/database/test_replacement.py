"""Files that take the places of others: what the journal guards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database import files
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.files import (
    finish_replacement,
    free_stamp,
    prepared_path,
    replace_files,
    set_aside,
)
from edge_agent.timeline.database.upgrade import migrate
from tests.support.timeline import timeline


def journal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.replacing")


def test_an_empty_place_is_filled_and_the_next_stamp_differs(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    for number, aside in enumerate((0, 1, 1)):
        prepared_path(path).write_text(str(number))
        stamp = free_stamp([path], "now")
        replace_files(path, [path], stamp)
        assert len(list(set_aside([path], stamp))) == aside
    assert path.read_text() == "2"
    assert {file.read_text() for file in tmp_path.glob("*.replaced.*")} == {"0", "1"}
    assert not finish_replacement(path)


def test_database_beside_a_journal_is_neither_opened_nor_made(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    journal_of(path).write_text("{}")
    with pytest.raises(StoreError, match="a restore was interrupted"):
        connect(path, readonly=True)
    path.unlink()
    with pytest.raises(StoreError, match="a restore was interrupted"):
        migrate(path)
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"targets": 5}'])
def test_journal_damaged_moves_no_file(tmp_path: Path, text: str) -> None:
    path = timeline(tmp_path)
    prepared_path(path).write_text("new")
    journal_of(path).write_text(text)
    with pytest.raises(StoreError, match=r"is damaged.*\.backup-restoring.*\.replaced\."):
        finish_replacement(path)
    assert prepared_path(path).read_text() == "new"


@pytest.mark.parametrize("taken", ["journal", "prepared"])
def test_file_taken_away_during_a_replacement_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    path = tmp_path / "affect-edge.db"
    path.write_text("old")
    prepared_path(path).write_text("new")
    write = files._write_journal

    def write_and_take(journal: Path, content: dict[str, object]) -> None:
        write(journal, content)
        (journal if taken == "journal" else prepared_path(path)).rename(tmp_path / "taken")

    monkeypatch.setattr(files, "_write_journal", write_and_take)
    with pytest.raises(StoreError, match="another program has taken"):
        replace_files(path, [path], "now")
    assert path.read_text() == ("new" if taken == "journal" else "old")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_journal_of_another_user_moves_no_file_for_root(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    prepared_path(path).write_text("new")
    journal_of(path).write_text(f'{{"targets": ["{path}"], "stamp": "x"}}')
    os.chown(journal_of(path), 12345, 12345)
    with pytest.raises(StoreError, match="was written by another user"):
        finish_replacement(path)
    assert prepared_path(path).exists()
