"""Every reader of files of others refuses a small file that would fill its memory.

The readers and their bombs are a register in ``tests.support.bombs``; each bomb is given in a
process whose memory is limited. That nobody parses around them is seen in the source.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bombs import COUNTS, READ, READERS, REFUSED

ROOT = Path(__file__).parents[2]
_ROOMS = ("edge_agent", "dashboard", "affect_edge", "collector")
_OF_OTHERS = ("edge_agent/vitals", "edge_agent/timeline/intake", "edge_agent/core/given")
"""Rooms whose JSON comes from others, and never from this program."""
NEVER_READ = COUNTS.keys()
_OWN = {"edge_agent/timeline/intake/imports.py"}
"""What this program has written into its own table."""


@pytest.mark.parametrize("reader", READERS)
def test_bombs_given_to_reader_are_refused_in_little_memory(reader: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.support.bombs", reader, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [what for what, *_ in told] == list(READERS[reader].bombs)
    odd = [one for one in told if one[1] not in {READ, REFUSED}]
    assert not odd
    most = READERS[reader].most_grown
    assert not [(what, grown // 2**20) for what, *_, grown in told if grown > most]
    assert [one for one in told if one[0] in NEVER_READ and one[1] == READ] == []
    # A refusal is for people: neither a page long nor empty.
    assert not [one for one in told if one[1] == REFUSED and not 0 < len(one[2]) < 8_000]


def test_texts_of_others_are_parsed_by_the_bounded_parsers_alone() -> None:
    around = [
        f"{place}:{node.lineno}"
        for place, node, name in calls()
        if name in {"tomllib.loads", "tomllib.load"}
        or (name in {"json.loads", "json.load"} and place.startswith(_OF_OTHERS))
    ]
    assert [one for one in around if one.partition(":")[0] not in _OWN] == [
        one for one in around if one.startswith("edge_agent/core/brought_values.py")
    ]


def test_list_of_every_archive_that_is_read_is_checked_first() -> None:
    reading = {
        place
        for place, node, name in calls()
        if name in {"zipfile.ZipFile", "zipfile.Path"} and len(node.args) < 2
    }
    own = {"edge_agent/appliance/archive.py", "dashboard/export_jobs.py"}  # sealed; written here
    unchecked = [
        place
        for place in sorted(reading - own)
        if not {"check_list", "opened_archive", "opened_root"} & names_in(ROOT / place)
    ]
    assert unchecked == []


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Yield file, node and dotted name of each call."""
    for room in _ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield str(file.relative_to(ROOT)), node, ast.unparse(node.func)


def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
