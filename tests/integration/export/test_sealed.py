"""Exports that only a passphrase opens: opened again by `age`, and refused where weak."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.export import age, sealed
from edge_agent.timeline.export.age import LARGEST, lock_key
from edge_agent.timeline.export.sealed import check_passphrase, seal
from tests.support.backups.terminal import run_on_terminal
from tests.support.dashboard import add_session, fill
from tests.support.exports.sealed import WORDS, opened


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a session, whose passphrase costs next to nothing."""
    monkeypatch.setattr(age, "WORK", 10)  # one test asks `age` to open it at its real cost
    folder = tmp_path / "data"
    folder.mkdir()
    fill(folder / DATABASE_NAME, minutes=2)
    add_session(folder / DATABASE_NAME, minutes_ago=1)
    return folder


def export(data: Path, out: Path, *words: str, given: str = "") -> Result:
    arguments = ["export", "--data", str(data), "--out", str(out), *words]
    return CliRunner().invoke(cli, arguments, input=given)


@pytest.mark.parametrize(
    ("passphrase", "why"),
    [
        ("short", "10 to 1000 characters"),
        ("x" * 1001, "10 to 1000 characters"),
        ("password1234", "easy to guess"),
    ],
)
def test_a_weak_passphrase_is_refused_and_not_repeated(
    data: Path, tmp_path: Path, passphrase: str, why: str
) -> None:
    with pytest.raises(StoreError, match=why) as caught:
        check_passphrase(passphrase)
    assert passphrase not in str(caught.value)
    done = export(data, tmp_path / "out.zip", "--passphrase-file", "-", given=f"{passphrase}\n")
    assert done.exit_code == 1
    assert not (tmp_path / "out.zip").exists()


def test_the_command_takes_a_passphrase_from_standard_input_or_a_file(
    data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stick" / "study.zip"
    done = export(data, out, "--passphrase-file", "-", given=f"{WORDS}\n")
    assert done.exit_code == 0, done.output
    assert WORDS not in done.output
    bundle = zipfile.ZipFile(io.BytesIO(opened(out, WORDS)))
    assert b"P-01" in bundle.read("session.csv")
    assert b"P-01" not in out.read_bytes()
    assert [one.name for one in out.parent.iterdir()] == ["study.zip"]
    assert not list((data / "exports").iterdir()), "the open file is gone"
    word = tmp_path / "word"
    word.write_text(f"{WORDS}\nmore\n", encoding="utf-8")
    for form, held in (("csv", b"session.csv"), ("json", b'{"name"')):
        locked = tmp_path / f"{form}.zip"
        done = export(data, locked, "--format", form, "--passphrase-file", str(word))
        assert done.exit_code == 0, done.output
        assert held in opened(locked, WORDS)
    again = export(data, locked, "--passphrase-file", str(word))
    assert again.exit_code == 1 and "is there already" in str(again.exception)


def test_what_cannot_be_written_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyrage.encrypt_io", fails)
    done = export(data, tmp_path / "out.zip", "--passphrase-file", "-", given=f"{WORDS}\n")
    assert done.exit_code == 1 and "the disk is full" in str(done.exception)
    assert not (tmp_path / "out.zip").exists() and not list((data / "exports").iterdir())


PROGRAM = """
import re, sys
from pathlib import Path
from edge_agent.timeline.export.sealed import seal
seal(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
# By getrusage it would be what the process that started this one had taken.
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def test_a_large_file_passes_through_in_pieces(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (0, 32):
        plain = tmp_path / f"{megabytes}.bin"
        plain.write_bytes(os.urandom(1 << 20) * megabytes)
        command = [sys.executable, "-c", PROGRAM, str(plain), f"{plain}.zip", WORDS]
        peaks.append(int(subprocess.check_output(command, text=True)))
    assert peaks[1] - peaks[0] < 15_000, peaks  # kB, of 32 MB


def test_only_one_piece_is_locked_as_a_key() -> None:
    with pytest.raises(ValueError, match="more than one piece"):
        lock_key(bytes(LARGEST + 1), WORDS)


def test_age_opens_it_as_the_text_inside_says(tmp_path: Path) -> None:
    if shutil.which("age") is None:
        pytest.skip("age is missing; on Debian: apt install age")
    plain = tmp_path / "study.zip"
    plain.write_bytes(b"health data" * 10_000)
    out = sealed.sealed_name(plain)
    seal(plain, out, WORDS)
    place = tmp_path / "unpacked"
    seven = shutil.which("7z") or shutil.which("7zz")
    if seven is None:
        shutil.unpack_archive(out, place)
    else:  # as people do
        subprocess.run([seven, "x", f"-o{place}", str(out)], check=True, capture_output=True)
    told = (place / "HOW-TO-OPEN.txt").read_text(encoding="utf-8")
    assert 'age --decrypt --identity key.age --output "study.zip" "study.zip.age"' in told
    words = ["age", "--decrypt", "--identity", "key.age", "--output", "study.zip", "study.zip.age"]
    assert run_on_terminal(words, place, f"{WORDS}\n") == 0
    assert (place / "study.zip").read_bytes() == plain.read_bytes()
    (place / "study.zip").unlink()
    assert run_on_terminal(words, place, "another passphrase\n") != 0
    assert not (place / "study.zip").exists()
