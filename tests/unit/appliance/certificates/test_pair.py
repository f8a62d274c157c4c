"""A certificate and its key are replaced as one, whenever the machine stops."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from edge_agent.appliance import certificates
from edge_agent.appliance.certificates import (
    fingerprint,
    finish_replacement,
    fits,
    is_given,
    keep_certificate,
    replace_pair,
)
from edge_agent.core.errors import CertificateError
from tests.support.security.authority import Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def served(tmp_path: Path) -> tuple[Path, Path]:
    """The pair that the appliance made itself."""
    keep_certificate(tmp_path / "tls", "pi")
    return tmp_path / "tls" / "cert.pem", tmp_path / "tls" / "key.pem"


def new_pair(authority: Authority, folder: Path) -> tuple[bytes, bytes]:
    file, key = authority.pair(folder)
    return file.read_bytes(), key.read_bytes()


@pytest.mark.parametrize("renamed", [0, 1, 2], ids=["nothing", "the key", "both"])
def test_wherever_it_is_cut_off_the_next_start_finds_a_pair_that_fits(
    authority: Authority,
    served: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    renamed: int,
) -> None:
    before = fingerprint(served[0])
    rename = Path.replace
    done: list[Path] = []

    def cut_off(self: Path, target: Path) -> Path:
        if len(done) == renamed:
            raise KeyboardInterrupt  # nothing after it is done, as at a power cut
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", cut_off)
    if renamed < 2:
        with pytest.raises(KeyboardInterrupt):
            replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    else:
        replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    monkeypatch.undo()
    assert finish_replacement(*served) == (renamed < 2)
    assert fits(*served)
    assert (fingerprint(served[0]) == before) == (renamed == 0)
    assert {file.name for file in served[0].parent.iterdir()} == {"cert.pem", "key.pem"}


def test_one_of_the_owner_stays_when_it_ends_soon_and_names_another_host(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    assert not is_given(served[0])
    file, key = authority.pair(tmp_path / "new", days=(-1, 3), names=["other.lan"])
    replace_pair(*served, file.read_bytes(), key.read_bytes())
    before = fingerprint(served[0])
    assert not keep_certificate(served[0].parent, "pi") and fingerprint(served[0]) == before
    assert is_given(served[0])


def test_one_of_the_owner_whose_key_is_lost_gives_way_so_that_the_dashboard_starts(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    served[1].unlink()
    assert keep_certificate(served[0].parent, "pi")
    assert fits(*served) and not is_given(served[0])


def test_the_group_reads_both_where_it_may_write_the_folder(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    served[0].parent.chmod(0o770)
    replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in served} <= {0o040, 0o044}
    assert not stat.S_IMODE(served[1].stat().st_mode) & 0o007


def test_a_link_that_somebody_laid_is_not_followed(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path
) -> None:
    victim = tmp_path / "shadow"
    victim.write_text("secret")
    for name in ("cert.pem.new", "key.pem.new"):
        served[0].with_name(name).symlink_to(victim)
    replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    assert victim.read_text() == "secret" and fits(*served) and not served[0].is_symlink()


def test_two_commands_do_not_mix_their_pairs(
    authority: Authority, served: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOCK_S", 0.1)
    before = fingerprint(served[0])
    holder = os.open(served[0].parent, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(CertificateError, match="another command is replacing"):
            replace_pair(*served, *new_pair(authority, tmp_path / "new"))
    finally:
        os.close(holder)
    assert fingerprint(served[0]) == before and fits(*served)


def test_a_folder_that_is_not_there_is_named(authority: Authority, tmp_path: Path) -> None:
    files = tmp_path / "no" / "cert.pem", tmp_path / "no" / "key.pem"
    with pytest.raises(CertificateError, match="no: the certificate cannot be written"):
        replace_pair(*files, b"", b"")
