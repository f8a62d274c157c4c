"""Files of a study that come in portions: complete, bounded, their sender's, and not for long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import DataFileError
from edge_agent.store.database.upgrade import migrate
from edge_agent.store.intake import sent_files
from edge_agent.store.intake.sent_files import add_portion, begin_file, forget_file, sent_file


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """An empty timeline."""
    migrate(tmp_path / "affect-edge.db")
    return tmp_path / "affect-edge.db"


def test_portions_become_the_file_of_their_sender(database: Path) -> None:
    key = begin_file(database, "films.zip", "ada")
    add_portion(database, key, 0, b"PK", "ada")
    add_portion(database, key, 2, b"\xff\x00", "ada")
    file = sent_file(database, key, "ada")
    assert (file.name, file.read_bytes()) == ("films.zip", b"PK\xff\x00")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(DataFileError, match="no longer here"):
        sent_file(database, key, "eve")
    forget_file(database, key, "eve")
    assert file.exists()
    forget_file(database, key, "ada")
    assert not file.parent.exists()


def test_missing_portion_is_refused(database: Path) -> None:
    key = begin_file(database, "films.zip", "ada")
    with pytest.raises(DataFileError, match=r"films.zip: was not received completely"):
        add_portion(database, key, 3, b"PK", "ada")


def test_file_beyond_its_size_is_refused_and_deleted(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_files, "MOST_BYTES", 3)
    key = begin_file(database, "films.zip", "ada")
    with pytest.raises(DataFileError, match="affect-edge import-study"):
        add_portion(database, key, 0, b"PKPK", "ada")
    with pytest.raises(DataFileError, match="no longer here"):
        sent_file(database, key, "ada")


def test_file_for_which_the_disk_has_no_room_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_files, "SPARE_BYTES", 2**62)
    key = begin_file(database, "films.zip", "ada")
    with pytest.raises(DataFileError, match="would stay free on the disk"):
        add_portion(database, key, 0, b"PK", "ada")


@pytest.mark.parametrize("name", ["", "../films.zip", "a/b.zip", "..", ".hidden", "x" * 121, "a\n"])
def test_name_that_is_none_of_a_file_is_refused(database: Path, name: str) -> None:
    with pytest.raises(DataFileError, match="Rename it"):
        begin_file(database, name, "ada")


@pytest.mark.parametrize("key", ["", "..", "sent-../../x", "sent-0-0", "exports"])
def test_key_that_is_none_leads_nowhere(database: Path, key: str) -> None:
    forget_file(database, key, "ada")
    with pytest.raises(DataFileError, match="no longer here"):
        sent_file(database, key, "ada")
    assert database.exists()


def test_next_file_of_a_sender_and_an_hour_end_one_that_waits(database: Path) -> None:
    first = begin_file(database, "first.zip", "ada")
    other = begin_file(database, "other.zip", "eve")
    second = begin_file(database, "second.zip", "ada")
    with pytest.raises(DataFileError, match="no longer here"):
        sent_file(database, first, "ada")
    folder = sent_file(database, other, "eve").parent
    past_s = clock.now().wall_ms / 1000 - 3_700
    os.utime(folder, (past_s, past_s))
    begin_file(database, "third.zip", "zoe")
    assert not folder.exists()
    assert sent_file(database, second, "ada").exists()
