"""Commands in messages: what is put into one was written by others, and is quoted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from edge_agent.core.advice import shell_word
from edge_agent.core.bounds import printable
from tools.build_release import ROOT

ROOMS = ("affect_edge", "collector", "dashboard", "edge_agent")
COMMAND = re.compile(
    r"(?:^|[\s`(])(?:sudo|rm|mv|cp|ls|chown|chmod|openssl|systemctl|journalctl|"
    r"affect-edge(?: --?[a-z-]+)? [a-z-]+|--config|--data|--into|--out) (?:[^.:;,`()]|\.(?=\w))*$"
)
"""A command, or an option of one, that has not ended where something is put into the text."""
QUOTED = re.compile(r"^(?:shell_word|shlex\.quote|shlex\.join)\(")
OUR_OWN = {
    "unit": "a name of our services",
    "' '.join(services)": "names of our services",
    "' '.join(restarts((change.key,)))": "names of our services",
    "' '.join(self.services)": "names of our services",
    "back": "made of quoted words one line above",
    "number": "the number of an import",
    "written.number": "the number of an import",
    "' '.join(words)": "words of ours for systemctl",
    "words[0]": "a word of ours for openssl",
    "old": "a file of keys, after which no command stands",
    "session.id": "the number of a session",
    "following['id']": "the number of a marker",
    "session": "the number of a session",
    "met[-1].id": "the number of a marker",
    "self.extra": "a part of the installation",
    "_TIMEOUT_S": "a number of ours",
}
"""Expressions that nobody else writes, and why."""


def inserted(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and source of what f-strings put into a command."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        before = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                before += str(part.value)
            elif isinstance(part, ast.FormattedValue):
                if COMMAND.search(before):
                    yield part.lineno, ast.unparse(part.value)
                before += "X"


def test_advice_with_a_path_in_a_command_quotes_it() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {source}"
        for room in ROOMS
        for file in sorted(Path(ROOT, room).rglob("*.py"))
        for line, source in inserted(ast.parse(file.read_text(encoding="utf-8")))
        if not QUOTED.match(source) and source not in OUR_OWN
    ]
    assert found == []


def test_advice_check_sees_a_bare_path_and_passes_a_quoted_one() -> None:
    bare = 'f"{path}: cannot be deleted. As root: sudo rm -r {path}"'
    assert [source for _, source in inserted(ast.parse(bare))] == ["path"]
    good = 'f"Delete it: rm {shell_word(path)}. See {path}, and more."'
    assert [source for _, source in inserted(ast.parse(good))] == ["shell_word(path)"]


def test_quoted_name_is_one_word_without_control_characters() -> None:
    assert shell_word("exports/x ~ & reboot #") == "'exports/x ~ & reboot #'"
    assert shell_word("a\nb\x1b[2Jc'd") == "'a\\nb\\x1b[2Jc'\"'\"'d'"
    assert printable("Größe \udcff\r") == "Größe \\udcff\\r"
