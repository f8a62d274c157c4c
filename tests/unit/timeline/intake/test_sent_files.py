"""Files of a study that come in portions: complete, bounded, their sender's, and not for long."""

from __future__ import annotations

import io
import os
import shutil
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_agent.core import clock, files
from edge_agent.core.errors import DataFileError, StudyError
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.intake import sent_files, study_import
from edge_agent.timeline.intake.sent_files import (
    StudyChoices,
    add_portion,
    begin_file,
    forget_file,
    sent_file,
)

STATED = StudyChoices(text_version="v1", given_ms=1_767_258_000_000)


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
    monkeypatch.setattr(files, "RESERVED_BYTES", 2**62)
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


def sent_study(database: Path, rows: int) -> tuple[Commands, str]:
    """Commands, and the key of a study with so many readings."""
    readings = "".join(f"2026-02-01T10:00:{n:02}Z,heart_rate,70,/min,s,\n" for n in range(rows))
    tables = {
        "session": "session,participant,purpose,setting,start_at,end_at\n1,A1,research,home,"
        "2026-02-01T10:00:00Z,2026-02-01T10:30:00Z\n",
        "vital": f"at,kind,value,unit,source,flags\n{readings}",
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in tables.items():
            archive.writestr(f"{name}.csv", text)
    commands = Commands(database)
    key = commands.begin_file("lab.zip", actor="ada")
    commands.add_portion(key, 0, written.getvalue(), actor="ada")
    return commands, key


def test_study_with_too_many_rows_is_refused_and_leaves_nothing(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_files, "MOST_ROWS", 10)
    commands, key = sent_study(database, 20)
    for ask in (commands.preview_study, commands.import_study):
        with pytest.raises(DataFileError, match=r"lab.zip: has more than 10 rows"):
            ask(key, STATED, actor="ada")
    left = {one.name for one in (database.parent / "exports").iterdir()}
    assert left == {key}, "the study that was staged is gone"


def test_study_that_would_fill_the_disk_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands, key = sent_study(database, 20)
    room = iter((1, *[1] * 3, -1))  # at the beginning, and after so many rows
    monkeypatch.setattr(study_import, "_ROWS_BETWEEN", 5)
    monkeypatch.setattr(study_import, "room_in", lambda _: next(room))
    with pytest.raises(DataFileError, match="would stay free on the disk"):
        commands.import_study(key, STATED, actor="ada")


def while_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something once, with the first row that is read."""
    left = [act]
    watch_of = sent_files._row_watch

    def watch_and_act(file: Path) -> Callable[[], None]:
        watch = watch_of(file)

        def both() -> None:
            if left:
                left.pop()()
            watch()

        return both

    monkeypatch.setattr(sent_files, "_row_watch", watch_and_act)


def test_studies_that_wait_keep_their_places_and_may_be_given_up(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands, key = sent_study(database, 5)
    others = {who: begin_file(database, "more.zip", who) for who in ("eve", "zoe")}
    places = []

    def ask(who: str) -> None:
        with pytest.raises(StudyError, match="read one at a time") as refused:
            commands.preview_study(others[who], STATED, actor=who)
        assert refused.value.field == sent_files.WAITING
        places.append((who, str(refused.value)[-2:]))

    def all_ask() -> None:
        for who in ("eve", "zoe", "eve", "zoe"):
            ask(who)
        commands.forget_file(others["eve"], actor="eve")
        ask("zoe")

    while_reading(monkeypatch, all_ask)
    assert commands.import_study(key, STATED, actor="ada").imported
    assert places == [("eve", "1."), ("zoe", "2."), ("eve", "1."), ("zoe", "2."), ("zoe", "1.")]
    # Her turn has come; what she sent is no study.
    with pytest.raises(DataFileError, match="more.zip"):
        commands.preview_study(others["zoe"], STATED, actor="zoe")


def test_study_that_is_given_up_while_it_is_read_leaves_nothing(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_files, "_ROWS_BETWEEN", 2)
    commands, key = sent_study(database, 20)
    while_reading(monkeypatch, lambda: commands.forget_file(key, actor="ada"))
    with pytest.raises(DataFileError, match="lab.zip: its reading was given up"):
        commands.import_study(key, STATED, actor="ada")
    assert list((database.parent / "exports").iterdir()) == []


def test_six_files_sent_at_once_leave_the_reserved_space_free(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {who: begin_file(database, "films.zip", who) for who in "abcdef"}
    folder = database.parent / "exports"
    all_look = threading.Barrier(len(keys))

    def disk_usage(_: Path) -> SimpleNamespace:
        # Whoever may look while another writes sees the same free space.
        free = 3_000 - sum(one.stat().st_size for one in folder.glob("*/*"))
        with suppress(threading.BrokenBarrierError):
            all_look.wait(0.01)
        return SimpleNamespace(free=free)

    monkeypatch.setattr(files, "RESERVED_BYTES", 1_000)
    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    refused = []

    def send(who: str) -> None:
        try:
            add_portion(database, keys[who], 0, bytes(900), who)
        except DataFileError:
            refused.append(who)

    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(send, keys))
    assert len(refused) == 4
    assert disk_usage(folder).free >= files.RESERVED_BYTES
