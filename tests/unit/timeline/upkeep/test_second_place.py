"""Copies on a stick or share: only where it is there, and never with somebody who was erased."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import FOLDER
from edge_agent.timeline.upkeep import copies
from edge_agent.timeline.upkeep.aging import DAY_MS
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.unfinished import sentences_of_left
from tests.support.erasure import CODE, bytes_of, hold
from tests.support.timeline import START_MS, timeline


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = timeline(tmp_path / "data")
    hold(path, CODE, 0)
    hold(path, "P02", 200)
    return path


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / copies.PLACE_MARK).touch()
    return folder


def night(path: Path, stick: Path, number: int) -> Path:
    return copies.copy_to_second_place(path, stick, "lab", START_MS + number * DAY_MS)


def names(folder: Path) -> list[str]:
    return sorted(copy.name for copy in folder.glob("*.backup-*"))


def test_the_last_three_nights_lie_there_verified(path: Path, stick: Path) -> None:
    for number in range(5):
        copy = night(path, stick, number)
    assert copy == stick / "lab" / f"{path.name}.backup-2026-09-25"
    found = copies.verified_copies(copies.daily_copies(stick / "lab" / path.name))
    assert [mark.number for _, mark in found] == [5, 4, 3]
    assert copies.copies_state(path, START_MS).second_error is None
    assert not list(path.parent.glob("*.backup-*"))


def test_a_stick_that_is_not_there_is_reported(path: Path, stick: Path) -> None:
    away = stick.rename(stick.with_name("pulled out"))
    with pytest.raises(StoreError, match=r"is not there, so no copy was made.*Plug the stick in"):
        night(path, stick, 0)
    assert not stick.exists(), "and nothing is written into its place"
    assert "is not there" in str(copies.copies_state(path, START_MS).second_error)
    away.rename(stick)
    night(path, stick, 1)
    assert copies.copies_state(path, START_MS).second_error is None
    shutil.rmtree(stick)
    with pytest.raises(StoreError):
        night(path, stick, 2)
    copies.forget_second_place(path)
    assert copies.copies_state(path, START_MS).second_error is None


@pytest.mark.parametrize("by", ["the disk of the data", "the disk of the system"])
def test_a_folder_into_which_nothing_is_mounted_is_not_filled(
    path: Path, stick: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "the disk of the system":
        monkeypatch.setattr(copies, "_SYSTEM", stick)
    (stick / copies.PLACE_MARK).unlink()
    with pytest.raises(StoreError, match=r"nothing is mounted there.*affect-edge-copies in it"):
        night(path, stick, 0)
    assert list(stick.iterdir()) == []


@pytest.fixture
def other_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on another file system than those of the database and of the system."""
    places = [Path("/dev/shm"), Path("/var/tmp")]
    own = tmp_path.stat().st_dev
    others = [place for place in places if place.is_dir() and place.stat().st_dev != own]
    if not others:
        pytest.skip("there is no second file system to write to")
    if others[0].stat().st_dev == Path("/").stat().st_dev:
        # the database lies in memory, as `make test` has it: let the system lie there, too
        monkeypatch.setattr(copies, "_SYSTEM", tmp_path)
    folder = others[0] / f"affect-edge-{tmp_path.name}-{id(tmp_path)}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_another_disk_needs_no_mark(path: Path, other_disk: Path) -> None:
    assert night(path, other_disk, 0).exists()


def test_an_erasure_reaches_a_stick_that_is_there(path: Path, stick: Path) -> None:
    copy = night(path, stick, 0)
    done = erase_participant(path, CODE, actor="ada")
    assert done.copies == (str(copy),) and done.places_unreached == ()
    assert CODE.lower().encode() not in bytes_of(stick / "lab")
    night(path, stick, 1)
    assert len(names(stick / "lab")) == 2, "no copy is smaller, and the first one stays"


def test_copies_with_the_erased_go_once_the_stick_is_back(path: Path, stick: Path) -> None:
    for number in range(3):
        night(path, stick, number)
    away = stick.rename(stick.with_name("pulled out"))
    done = erase_participant(path, CODE, actor="ada")
    assert done.places_unreached == (str(stick / "lab"),)
    assert "could not be reached and still hold the participant" in done.sentence
    assert CODE not in path.with_name(f"{path.name}.copies.json").read_text()
    away.rename(stick)
    assert CODE.lower().encode() in bytes_of(stick / "lab")
    copies.make_daily_copy(path, now_ms=START_MS + 3 * DAY_MS)
    night(path, stick, 3)
    assert CODE.lower().encode() not in bytes_of(stick / "lab")
    assert names(stick / "lab") == [f"{path.name}.backup-2026-09-24"]
    night(path, stick, 4)
    assert names(stick / "lab") == [f"{path.name}.backup-2026-09-2{day}" for day in (4, 5)]
    assert copies.read_report(path).places == {str(stick / "lab"): None}


def test_second_place_copies_that_may_be_the_last_good_ones_stay(path: Path, stick: Path) -> None:
    copies.make_daily_copy(path, now_ms=START_MS)
    night(path, stick, 0)
    away = stick.rename(stick.with_name("pulled out"))
    erase_participant(path, CODE, actor="ada")
    away.rename(stick)
    for file in path.parent.glob(f"{path.name}*"):
        if "backup" not in file.name and not file.name.endswith(".json"):
            file.unlink()
    timeline(path.parent)
    copies.make_daily_copy(path, now_ms=START_MS + DAY_MS)
    with pytest.raises(StoreError, match="still hold somebody who was erased, and they stay"):
        night(path, stick, 1)
    assert f"{path.name}.backup-2026-09-21" in names(stick / "lab")


def test_a_wrong_code_spoils_no_copies_that_are_away(path: Path, stick: Path) -> None:
    night(path, stick, 0)
    stick.rename(stick.with_name("pulled out"))
    with pytest.raises(Exception, match="There is no participant"):
        erase_participant(path, "nobody", actor="ada")
    assert copies.read_report(path).places == {str(stick / "lab"): None}


@pytest.mark.parametrize("how", ["a link", "another user's", "open to all"])
def test_a_place_where_the_dashboards_user_may_write_gets_no_copy(
    path: Path, stick: Path, how: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    copy = night(path, stick, 0)
    own = path.parent / FOLDER
    own.mkdir()
    os.chown(own, 12302, 12300)
    place = copy.parent
    if how == "a link":
        aside = place.rename(stick / "aside")
        place.symlink_to(aside)
    elif how == "another user's":
        os.chown(place, 12302, 12300)
    else:
        place.chmod(0o777)
    content = copy.read_bytes()
    with pytest.raises(StoreError, match="is a link|user may write there, so no copy is made"):
        night(path, stick, 1)
    done = erase_participant(path, CODE, actor="ada")
    assert done.places_unreached == (str(place),) and done.left[0].startswith(f"{place}: ")
    assert copy.read_bytes() == content
    assert any(str(place) in sentence for sentence in sentences_of_left(path))


def test_report_on_copies_that_claims_to_be_huge_counts_as_none(path: Path) -> None:
    report = path.with_name(f"{path.name}.copies.json")
    report.touch()
    os.truncate(report, 30_000_000_000)
    assert copies.read_report(path) == copies.CopiesReport()
