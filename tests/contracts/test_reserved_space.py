"""Whoever writes leaves the space that is reserved, and nothing half-done where it is short.

The writers are a register here, each with a disk that is nearly full. That nobody looks at the
free space around the one function is seen in the source.
"""

from __future__ import annotations

import ast
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from affect_edge import cli
from dashboard.computing.processes import Computing
from dashboard.export_jobs import ExportJobs, ExportRequest
from dashboard.fleet import study_files
from dashboard.protocols.library import Library
from edge_agent.appliance.backup import make_backup, parts_of
from edge_agent.appliance.fetching import DownloadBounds, fetch_file
from edge_agent.appliance.release import unpack
from edge_agent.appliance.restore import Places, restore_database
from edge_agent.config.settings import Settings
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.files import LAST_BYTES, RESERVED_BYTES
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.text_formats import JSON
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.intake.sent_files import PORTION_BYTES, StudyChoices
from edge_agent.timeline.salvage.background_copying import BackgroundCopying
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.upkeep.copies import make_daily_copy
from tests.support.dashboard import add_session, fill
from tests.support.first_release import first_database

ROOT = Path(__file__).parents[2]
_SHOW = {
    "edge_agent/appliance/database_checks.py",
    "edge_agent/appliance/device_report.py",
    "edge_agent/appliance/doctor.py",
}
"""They only say how much is free."""
_STATED = StudyChoices(text_version="v1", given_ms=1_767_258_000_000)
_STEP = 'title = "Film"\n[[step]]\nkind = "stimulus"\nlabel = "a"\npicture = "b.png"\nseconds = 3\n'
_LARGE = b"\x89PNG\r\n\x1a\n" + os.urandom(3_000_000)
_LOGS = 100_000
"""The log of a database that is opened, where nothing is free from the beginning."""
Act = Callable[[], object]


class Disk:
    """The disk of a folder, of which so much is free as the test says; it keeps the least."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._whole = 10**12
        self.least = self._whole

    def free(self) -> int:
        used = 0
        for one in self._folder.rglob("*"):
            with suppress(FileNotFoundError):
                used += one.stat().st_size if one.is_file() else 0
        free = self._whole - used
        self.least = min(self.least, free)
        return free

    def leave(self, free: int) -> None:
        """Let so many bytes be free from now on."""
        self._whole += free - self.free()
        self.least = free


@dataclass(frozen=True)
class Writer:
    """Somebody who writes.

    Attributes:
        prepare: makes what it needs in a folder; returns what it does then.
        floor: what it leaves free.
        room: bytes that are free above that, and not enough.
    """

    prepare: Callable[[Path], Act]
    floor: int = RESERVED_BYTES
    room: int = 200_000


def _timeline(folder: Path) -> Path:
    database = folder / "affect-edge.db"
    fill(database, minutes=2)
    add_session(database, minutes_ago=2)
    return database


def _zip(contents: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return made.getvalue()


def _study(rows: int) -> bytes:
    session = (
        b"session,participant,purpose,setting,start_at,end_at\n"
        b"1,A1,research,home,2026-02-01T10:00:00Z,2026-02-01T10:50:00Z\n"
    )
    readings = "".join(
        f"2026-02-01T10:{n // 60:02}:{n % 60:02}Z,heart_rate,70,/min,s\n" for n in range(rows)
    )
    vital = f"at,kind,value,unit,source\n{readings}".encode()
    return _zip({"session.csv": session, "vital.csv": vital})


def _send(commands: Commands, content: bytes) -> str:
    key = commands.begin_file("lab.zip", actor="ada")
    for at in range(0, len(content), PORTION_BYTES):
        commands.add_portion(key, at, content[at : at + PORTION_BYTES], actor="ada")
    return key


def _upload(folder: Path) -> Act:
    migrate(folder / "affect-edge.db")
    return lambda: _send(Commands(folder / "affect-edge.db"), _LARGE)


def _staged(folder: Path) -> Act:
    migrate(folder / "affect-edge.db")
    commands = Commands(folder / "affect-edge.db")
    key = _send(commands, _study(2_500))
    return lambda: commands.import_study(key, _STATED, actor="ada")


def _brought(folder: Path) -> Act:
    """A study by command: its staged copy fits, and the rows that it becomes do not."""
    source = folder.parent / "lab.zip"
    source.write_bytes(_study(2_500))
    data = folder / "data"
    migrate(data / "affect-edge.db")
    words = ("--consent", "v1", "--consent-on", "2026-01-01T00:00:00Z", "--data", str(data))
    return lambda: _run("import-study", str(source), *words)


def _run(*words: str) -> None:
    done = CliRunner().invoke(cli, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert not done.exit_code, done.output


def _protocol(folder: Path) -> Act:
    library = Library(folder / "own")
    content = _zip({"film.toml": _STEP.encode(), "b.png": _LARGE})
    sent = folder.parent / "sent.zip"
    sent.write_bytes(content)
    return lambda: library.add_upload("film.zip", sent)


@contextmanager
def _sent(library: Library, content: bytes) -> Iterator[Path]:
    """Send a file of a protocol in pieces, as its page does."""
    sent = library.incoming()
    try:
        with sent.open("xb") as target:
            for at in range(0, len(content), 100_000):
                library.write(target, content[at : at + 100_000])
        yield sent
    finally:
        sent.unlink(missing_ok=True)


def _with_film(folder: Path) -> Library:
    _protocol(folder)()
    return Library(folder / "own")


def _experiment(folder: Path) -> Act:
    library = _with_film(folder)
    content = _zip({"index.html": b"<!doctype html><title>A</title>", "b.png": _LARGE})

    def act() -> None:
        with _sent(library, content) as sent:
            library.add_media("film", "task.zip", sent, programs=True)

    return act


def _copied_protocol(folder: Path) -> Act:
    library = _with_film(folder)
    return lambda: library.copy("film")


def _packed_protocol(folder: Path) -> Act:
    library = _with_film(folder)

    def act() -> None:
        target = library.incoming()
        try:
            library.pack("film", target)
        finally:
            target.unlink()

    return act


def _daily_copy(folder: Path) -> Act:
    database = _timeline(folder)
    return lambda: make_daily_copy(database)


def _export(folder: Path) -> Act:
    data = _timeline(folder / "data").parent
    out = folder / "out" / "made.json"
    out.parent.mkdir()
    return lambda: _run("export", "--format", "json", "--out", str(out), "--data", str(data))


def _export_of_page(folder: Path) -> Act:
    database = _timeline(folder)

    def act() -> None:
        with closing(ExportJobs(database, "pi", {}, (), Computing())) as jobs:
            made = jobs.prepare(1, ExportRequest(JSON, ExportChoice()))
            made.done.result()
            if made.problem:
                raise AffectEdgeError(made.problem)

    return act


def _backup(folder: Path) -> Act:
    database = _timeline(folder)
    parts = parts_of(Settings(), None, folder)
    target = folder / "made" / "backup.zip"
    target.parent.mkdir()
    return lambda: make_backup(database, parts, target, "pi", None)


def _backup_elsewhere(folder: Path) -> Act:
    """An archive for another disk: its copy aside is all that is written here."""
    database = _timeline(folder)
    parts = parts_of(Settings(), None, folder)
    return lambda: make_backup(database, parts, folder.parent / "backup.zip", "pi", None)


def _restore(folder: Path) -> Act:
    database = _timeline(folder / "data")
    copy = make_daily_copy(database)
    places = Places(database.parent, folder / "affect-edge.toml")
    return lambda: restore_database(copy, places)


def _upgrade(folder: Path) -> Act:
    database = first_database(folder / "affect-edge.db")
    return lambda: migrate(database)


def _salvage(folder: Path) -> Act:
    database = _timeline(folder)
    rescue = Rescue(database)
    rescue.replace("a test")
    return BackgroundCopying(rescue, pause_s=0.0)._carry_all


def _fetch(folder: Path) -> Act:
    source = folder.parent / "release.tar"
    source.write_bytes(_LARGE)
    target = folder / "new" / "release.tar"
    target.parent.mkdir()

    def act() -> None:
        try:
            fetch_file(str(source), target, DownloadBounds(10**9, 60.0))
        except AffectEdgeError:
            shutil.rmtree(target.parent)  # as its caller does: the folder is one of a block
            target.parent.mkdir()
            raise

    return act


def _unpack(folder: Path) -> Act:
    source = folder.parent / "release.tar"
    with tarfile.open(source, "w") as archive:
        for name in ("a/install.sh", "a/large"):
            member = tarfile.TarInfo(name)
            member.size = len(_LARGE)
            archive.addfile(member, io.BytesIO(_LARGE))

    def act() -> None:
        try:
            unpack(source, folder / "unpacked")
        except AffectEdgeError:
            shutil.rmtree(folder / "unpacked")  # as its caller does
            raise

    return act


WRITERS: Mapping[str, Writer] = {
    "study sent by a page": Writer(_upload),
    "study staged": Writer(_staged, room=-1),
    "study merged": Writer(_brought, room=900_000),
    "protocol unpacked": Writer(_protocol),
    "experiment": Writer(_experiment),
    "protocol copied": Writer(_copied_protocol),
    "protocol packed": Writer(_packed_protocol),
    "daily copy": Writer(_daily_copy),
    "export by command": Writer(_export, room=-1),
    "export by page": Writer(_export_of_page, room=-1),
    "archive beside the recording": Writer(_backup),
    "copy for an archive elsewhere": Writer(_backup_elsewhere, LAST_BYTES),
    "restore": Writer(_restore, LAST_BYTES),
    "upgrade": Writer(_upgrade, LAST_BYTES),
    "rest of a salvage": Writer(_salvage, room=-1),
    "release fetched": Writer(_fetch, LAST_BYTES),
    "release unpacked": Writer(_unpack, LAST_BYTES),
}
_PASSING = (".db-wal", ".db-shm", "agent.lock", ".lock")


def _files(folder: Path) -> set[str]:
    """Return the files that stay, without the logs of databases."""
    return {
        str(one.relative_to(folder))
        for one in folder.rglob("*")
        if not one.name.endswith(_PASSING)
        # folders of files that wait stay when they are empty
        and (one.is_file() or one.name not in {"exports", "own"})
        and one.name != "affect-edge.db.copies.json"  # it says why there is none
    }


@pytest.mark.parametrize("name", WRITERS)
def test_writer_on_nearly_full_disk_leaves_reserve_and_nothing_else(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, folder = WRITERS[name], tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=disk.free()))
    act = writer.prepare(folder)
    before = _files(folder)
    disk.leave(writer.floor + writer.room)
    with pytest.raises(AffectEdgeError, match=r"[Ff]ree|[Dd]elete files"):
        act()
    slack = _LOGS if writer.room < 0 else 0
    assert disk.free() and disk.least >= writer.floor - slack
    assert _files(folder) - before == set()
    disk.leave(10**12)
    act()  # with room it does what it was refused


def test_copies_of_a_fleet_take_the_half_of_what_is_not_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = object.__new__(study_files.KeptCopies)
    files._folder = tmp_path
    for free, most in ((RESERVED_BYTES + 900, 450), (RESERVED_BYTES - 1, 0)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert files._most_bytes() == most


def test_free_space_is_looked_at_by_one_function_alone() -> None:
    looking = {
        str(file.relative_to(ROOT))
        for room in ("edge_agent", "dashboard", "affect_edge", "collector")
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"disk_usage", "statvfs", "fstatvfs"}
        and ast.unparse(node).startswith(("shutil.", "os."))
    }
    assert looking - _SHOW == {"edge_agent/core/files.py"}
