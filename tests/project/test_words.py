"""The glossary check: a listed word is found where a reader meets it, and nowhere else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools import words
from tools.words import WordEntry, places, read_entries, whole_word


def entry(word: str, **changes: Any) -> WordEntry:
    return replace(WordEntry(whole_word(word), "both", "another", "a reason"), **changes)


def found_in(name: str, text: str, one: WordEntry) -> list[tuple[int, str]]:
    return [(place.line, place.word) for place in places(name, text, [one])]


@pytest.mark.parametrize(
    ("word", "text", "matches"),
    [
        ("Mailbox", "class MailboxError(Mailbox): ...", 2),
        ("Mailbox", "the mailbox, MAILBOX and Mailboxes", 0),
        ("deaf_to", "self._deaf_to = client.Deaf_to", 2),
        ("deaf_to", "deaf_tone", 0),
        ("chooser", "A chooser. Chooser, face_chooser", 3),
        ("frames a second", "20 frames a\n    second, Frames a second", 2),
        ("frames a second", '"20 frames "\n    "a second"', 1),
        ("frames a second", "# 20 frames\n    # a second", 1),
        ("frames a second", "frames as seconds", 0),
    ],
)
def test_a_word_is_matched_as_a_whole_in_its_case(word: str, text: str, matches: int) -> None:
    assert len(list(whole_word(word).finditer(text))) == matches


def test_an_entry_holds_in_its_files_and_not_where_the_word_is_right() -> None:
    allowed = entry("unfit", files=("edge_agent/timeline/*",))
    only = entry("unfit", only=("edge_agent/*",))

    assert found_in("edge_agent/vision/a.py", "unfit = 1\n", allowed) == [(1, "unfit")]
    assert found_in("edge_agent/timeline/a.py", "unfit = 1\n", allowed) == []
    assert found_in("edge_agent/vision/a.py", "unfit = 1\n", only) == [(1, "unfit")]
    assert found_in("tests/a.py", "unfit = 1\n", only) == []


def test_the_command_prints_each_place_and_ends_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text('"""Install it: pip install affect-edge."""\n', encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["words", str(probe)])

    assert words.main() == 1
    assert "probe.py:1: 'pip install affect-edge': write" in capsys.readouterr().out
    probe.write_text('"""Install it: pip install -e \'.[lsl]\' of affect-edge."""\n')
    assert words.main() == 0
    assert capsys.readouterr().out == ""


def test_every_entry_is_complete_and_none_is_listed_twice() -> None:
    entries = read_entries()

    assert all(one.write and one.why for one in entries)
    assert all(one.where in {"names", "texts", "both"} for one in entries)
    patterns = [one.expression.pattern for one in entries if not one.only]
    assert len(patterns) == len(set(patterns))
    assert not any(re.search(one.expression, "") for one in entries)
