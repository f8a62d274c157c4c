"""Archives damaged in every way, with seals and checksums that fit: backups that are restored,
releases that are unpacked, and studies that are imported. Each is read or refused by an error of
ours; the slowest one is printed.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.appliance.archive import DATABASE, MANIFEST, SEAL_CHARACTERS, open_archive
from edge_agent.appliance.release import unpack
from edge_agent.appliance.restore import Places, restore_archive
from edge_agent.core.errors import AffectEdgeError
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.intake.cells import StudyImportOptions
from edge_agent.timeline.intake.study_import import import_study, opened_study
from tests.support.backups.whole_appliance import whole_appliance
from tests.support.fuzz.damage import Change, Costs, changed, give_changes

WANTED = int(os.environ.get("FUZZ_PAYLOADS", "40"))
COSTLY = max(10, WANTED // 10)
"""Of those that write a database."""

pytestmark = pytest.mark.timeout(7200)


def fuzz(name: str, take: Callable[[Change, int], object], wanted: int = WANTED) -> None:
    """Give damages to something that may refuse them, by an error of ours."""
    costs = Costs()

    def run(change: Change, which: int) -> None:
        begun = time.process_time()
        with suppress(AffectEdgeError):
            take(change, which)
        costs.count(begun)

    give_changes(run, wanted)
    costs.tell(name)


def sealed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).hexdigest().encode()


def members(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def entry(part: bytes) -> tuple[str, str]:
    """What the list of a backup says of a part."""
    return hashlib.sha256(part).hexdigest(), f'"bytes": {len(part)},'


def repacked(contents: dict[str, bytes]) -> bytes:
    """The zip of a backup up to its seal, which is the comment at the end."""
    return packed(contents, SEAL_CHARACTERS)[:-SEAL_CHARACTERS]


def packed(contents: dict[str, bytes], comment: int = 0) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        written.comment = b"0" * comment
        for name, content in contents.items():
            written.writestr(name, content)
    return target.getvalue()


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a whole appliance."""
    folder = tmp_path_factory.mktemp("backup")
    archive = folder / "backup.zip"
    done = whole_appliance(folder, people=1).run("backup", archive)
    assert done.exit_code == 0, done.output
    return archive


@pytest.mark.parametrize("part", ["whole", MANIFEST])
def test_any_bytes_in_a_sealed_backup_and_in_its_list_are_read_or_refused(
    backup: Path, tmp_path: Path, part: str
) -> None:
    whole = backup.read_bytes()
    contents = members(whole)
    path = tmp_path / "backup.zip"

    def take(change: Change, _: int) -> None:
        if part == MANIFEST:
            archived = repacked(contents | {MANIFEST: changed(contents[MANIFEST], change)})
        else:
            archived = changed(whole[:-SEAL_CHARACTERS], change)
        path.write_bytes(sealed(archived))
        with open_archive(path, lambda: "") as archive:
            archive.check(archive.manifest.files)

    fuzz(f"sealed backup: {part}", take)


def test_any_part_of_backup_is_restored_or_refused_and_nothing_lies_about(
    backup: Path, tmp_path: Path
) -> None:
    contents = members(backup.read_bytes())
    names = sorted(name for name in contents if name != MANIFEST)
    path = tmp_path / "backup.zip"

    def take(change: Change, which: int) -> None:
        name = DATABASE if which % 2 else names[which % len(names)]
        part = changed(contents[name], change)
        listed = contents[MANIFEST].decode()
        for before, after in zip(entry(contents[name]), entry(part), strict=True):
            listed = listed.replace(before, after)
        path.write_bytes(sealed(repacked(contents | {name: part, MANIFEST: listed.encode()})))
        place = tmp_path / "restored"
        shutil.rmtree(place, ignore_errors=True)
        places = Places(place / "data", place / "affect-edge.toml")
        try:
            with open_archive(path, lambda: "") as archive:
                restore_archive(archive, places)
        except AffectEdgeError:
            assert not list(place.rglob("*.toml")) and not list(place.rglob("affect-edge.db"))
            raise

    fuzz("part of a backup", take, COSTLY)


def test_any_bytes_in_a_release_are_unpacked_or_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name in ("affect-edge-9/install.sh", "affect-edge-9/" + "long/" * 30 + "name.py"):
            member = tarfile.TarInfo(name)
            member.size = 700
            tar.addfile(member, io.BytesIO(b"x" * 700))
    whole = target.getvalue()
    path, folder = tmp_path / "release.tar", tmp_path / "unpacked"

    def take(change: Change, _: int) -> None:
        path.write_bytes(changed(whole, change))
        shutil.rmtree(folder, ignore_errors=True)
        unpack(path, folder)

    fuzz("release", take)


def test_any_bytes_in_a_study_are_imported_or_refused(tmp_path: Path) -> None:
    there = whole_appliance(tmp_path / "there", people=1)
    bundle = tmp_path / "study.zip"
    words = ["export", "--out", str(bundle), "--data", str(there.data)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    whole = bundle.read_bytes()
    contents = members(whole)
    names = sorted(name for name in contents if name.endswith((".csv", ".json")))
    database = tmp_path / "affect-edge.db"
    migrate(database)
    path = tmp_path / "damaged.zip"

    def take(change: Change, which: int) -> None:
        if which % 3:
            name = names[which % len(names)]
            path.write_bytes(packed(contents | {name: changed(contents[name], change)}))
        else:
            path.write_bytes(changed(whole, change))
        source = opened_study(path)
        import_study(database, source, StudyImportOptions(), actor="ada", dry_run=True)

    fuzz("study", take, COSTLY)
