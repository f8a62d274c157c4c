"""Releases: what is fetched and unpacked, and what is not. Whom to trust: test_trust.py."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from edge_agent.appliance.release import fetch, order_of, unpack, version_of
from edge_agent.core.errors import UpdateError

TOP = "affect-edge-1.2.3"


def archive_of(folder: Path, *members: tuple[str, bytes]) -> Path:
    archive = folder / f"{TOP}.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(info, io.BytesIO(content))
    return archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return archive_of(
        tmp_path, (f"{TOP}/install.sh", b"#!/bin/sh\n"), (f"{TOP}/VERSION", b"1.2.3\n")
    )


def test_what_was_fetched_is_unpacked_with_the_rights_of_programs(
    tmp_path: Path, archive: Path
) -> None:
    archive.with_name(f"{archive.name}.sig").write_text("a signature")
    (tmp_path / "in").mkdir()
    fetched, signature = fetch(str(archive), tmp_path / "in")
    assert signature.read_text() == "a signature"
    release = unpack(fetched, tmp_path / "out")
    assert version_of(release) == "1.2.3"
    assert (release / "install.sh").stat().st_mode & 0o777 == 0o755
    assert (release / "VERSION").stat().st_mode & 0o777 == 0o644


def test_a_missing_signature_is_named(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(
        UpdateError, match=r"\.tar\.sig: cannot be read .*must be beside the archive"
    ):
        fetch(str(archive), tmp_path / "in")


def test_update_given_a_checkout_names_the_way_to_update_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(UpdateError, match=r"is a folder.*git pull && sudo \./install\.sh"):
        fetch(str(tmp_path), tmp_path)


@pytest.mark.parametrize("name", ["../escaped", "/etc/passwd", f"{TOP}/../../escaped"])
def test_nothing_is_unpacked_outside(tmp_path: Path, name: str) -> None:
    archive = archive_of(tmp_path, (name, b"x"))
    with pytest.raises(UpdateError, match="no plain file below its folder"):
        unpack(archive, tmp_path / "a" / "b")
    assert not (tmp_path / "escaped").exists() and not (tmp_path / "a" / "escaped").exists()


def test_links_and_other_things_are_not_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "links.tar"
    with tarfile.open(archive, "w") as tar:
        link = tarfile.TarInfo(f"{TOP}/link")
        link.type = tarfile.SYMTYPE
        link.linkname = "/etc/shadow"
        tar.addfile(link)
    with pytest.raises(UpdateError, match="no plain file"):
        unpack(archive, tmp_path / "out")


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, (f"{TOP}/{'long/' * 30}a\0b", b"x"))
    with pytest.raises(UpdateError, match="cannot be unpacked: embedded null byte"):
        unpack(archive, tmp_path / "out")


def test_archive_that_is_no_release_is_refused(tmp_path: Path) -> None:
    other = archive_of(tmp_path, ("holiday/picture.jpg", b"x"))
    with pytest.raises(UpdateError, match="no folder with an install.sh"):
        unpack(other, tmp_path / "one")
    other.write_bytes(b"not a tar at all" * 100)
    with pytest.raises(UpdateError, match="cannot be unpacked"):
        unpack(other, tmp_path / "two")
    with pytest.raises(UpdateError, match="holds no file VERSION"):
        version_of(tmp_path)
    (tmp_path / "VERSION").write_text("newest\n")
    with pytest.raises(UpdateError, match="'newest' is not of the form"):
        version_of(tmp_path)


def test_versions_are_compared_as_numbers() -> None:
    assert order_of("0.10.0") > order_of("0.9.9")


def test_a_version_not_released_yet_lies_between_two_releases(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("0.2.0.dev0\n")
    assert version_of(tmp_path) == "0.2.0.dev0"
    assert order_of("0.1.9") < order_of("0.2.0.dev0") < order_of("0.2.0.dev1") < order_of("0.2.0")
