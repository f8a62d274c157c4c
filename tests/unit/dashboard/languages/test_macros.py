"""Macros in the language of the reader, and where they are kept compiled for the next process."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from dashboard.languages import macros
from dashboard.languages.current import speaking


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the folder, in a temporary folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"affect-edge-words-{os.getuid()}"


def test_compiled_macros_are_kept_in_a_folder_of_this_user_alone(place: Path) -> None:
    assert macros._open_cache() is not None
    assert place.stat().st_mode & 0o777 == 0o700


def test_compiled_macros_folder_that_is_a_link_stays_untouched(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "of somebody else"
    target.mkdir(0o755)
    place.symlink_to(target)
    assert macros._open_cache() is None
    assert target.stat().st_mode & 0o777 == 0o755


def test_compiled_macros_a_folder_that_others_can_write_is_not_used(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)
    assert macros._open_cache() is None


def test_number_that_a_macro_names_is_written_in_the_language_of_reader(
    place: Path, tmp_path: Path
) -> None:
    (tmp_path / "of.jinja").write_text("{% macro width() %}{{ 8.5|general }} cm{% endmacro %}")
    width = macros.Macros(tmp_path)
    written = []
    for code in ("en", "de"):
        with speaking(code):
            written.append(width.say("of", "width"))
    assert written == ["8.5 cm", "8,5 cm"]
