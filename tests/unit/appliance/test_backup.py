"""Archives of an appliance: what is in them, and which are refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance.archive import SEAL_CHARACTERS, open_archive
from edge_agent.appliance.config_text import with_value
from edge_agent.appliance.passphrase import new_lock, open_lock
from edge_agent.core.errors import BackupError, StoreError
from edge_agent.store.database.schema import connect
from tests.support.killed import killed_at
from tests.support.timeline import query
from tests.support.whole_appliance import PASSPHRASE, WholeAppliance, whole_appliance


@pytest.fixture
def appliance(tmp_path: Path) -> WholeAppliance:
    return whole_appliance(tmp_path)


@pytest.fixture
def archive(appliance: WholeAppliance, tmp_path: Path) -> Path:
    return backed_up(appliance, tmp_path / "backup.zip")


def backed_up(appliance: WholeAppliance, file: Path, *words: object) -> Path:
    done = appliance.run("backup", file, *words)
    assert done.exit_code == 0, done.output
    return file


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    return file


def state(*folders: Path) -> dict[Path, bytes]:
    """Everything in some folders, locks aside."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if path.suffix != ".lock"}


def test_an_archive_can_be_read_without_this_program(
    appliance: WholeAppliance, archive: Path, tmp_path: Path
) -> None:
    content = archive.read_bytes()
    assert hashlib.sha256(content[:-64]).hexdigest().encode() == content[-64:]
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        manifest = json.loads(opened.read("manifest.json"))
        for file in manifest["files"]:
            there = opened.read(file["path"])
            assert hashlib.sha256(there).hexdigest() == file["sha256"]
            assert len(there) == file["bytes"]
        assert opened.read("config/affect-edge.toml") == appliance.config.read_bytes()
        assert opened.read("config/protocols/media/film.mp4") == bytes(range(256)) * 40
        opened.extract("data/affect-edge.db", tmp_path)
    assert query(tmp_path / "data/affect-edge.db", "SELECT count(*) FROM participant") == [(3,)]
    assert manifest["contents"]["sessions"] == 3 and manifest["device"] == "ward-3"
    assert {file["path"]: file["private"] for file in manifest["files"]}["data/tls/key.pem"]


def test_only_its_owner_may_read_it_and_nothing_else_stays(
    appliance: WholeAppliance, archive: Path
) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert sorted(path.name for path in archive.parent.iterdir()) == [
        "backup.zip", "data", "settings",
    ]  # fmt: skip
    assert not list(appliance.data.glob("*backup*"))


def test_what_lies_in_the_log_is_in_it(appliance: WholeAppliance, tmp_path: Path) -> None:
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.execute("INSERT INTO participant (code, created) VALUES ('IN-THE-LOG', 1)")
        file = backed_up(appliance, tmp_path / "backup.zip")
    with zipfile.ZipFile(file) as opened:
        assert b"IN-THE-LOG" in opened.read("data/affect-edge.db")


def test_an_older_archive_is_replaced_when_that_is_said_and_nothing_else_is(
    appliance: WholeAppliance, archive: Path, tmp_path: Path
) -> None:
    before = archive.read_bytes()
    done = appliance.run("backup", archive)
    assert isinstance(done.exception, BackupError) and "--overwrite" in str(done.exception)
    assert archive.read_bytes() == before
    assert appliance.run("backup", archive, "--overwrite").exit_code == 0
    assert archive.read_bytes() != before
    for other, said in ((appliance.database, "is no archive"), (tmp_path, "is a folder")):
        done = appliance.run("backup", other, "--overwrite")
        assert isinstance(done.exception, BackupError) and said in str(done.exception)


def test_a_file_that_is_missing_is_named_and_one_that_cannot_be_kept_is_an_error(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    (appliance.settings / "mqtt-password").unlink()
    done = appliance.run("backup", tmp_path / "backup.zip")
    assert done.exit_code == 0 and "left out: mqtt.password_file" in done.output
    appliance.database.write_bytes(b"damaged " * 1000)
    done = appliance.run("backup", tmp_path / "second.zip")
    assert isinstance(done.exception, StoreError)
    assert not list(tmp_path.glob("*second*"))


_FULL = """
import resource, signal, sys
from edge_agent.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), -1))
main()
"""


def test_on_a_full_disk_there_is_no_half_archive(appliance: WholeAppliance, tmp_path: Path) -> None:
    (appliance.data / "tls" / "key.pem").write_bytes(b"k" * 2_000_000)
    words = ["backup", str(tmp_path / "b.zip"), "--config", str(appliance.config)]
    done = subprocess.run(
        [sys.executable, "-c", _FULL, "1000000", *words],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "the disk is full" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "settings"]
    assert not list(appliance.data.glob("*backup*"))


def test_killed_at_each_step_it_is_the_old_archive_or_the_new_one(
    appliance: WholeAppliance, archive: Path
) -> None:
    old = archive.read_bytes()
    step = 1
    seen = set()
    while killed_at(step, lambda: backed_up(appliance, archive, "--overwrite")):
        with open_archive(archive, str) as opened:
            opened.check(opened.manifest.files)
        seen.add(archive.read_bytes() == old)
        step += 1
    assert seen == {True} and step > 8  # the new name is the last step
    assert archive.read_bytes() != old
    assert not list(appliance.data.glob("*.backup-*")) and not list(archive.parent.glob(".*"))


# ---------------------------------------------------------------- the passphrase


def test_a_locked_archive_opens_with_its_passphrase_only(
    appliance: WholeAppliance, tmp_path: Path, passphrase: Path
) -> None:
    file = backed_up(appliance, tmp_path / "locked.zip", "--passphrase-file", passphrase)
    content = file.read_bytes()
    for secret in (b"SQLite format", b"ward-3", b"secret", b"P01", PASSPHRASE.encode()):
        assert secret not in content
    before = state(appliance.data, appliance.settings)
    wrong = tmp_path / "wrong"
    wrong.write_text("not the right one\n")
    done = appliance.run("restore", file, "--yes", "--passphrase-file", wrong)
    assert isinstance(done.exception, BackupError)
    assert "passphrase does not open" in str(done.exception)
    assert state(appliance.data, appliance.settings) == before
    files = appliance.files()
    appliance.config.write_text("")
    done = appliance.run("restore", file, "--yes", "--passphrase-file", passphrase)
    assert done.exit_code == 0 and appliance.files() == files
    assert "Passphrase" in appliance.run("restore", file, "--list").output  # it is asked for


def test_a_passphrase_needs_a_file_to_lock_and_some_length(
    appliance: WholeAppliance, tmp_path: Path, passphrase: Path
) -> None:
    assert appliance.run("backup", "--passphrase-file", passphrase).exit_code == 2
    passphrase.write_text("short\n")
    done = appliance.run("backup", tmp_path / "b.zip", "--passphrase-file", passphrase)
    assert "has 5 characters" in str(done.exception) and not (tmp_path / "b.zip").exists()
    passphrase.write_text("\n")
    done = appliance.run("backup", tmp_path / "b.zip", "--passphrase-file", passphrase)
    assert "its first line is empty" in str(done.exception)


def test_a_machine_that_is_too_slow_does_not_blame_the_passphrase() -> None:
    _, locked = new_lock(PASSPHRASE)
    harder = re.sub(rb"(-> scrypt \S+) \d+", rb"\1 40", locked)
    with pytest.raises(BackupError, match="too slow, or too busy"):
        open_lock(harder, PASSPHRASE)


@pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not installed")
def test_age_itself_opens_a_locked_archive(
    appliance: WholeAppliance, tmp_path: Path, passphrase: Path
) -> None:
    import pty

    file = backed_up(appliance, tmp_path / "locked.zip", "--passphrase-file", passphrase)
    with zipfile.ZipFile(file) as opened:
        opened.extractall(tmp_path / "out")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path / "out")
        os.execvp("age", ["age", "-d", "-i", "key.age", "-o", "x.db", "data/affect-edge.db.age"])
    os.write(terminal, f"{PASSPHRASE}\n".encode())
    assert os.waitpid(child, 0)[1] == 0
    os.close(terminal)
    assert query(tmp_path / "out" / "x.db", "SELECT count(*) FROM session") == [(3,)]


# ---------------------------------------------------------------- what is refused


def refused(appliance: WholeAppliance, file: Path, *said: str) -> None:
    before = state(appliance.data, appliance.settings)
    done = appliance.run("restore", file, "--yes")
    assert isinstance(done.exception, BackupError), done.output
    assert any(words in str(done.exception) for words in said), done.exception
    assert "Nothing was changed" in str(done.exception)
    assert state(appliance.data, appliance.settings) == before


def test_one_bit_that_changed_anywhere_is_seen(archive: Path) -> None:
    content = archive.read_bytes()
    chance = random.Random(7)
    places = [0, len(content) - 1, len(content) - SEAL_CHARACTERS - 1]
    for place in [*places, *(chance.randrange(len(content)) for _ in range(100))]:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        archive.write_bytes(changed)
        with pytest.raises(BackupError), open_archive(archive, str):
            pass


def test_a_truncated_empty_or_foreign_file_is_refused(
    appliance: WholeAppliance, archive: Path
) -> None:
    content = archive.read_bytes()
    for end in (0, 1, 63, 64, 65, 1000, len(content) // 2, len(content) - 1):
        archive.write_bytes(content[:end])
        refused(appliance, archive, "is damaged or not complete", "is no archive")
    archive.write_bytes(b"holiday pictures " * 1000)
    refused(appliance, archive, "is no archive that `affect-edge backup` made")
    done = appliance.run("restore", archive.parent / "not-there.zip", "--yes")
    assert "cannot be read (No such file" in str(done.exception)


class Forger:
    """Changes an archive and seals it again, as somebody may who means harm."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with zipfile.ZipFile(file) as opened:
            self.members = {name: opened.read(name) for name in opened.namelist()}
        self.manifest: dict[str, Any] = json.loads(self.members.pop("manifest.json"))

    def put(self, path: str, content: bytes, listed: bool = True) -> None:
        self.members[path] = content
        if listed:
            self.manifest["files"] = [f for f in self.manifest["files"] if f["path"] != path]
            self.manifest["files"].append(
                {
                    "path": path,
                    "bytes": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "private": False,
                }
            )

    def seal(self, compression: int = zipfile.ZIP_STORED, mode: int = 0) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", compression) as made:
            for name, content in self.members.items():
                member = zipfile.ZipInfo(name)
                member.compress_type = compression
                member.external_attr = mode << 16
                made.writestr(member, content)
            made.writestr("manifest.json", json.dumps(self.manifest))
            made.comment = b"0" * 64
        content = out.getvalue()[:-64]
        self.file.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def climbs(forger: Forger) -> None:
    forger.put("data/../../evil", b"evil")


def absolute(forger: Forger) -> None:
    forger.put("/tmp/evil", b"evil")


def windows(forger: Forger) -> None:
    forger.put("data\\..\\evil", b"evil")


def beside_the_list(forger: Forger) -> None:
    forger.put("data/tls/more.pem", b"evil", listed=False)


def of_no_setting(forger: Forger) -> None:
    forger.put("config/cron.d/evil", b"evil")


def a_log(forger: Forger) -> None:
    forger.manifest["settings"][0]["path"] = "data/affect-edge.db-wal"
    forger.put("data/affect-edge.db-wal", b"evil")


def a_journal(forger: Forger) -> None:
    forger.manifest["settings"][0]["path"] = "data/affect-edge.db.replacing"
    forger.put("data/affect-edge.db.replacing", b"{}")


def an_odd_key(forger: Forger) -> None:
    forger.manifest["settings"][0]["key"] = "camera.device"


def larger(forger: Forger) -> None:
    forger.members["data/tls/key.pem"] += b"0" * 1_000_000


def swapped(forger: Forger) -> None:
    forger.members["data/tls/key.pem"] = forger.members["data/tls/key.pem"][::-1]


def missing(forger: Forger) -> None:
    del forger.members["data/tls/key.pem"]


def huge(forger: Forger) -> None:
    forger.manifest["files"][0]["bytes"] = 10**15


def no_database(forger: Forger) -> None:
    forger.manifest["files"] = forger.manifest["files"][1:]


def other_database(forger: Forger) -> None:
    forger.put("data/affect-edge.db", b"SQLite format 3\0" + b"\0" * 5000)


def damaged_database(forger: Forger) -> None:
    content = bytearray(forger.members["data/affect-edge.db"])
    content[8192:8256] = b"\x5a" * 64
    forger.put("data/affect-edge.db", bytes(content))


def of_the_future(forger: Forger) -> None:
    forger.manifest["format_version"] = 2


def odd_config(forger: Forger) -> None:
    forger.put("config/affect-edge.toml", b"[camera]\nsource = 'mind'\n")


def no_config(forger: Forger) -> None:
    forger.put("config/affect-edge.toml", b"\xff\xfe")


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (climbs, "is no path below"),
        (absolute, "is no path below"),
        (windows, "is no path below"),
        (beside_the_list, "its list and what is in it differ"),
        (of_no_setting, "belongs to no setting"),
        (a_log, "belongs to no setting"),
        (a_journal, "belongs to no setting"),
        (an_odd_key, "settings.0.key"),
        (larger, "is larger than its list says"),
        (swapped, "is not what its list says"),
        (missing, "its list and what is in it differ"),
        (huge, "MB are needed"),
        (no_database, "no data/affect-edge.db"),
        (other_database, "not sound"),
        (damaged_database, "not sound"),
        (of_the_future, "format_version"),
        (odd_config, "is not one that this version understands"),
        (no_config, "is not UTF-8"),
    ],
)
def test_a_forged_archive_is_refused_and_nothing_is_changed(
    appliance: WholeAppliance, archive: Path, forge: Callable[[Forger], None], said: str
) -> None:
    forger = Forger(archive)
    forge(forger)
    forger.seal()
    refused(appliance, archive, said)
    assert not list(archive.parent.rglob("*evil*"))


def test_a_bomb_a_link_or_an_encrypted_member_is_refused(
    appliance: WholeAppliance, archive: Path
) -> None:
    forger = Forger(archive)
    forger.members["data/tls/key.pem"] = bytes(50_000_000)
    forger.seal(zipfile.ZIP_DEFLATED)
    refused(appliance, archive, "compressed, encrypted or no plain file")
    forger = Forger(backed_up(appliance, archive, "--overwrite"))
    forger.seal(mode=stat.S_IFLNK | 0o777)
    refused(appliance, archive, "compressed, encrypted or no plain file")


def test_many_files_of_one_name_are_refused(appliance: WholeAppliance, archive: Path) -> None:
    forger = Forger(archive)
    forger.manifest["files"].append(forger.manifest["files"][0])
    forger.seal()
    refused(appliance, archive, "lists a path twice")


# ---------------------------------------------------------------- the text of the configuration


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", '\n\n[dashboard]\nkey = "/new"\n'),
        ('[dashboard]\nkey = "/old" # why\nport = 1\n', '[dashboard]\nkey = "/new"\nport = 1\n'),
        ("[dashboard]\nport = 1\n", '[dashboard]\nkey = "/new"\nport = 1\n'),
        ('[a]\nkey = "1"\n[dashboard]\n', '[a]\nkey = "1"\n[dashboard]\nkey = "/new"\n'),
        (
            '# key = "1"\n[dashboard] # x\n[b]\n',
            '# key = "1"\n[dashboard] # x\nkey = "/new"\n[b]\n',
        ),
    ],
)
def test_one_value_of_the_configuration_is_changed(text: str, changed: str) -> None:
    assert with_value(text, "dashboard.key", "/new") == changed


@pytest.mark.parametrize("text", ['dashboard.key = "/old"', 'dashboard = {key = "/old"}'])
def test_a_value_that_cannot_be_changed_alone_is_an_error(text: str) -> None:
    with pytest.raises(BackupError, match=r"dashboard\.key in the archive's configuration"):
        with_value(text, "dashboard.key", "/new")
