"""The switch of the camera: kept over restarts and restores, and off where nobody knows better."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.timeline.study.capture_switch import FILE, CaptureSwitch, SwitchedOff
from tests.support.timeline import query


def test_camera_is_on_until_a_named_person_turns_it_off(path: Path, tmp_path: Path) -> None:
    switch = CaptureSwitch(path)
    assert switch.off() is None
    before_ms = clock.now().wall_ms
    switch.turn(on=False, by="ada")
    off = CaptureSwitch(path).off()  # as after a restart
    assert off is not None
    assert off.by == "ada"
    assert off.since_ms is not None
    assert before_ms <= off.since_ms <= clock.now().wall_ms
    switch.turn(on=True, by="mqtt")
    assert CaptureSwitch(path).off() is None
    turned = query(path, "SELECT actor, action FROM audit ORDER BY id")
    assert turned == [("ada", "capture_off"), ("mqtt", "capture_on")]
    assert [file.name for file in tmp_path.glob(f"{FILE}*")] == [FILE]


def test_turning_it_to_what_it_is_changes_nothing(path: Path, tmp_path: Path) -> None:
    switch = CaptureSwitch(path)
    switch.turn(on=True, by="mqtt")
    assert not (tmp_path / FILE).exists()
    switch.turn(on=False, by="ada")
    first = switch.off()
    switch.turn(on=False, by="mqtt")
    assert switch.off() == first
    assert query(path, "SELECT count(*) FROM audit") == [(1,)]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b'{"on": 1}', b"[" * 4000, b"\xff\xfe\x00", None]
)
def test_a_file_that_says_nothing_and_a_folder_mean_off(
    path: Path, tmp_path: Path, content: bytes | None
) -> None:
    if content is None:
        (tmp_path / FILE).mkdir()
    else:
        (tmp_path / FILE).write_bytes(content)
    assert CaptureSwitch(path).off() == SwitchedOff()


def test_what_cannot_be_written_leaves_all_as_it_was(path: Path, tmp_path: Path) -> None:
    switch = CaptureSwitch(path)
    (tmp_path / f"{FILE}.{os.getpid()}").mkdir()  # in the place of the file to be written first
    with pytest.raises(StoreError, match=r"capture\.json cannot be written: .* stays as it was"):
        switch.turn(on=False, by="ada")
    assert switch.off() is None
    assert query(path, "SELECT count(*) FROM audit") == [(0,)]


def test_an_audit_trail_that_cannot_be_written_does_not_keep_the_camera_on(tmp_path: Path) -> None:
    switch = CaptureSwitch(tmp_path / "no-database-here.db")
    (tmp_path / "no-database-here.db").write_text("no database")
    switch.turn(on=False, by="ada")
    assert switch.off() is not None
    assert json.loads((tmp_path / FILE).read_text())["on"] is False
