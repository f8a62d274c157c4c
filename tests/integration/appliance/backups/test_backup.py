"""Archives of an appliance: what is in them, and who can read them."""

from __future__ import annotations

import errno
import gc
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.appliance.archive import open_archive
from edge_agent.core.errors import BackupError, StoreError
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.export.age import new_lock, open_lock
from tests.support.backups.killed import killed_at
from tests.support.backups.terminal import run_on_terminal
from tests.support.backups.whole_appliance import PASSPHRASE, WholeAppliance, backed_up, state
from tests.support.timeline import query


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    return file


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


def test_backup_has_the_rows_of_the_write_ahead_log(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    with closing(connect(appliance.database, readonly=False)) as connection:
        connection.execute("INSERT INTO participant (code, created) VALUES ('IN-THE-LOG', 1)")
        file = backed_up(appliance, tmp_path / "backup.zip")
    with zipfile.ZipFile(file) as opened:
        assert b"IN-THE-LOG" in opened.read("data/affect-edge.db")


def test_older_archive_is_replaced_on_demand_and_nothing_else_is(
    appliance: WholeAppliance, archive: Path, tmp_path: Path
) -> None:
    before = archive.read_bytes()
    done = appliance.run("backup", archive)
    assert isinstance(done.exception, BackupError) and "--overwrite" in str(done.exception)
    assert archive.read_bytes() == before
    assert appliance.run("backup", archive, "--overwrite").exit_code == 0
    assert archive.read_bytes() != before
    for other, said in ((appliance.database, "is not an archive"), (tmp_path, "is a folder")):
        done = appliance.run("backup", other, "--overwrite")
        assert isinstance(done.exception, BackupError) and said in str(done.exception)


def test_a_file_that_is_missing_is_named(appliance: WholeAppliance, tmp_path: Path) -> None:
    (appliance.settings / "mqtt-password").unlink()
    done = appliance.run("backup", tmp_path / "backup.zip")
    assert done.exit_code == 0 and "left out: mqtt.password_file" in done.output
    appliance.database.write_bytes(b"damaged " * 1000)
    done = appliance.run("backup", tmp_path / "second.zip")
    assert isinstance(done.exception, StoreError)
    assert not list(tmp_path.glob("*second*"))


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "folder", "pipe"])
def test_what_stands_in_the_place_of_the_certificate_is_not_read(
    appliance: WholeAppliance, tmp_path: Path, kind: str
) -> None:
    certificate = appliance.data / "tls/cert.pem"
    certificate.unlink()
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "shadow").touch()
    if kind == "pipe":
        os.mkfifo(certificate)
    elif kind == "folder":
        certificate.mkdir()
    else:
        certificate.symlink_to(secrets if kind.endswith("folder") else secrets / "shadow")
    done = appliance.run("backup", tmp_path / "backup.zip")
    assert isinstance(done.exception, BackupError)
    assert f"{certificate}: is a link, a folder or a pipe" in str(done.exception)
    assert not list(tmp_path.glob("*backup*"))


def test_backup_that_a_file_refuses_ends_with_its_sentence_alone(
    appliance: WholeAppliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", left.append)

    def refuse(*_given: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", "key.pem")

    monkeypatch.setattr("edge_agent.appliance.backup._add", refuse)
    done = appliance.run("backup", tmp_path / "backup.zip")
    assert isinstance(done.exception, BackupError) and "key.pem" in str(done.exception)
    del done
    gc.collect()
    assert left == []
    assert not list(tmp_path.glob("*backup*"))


_FULL = """
import resource, signal, sys
from affect_edge import main
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
    assert "Exception ignored" not in done.stderr
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
    # no short ones: three bytes stand in so large an encrypted file by chance, once in 100 times
    for secret in (b"SQLite format", b"ward-3", b"secret", PASSPHRASE.encode()):
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
    file = backed_up(appliance, tmp_path / "locked.zip", "--passphrase-file", passphrase)
    with zipfile.ZipFile(file) as opened:
        opened.extractall(tmp_path / "out")
    words = ["age", "-d", "-i", "key.age", "-o", "x.db", "data/affect-edge.db.age"]
    assert run_on_terminal(words, tmp_path / "out", f"{PASSPHRASE}\n") == 0
    assert query(tmp_path / "out" / "x.db", "SELECT count(*) FROM session") == [(3,)]


def test_archive_of_files_that_claim_to_be_huge_is_not_made(
    appliance: WholeAppliance, tmp_path: Path
) -> None:
    key = appliance.database.parent / "tls/key.pem"
    os.truncate(key, 30_000_000_000)
    out = tmp_path / "huge.zip"
    start = [sys.executable, "-c", "from affect_edge import main; main()", "backup", str(out)]
    words = [*start, "--config", str(appliance.config), "--data", str(appliance.database.parent)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode and f"{key}: is larger than 10,000,000,000 bytes" in done.stderr
    assert not out.exists()
