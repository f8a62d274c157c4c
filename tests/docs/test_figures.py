"""Every figure of docs/measured.md names its command and where it is printed; the README rounds."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache

import pytest
from markdown_it.token import Token

from benchmarks.__main__ import BENCHMARKS
from benchmarks._command import read_bars
from tests.docs.pages import ROOT, text_of, tokens_of
from tools.last_figures import DOCUMENTS as WRITTEN
from tools.last_figures import Printed, kept
from tools.last_green import age_of
from tools.write_figures import documents, with_numbers
from training.commands.main import app

PAGE = "docs/measured.md"
OLDEST = 400
"""Commits after which a figure that a target writes is to be measured again."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NO_FIGURE = {"make test-appliance", "make test-appliance-arm", "python -m pytest"}
"""Commands whose figures have no key: they print them for people, or hold them in a test."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its cells as text, its command, and where the figure is printed."""

    cells: tuple[str, ...]
    command: str
    keys: tuple[str, ...]
    files: tuple[str, ...]

    def __str__(self) -> str:
        return self.cells[0][:60]


def rows() -> Iterator[Row]:
    heads: list[str] = []
    cells: list[Token] = []
    for token in tokens_of(PAGE):
        if token.type == "tr_open":
            cells = []
        elif token.type == "inline":
            cells.append(token)
        elif token.type == "thead_close":
            heads = [cell.content for cell in cells]
        elif token.type == "tr_close" and heads and [c.content for c in cells] != heads:
            yield row_of(heads, cells)
        elif token.type == "table_close":
            heads = []


def row_of(heads: list[str], cells: list[Token]) -> Row:
    command = next(cell for head, cell in zip(heads, cells, strict=False) if head == "command")
    last = cells[-1] if heads[-1] != "command" else None
    children = (last.children or []) if last else []
    keys = tuple(child.content for child in children if child.type == "code_inline")
    links = [str(child.attrGet("href")) for child in children if child.type == "link_open"]
    files = tuple(posixpath.normpath(f"docs/{link}") for link in links)
    text = re.sub(r"^(?=(?:benchmarks|training) )", "python -m ", command.content.strip("`"))
    return Row(tuple(cell.content for cell in cells), text, keys, files)


ROWS = list(rows())


def fault_of_command(text: str) -> str:
    """Say what is wrong with a command that prints a figure; an empty text when it exists."""
    words = text.split()
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        return (
            "" if re.search(rf"^{words[1]}:", makefile, re.MULTILINE) else f"no target {words[1]}"
        )
    if words[:3] == ["python", "-m", "benchmarks"]:
        return "" if words[3] in BENCHMARKS else f"no benchmark {words[3]}"
    if words[:3] == ["python", "-m", "training"]:
        return "" if words[3] in app.commands else f"no command {words[3]}"
    if words[:4] == ["python", "-m", "pytest", "-k"]:
        pattern = re.compile(rf"^def test_\w*{words[4]}", re.MULTILINE)
        tests = (ROOT / "tests").glob("**/test_*.py")
        there = any(pattern.search(path.read_text(encoding="utf-8")) for path in tests)
        return "" if there else f"no test of {words[4]}"
    return f"nobody knows {text}"


def prints(benchmark: str, key: str) -> bool:
    """Tell whether a benchmark's source has a figure of that name, also one made of parts."""
    return any(pattern.fullmatch(key) for pattern in names_in(benchmark))


@cache
def names_in(benchmark: str) -> list[re.Pattern[str]]:
    """Return what fits the names in a benchmark's source."""
    file = BENCHMARKS[benchmark].replace(".", "/") + ".py"
    source = (ROOT / file).read_text(encoding="utf-8")
    return [
        re.compile(re.sub(r"\\\{[^}]*\\\}", "[a-z0-9_]+", re.escape(template)))
        for template in re.findall(r'f?"([a-z0-9_]*(?:\{[^}"]*\}[a-z0-9_]*)*)"', source)
        if template and not template.startswith("{")
    ]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_command_of_the_figure_exists(row: Row) -> None:
    assert fault_of_command(row.command) == ""


@pytest.mark.parametrize("row", [row for row in ROWS if row.keys], ids=str)
def test_the_benchmark_prints_a_figure_of_that_name(row: Row) -> None:
    benchmark = row.command.split()[3]
    assert all(prints(benchmark, key) for key in row.keys)


@pytest.mark.parametrize("row", [row for row in ROWS if row.files], ids=str)
def test_a_figure_that_stands_in_a_file_stands_there_as_it_is_written(row: Row) -> None:
    text = "\n".join(map(text_of, row.files))
    there = set(NUMBER.findall(text))
    measured = row.cells[1:-2]
    figures = [number for cell in measured for number in NUMBER.findall(cell)]
    assert figures
    assert [number for number in figures if number not in there] == []


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_figure_has_a_name_or_a_file_or_a_command_that_needs_none(row: Row) -> None:
    without = any(row.command.startswith(one) for one in NO_FIGURE)
    assert row.keys or row.files or without, row


def test_every_bar_is_a_figure_that_a_benchmark_prints() -> None:
    bars = read_bars(int8_dot=True)
    assert [bar for bar in bars if not any(prints(name, bar) for name in BENCHMARKS)] == []


def test_the_readme_rounds_what_stands_in_the_page_of_figures() -> None:
    section = text_of("README.md").split("## Five figures")[1].split("[Every figure")[0]
    table = [line for line in section.splitlines() if line.startswith("| ")][1:]
    measured = [line.removesuffix(" |").rsplit(" | ", 1)[1] for line in table]
    shown = {float(number) for cell in measured for number in NUMBER.findall(cell)}
    exact = {float(number.replace(",", "")) for number in NUMBER.findall(text_of(PAGE))}
    assert len(shown) >= 10
    rounded = {round(number, digits) for number in exact for digits in (0, 1)}
    assert shown - rounded == set()


def test_the_readme_is_short() -> None:
    lines = text_of("README.md").splitlines()
    assert len(lines) <= 90
    assert max(map(len, lines)) <= 120


FIGURES = kept()


@pytest.mark.parametrize("target", FIGURES)
def test_figures_that_a_target_writes_are_not_old(target: str) -> None:
    """Run the target, whose figures may be others now; it writes them itself."""
    age = age_of(FIGURES[target].commit)
    assert age is not None, f"make {target} wrote figures of a commit that this checkout lacks"
    assert age <= OLDEST, f"make {target} wrote its figures {age} commits ago"


STRETCH = re.compile(r"<!-- written by make ([\w-]+) -->\n(.*?)<!-- end of it -->", re.DOTALL)


def test_a_target_has_written_its_stretch_or_the_stretch_denies_it() -> None:
    stretches = dict(found for page in WRITTEN for found in STRETCH.findall(text_of(page)))
    assert set(FIGURES) <= set(stretches)
    for target in set(stretches) - set(FIGURES):
        assert "are not known" in stretches[target], f"make {target} has written nothing"


def test_the_documents_hold_the_figures_that_were_written_last() -> None:
    """Each document is as `make write` writes it; run that where one differs."""
    for path, text in documents():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: make write"


MADE = Printed(
    date(2026, 1, 2),
    "0123abcd",
    "some processor",
    int8_dot=True,
    figures={"agent_cpu_percent": 2.34, "agent_to_yunet": 0.5, "store_trend_90_days_ms": 1234.0},
)


def test_a_row_gets_its_figures_with_their_decimals_and_misses_are_marked() -> None:
    of_agent = "`benchmarks agent` | `agent_cpu_percent`, `agent_to_yunet` |"
    of_store = "`benchmarks store` | `store_trend_90_days_ms` |"
    of_soak = "| growth | 2 MB | `benchmarks soak` | `soak_memory_growth_mb` |"
    before = f"| load (bar 3) | – | **1.0**; 9.99 | {of_agent}\n| trend, ms | 7 | {of_store}\n"
    after = with_numbers(before + of_soak, MADE).split("\n")
    assert after[0] == f"| load (bar 3) | – | **2.3**; 0.50 missed | {of_agent}"
    assert after[1] == f"| trend, ms | 1,234 missed | {of_store}"
    assert after[2] == of_soak
    assert with_numbers("\n".join(after), MADE).split("\n") == after


def test_a_row_with_another_number_of_figures_than_names_is_refused() -> None:
    with pytest.raises(ValueError, match="one for each figure"):
        with_numbers(
            "| load | 1.0 | `benchmarks agent` | `agent_cpu_percent`, `agent_to_yunet` |", MADE
        )
