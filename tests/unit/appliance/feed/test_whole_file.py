"""A small file is replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.appliance.feed.whole_file import write_whole
from edge_agent.core.errors import UpdateError


def test_a_file_is_replaced_and_everybody_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "standing.json"
    for text in ("old", "new"):
        write_whole(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "is-a-folder"
    folder.mkdir()
    with pytest.raises(UpdateError, match="is-a-folder: cannot be written"):
        write_whole(folder, "text")
    with pytest.raises(UpdateError, match=r"a\.json: cannot be written \(No such file"):
        write_whole(tmp_path / "missing" / "a.json", "text")
    assert list(tmp_path.iterdir()) == [folder]
