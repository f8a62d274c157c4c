"""What `make style` says of the code: sizes are told, a few habits are judged.

python -m tools.style            the table; ends with 1 when a row misses its bar
python -m tools.style --list     what stands behind each row, file by file
python -m tools.style --judged   the rows that miss their bar, in two seconds, for `make quick`

``tests/project/test_style.py`` asks for the judged rows, too. Words and bars stand in
``tools/style.toml``.
"""

from __future__ import annotations

import argparse
import ast
import gc
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tools import rooms
from tools.page_records import missing_names

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "tools" / "style.toml"
COLUMNS = 100
FACES = ("affect_edge/__init__.py", "edge_agent/__main__.py")
"""Modules that installers and people name."""
PASSING = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
LOG = "log"
CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]*")
NAME_OF_A_TEST = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)
LONGEST_NAME = 70


@dataclass(frozen=True, slots=True)
class StyleRow:
    """One line of the table.

    Attributes:
        what: what is counted.
        value: the count, or the share per cent.
        bar: the most that is allowed; ``None``: it is told alone.
        places: what was counted, each with its place.
    """

    what: str
    value: float
    bar: float | None = None
    places: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Tell whether the bar is met."""
        return self.bar is None or self.value <= self.bar


@dataclass(frozen=True, slots=True)
class LateConstant:
    """A constant, or the logger, that is assigned below the first function or class.

    Attributes:
        name: its name.
        line: its line, from 1.
        must_follow: whether it is made of what the module defines above it.
    """

    name: str
    line: int
    must_follow: bool


class PythonFile:
    """One Python file: its lines and its syntax tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.lines = path.read_text(encoding="utf-8").splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse("\n".join(self.lines))


def tracked(*patterns: str) -> list[Path]:
    """Return the files under version control that match; without git, all files that match."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return sorted(path for pattern in patterns for path in ROOT.rglob(pattern))
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def read_products() -> list[PythonFile]:
    """Return the files that are shipped: no tests, tools or benchmarks."""
    return [PythonFile(path) for path in tracked(*(f"{name}/*.py" for name in rooms.PRODUCTS))]


def code_lines(source: PythonFile) -> set[int]:
    """Return the numbers of the lines that are neither blank, comment nor docstring."""
    documentation: set[int] = set()
    for node in ast.walk(source.tree):
        # also the string below an attribute or a constant, which documents it
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return {
        number
        for number, line in enumerate(source.lines, 1)
        if number not in documentation and line.strip() and not line.lstrip().startswith("#")
    }


def lines_of_tests(source: PythonFile) -> set[int]:
    """Return the numbers of the lines of code of functions that pytest runs, with their tables."""
    bodies: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_"):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            bodies.update(range(first, (node.end_lineno or node.lineno) + 1))
    return bodies & code_lines(source)


def import_lines(source: PythonFile) -> int:
    """Count the lines of a file's import statements."""
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    )


def measure_sizes(
    products: Sequence[PythonFile], tests: Sequence[PythonFile]
) -> Iterator[StyleRow]:
    """Measure how much there is to read; nothing of it is judged."""
    yield StyleRow("lines of code", sum(len(code_lines(source)) for source in products))
    # a script that is handed out with data is in no package
    modules = [
        source
        for source in products
        if source.path.name != "__init__.py" and source.path.with_name("__init__.py").exists()
    ]
    held = Counter(source.name.split("/")[0] for source in modules)
    yield StyleRow("modules", len(modules), places=listed(held))
    lines = sum(len(source.lines) for source in products)
    share = round(100 * sum(map(import_lines, products)) / lines, 1)
    yield StyleRow("lines of imports, per cent", share)
    of_tests = sum(len(code_lines(source)) for source in tests)
    yield StyleRow("lines of tests", of_tests)
    outside = Counter(
        {source.name: len(code_lines(source) - lines_of_tests(source)) for source in tests}
    )
    yield StyleRow("of these outside test functions", outside.total(), places=listed(outside))


def count_words() -> StyleRow:
    """Count the words of the documentation; the cards of the models are apart."""
    counts = Counter(
        {
            path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").split())
            for path in tracked("*.md")
            if "docs/models" not in path.as_posix()
        }
    )
    return StyleRow("words of documentation", counts.total(), places=listed(counts))


def listed(counts: Counter[str]) -> tuple[str, ...]:
    """Return the ten largest counts with their names."""
    return tuple(f"{name}: {number}" for name, number in counts.most_common(10))


def files_naming(words: Sequence[str], apart_from: Sequence[str]) -> tuple[str, ...]:
    """Return the files that whoever adds one like it must touch.

    They name the thing by one of its words, in their text or in their own name.
    """
    names = []
    for path in tracked("*.py", "*.md", "*.html", "*.js", "*.css", "*.toml", "*.R"):
        name = path.relative_to(ROOT).as_posix()
        if any(name.startswith(one) for one in apart_from):
            continue
        text = path.read_text(encoding="utf-8")
        if any(word in name or word in text for word in words):
            names.append(name)
    return tuple(names)


def passing_on(products: Sequence[PythonFile]) -> StyleRow:
    """Count modules that only pass on what others define, and make nothing of it, such as the
    entry of a register.
    """
    places = tuple(
        source.name
        for source in products
        if source.name not in FACES
        if any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in source.tree.body)
        and all(isinstance(node, PASSING) for node in source.tree.body)
        and not any(isinstance(getattr(node, "value", None), ast.Call) for node in source.tree.body)
    )
    return StyleRow("modules that only pass on", len(places), 0, places)


def arrows_and_circles() -> Iterator[StyleRow]:
    """Count imports that run up or sideways between rooms, and circles."""
    wrong = tuple(rooms.wrong_arrows())
    yield StyleRow("arrows between rooms that run up", len(wrong), 0, wrong)
    circles = tuple(rooms.circles())
    yield StyleRow("circles of imports", len(circles), 0, circles)


def names_of_templates() -> StyleRow:
    """Count the names that a template asks for and its page's record lacks."""
    missing = tuple(missing_names())
    return StyleRow("names of templates that no record has", len(missing), 0, missing)


def long_lines(sources: Sequence[PythonFile]) -> StyleRow:
    """Count lines beyond 100 columns; a comment for a tool at a line's end does not count."""
    places = tuple(
        f"{source.name}:{number}"
        for source in sources
        for number, line in enumerate(source.lines, 1)
        if len(line.split("  # noqa")[0].split("  # type: ignore")[0]) > COLUMNS
    )
    return StyleRow(f"lines beyond {COLUMNS} columns", len(places), 0, places)


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that occur in some syntax trees."""
    return {name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)}


def names_bound_by(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module defines, imports or assigns."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {statement.name}
        case ast.Import() | ast.ImportFrom():
            return {(one.asname or one.name).split(".")[0] for one in statement.names}
        case ast.Assign():
            return names_in(statement.targets)
        case ast.AnnAssign() | ast.AugAssign():
            return names_in([statement.target])
    return {
        name.id
        for name in ast.walk(statement)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


def late_constants(tree: ast.Module) -> list[LateConstant]:
    """Return the constants, and the logger, assigned below the module's first definition.

    One that is made of a function, a class or another late constant must follow it.
    """
    late: list[LateConstant] = []
    defined: set[str] = set()
    for statement in tree.body:
        bound = names_bound_by(statement)
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and all(
            name == LOG or CONSTANT.fullmatch(name) for name in bound
        ):
            must_follow = bool(names_in([statement.value] if statement.value else []) & defined)
            if defined:
                late += [LateConstant(one, statement.lineno, must_follow) for one in sorted(bound)]
            if not must_follow:
                continue
        if defined or isinstance(statement, DEFINITIONS):
            defined |= bound
    return late


def below_definitions(products: Sequence[PythonFile], bar: int) -> Iterator[StyleRow]:
    """Count modules with ``log`` or constants between or below functions and classes."""
    late = [(source, one) for source in products for one in late_constants(source.tree)]
    logs = tuple(f"{source.name}:{one.line}" for source, one in late if one.name == LOG)
    yield StyleRow("modules with log below a function", len(logs), 0, logs)
    constants = [(source, one) for source, one in late if one.name != LOG]
    modules = tuple(dict.fromkeys(source.name for source, _ in constants))
    yield StyleRow("modules with constants between functions", len(modules), bar, modules)
    must = [one for _, one in constants if one.must_follow]
    yield StyleRow("constants made of what stands above them", len(must))
    free = tuple(
        f"{source.name}:{one.line} {one.name}" for source, one in constants if not one.must_follow
    )
    yield StyleRow("constants that the head could have", len(free), 0, free)


def is_participle(name: str, irregular: Sequence[str], others_in_ed: Sequence[str]) -> bool:
    """Tell whether a name is a past participle alone, such as ``_told`` or ``rounded``."""
    word = name.strip("_")
    return word in irregular or (
        word.endswith("ed") and "_" not in word and word not in others_in_ed
    )


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function is read like an attribute."""
    return any("property" in ast.unparse(one) for one in function.decorator_list)


def named_by_a_participle(
    sources: Sequence[PythonFile], bar: int, is_one: Callable[[str], bool]
) -> StyleRow:
    """Count functions named by a participle alone; a property is named like an attribute."""
    places = tuple(
        f"{source.name}:{node.lineno} {node.name}"
        for source in sources
        for node in rooms.statements_in(source.tree)
        if isinstance(node, FUNCTIONS) and is_one(node.name) and not is_property(node)
    )
    return StyleRow("functions named by a participle alone", len(places), bar, places)


def docstrings(source: PythonFile) -> Iterator[tuple[ast.AST, int, str]]:
    """Yield each documented module, class and function with the line and the first word."""
    for node in (source.tree, *rooms.statements_in(source.tree)):
        if isinstance(node, (ast.Module, *DEFINITIONS)):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield node, node.body[0].lineno, text.split()[0].strip(".,:;")


def docstrings_by_first_word(
    sources: Sequence[PythonFile], of_functions: Sequence[str], of_classes: Sequence[str], bar: int
) -> Iterator[StyleRow]:
    """Count docstrings of functions that begin with no verb, and others that begin with no noun."""
    functions: list[str] = []
    others: list[str] = []
    for source in sources:
        for node, line, word in docstrings(source):
            if not isinstance(node, FUNCTIONS):
                if word in of_classes:
                    others.append(f"{source.name}:{line} {word}")
            elif word in of_functions and not is_property(node):
                functions.append(f"{source.name}:{line} {word}")
    yield StyleRow(
        "functions whose docstring begins with no verb", len(functions), 0, tuple(functions)
    )
    yield StyleRow("classes whose docstring begins with no noun", len(others), bar, tuple(others))


def long_names_of_tests(bar: int) -> StyleRow:
    """Count names of tests that are longer than a line of a report shows."""
    places = tuple(
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path in tracked("tests/*.py")
        for name in NAME_OF_A_TEST.findall(path.read_text(encoding="utf-8"))
        if len(name) > LONGEST_NAME
    )
    return StyleRow(f"names of tests beyond {LONGEST_NAME} characters", len(places), bar, places)


def vague_verbs(words: Sequence[str], in_names: int, in_documents: int) -> Iterator[StyleRow]:
    """Count verbs that stand for any other, in names of tests and in the documentation."""
    pattern = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(words)})(?![A-Za-z])")
    names = tuple(
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path in tracked("tests/*.py")
        for name in NAME_OF_A_TEST.findall(path.read_text(encoding="utf-8"))
        if pattern.search(name)
    )
    yield StyleRow("names of tests with a vague verb", len(names), in_names, names)
    counts = Counter(
        {
            path.relative_to(ROOT).as_posix(): len(
                pattern.findall(path.read_text(encoding="utf-8"))
            )
            for path in tracked("*.md")
            if path.name != "CHANGELOG.md"
        }
    )
    yield StyleRow("vague verbs in documents", counts.total(), in_documents, listed(counts))


def read_rules() -> dict[str, Any]:
    """Return bars and words."""
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


def tell() -> Iterator[StyleRow]:
    """Yield the rows that have no bar."""
    yield from measure_sizes(read_products(), [PythonFile(path) for path in tracked("tests/*.py")])
    yield count_words()
    for added in read_rules()["added"]:
        names = files_naming(added["words"], added["apart_from"])
        yield StyleRow(f"files that name {added['what']}", len(names), places=names)


def compare_with_bars() -> Iterator[StyleRow]:
    """Yield the rows that have a bar, and what explains them."""
    rules = read_rules()
    bars = rules["bars"]
    participles = rules["participles"]
    products = read_products()
    yield from arrows_and_circles()
    yield passing_on(products)
    yield names_of_templates()
    yield long_lines([PythonFile(path) for path in tracked("*.py")])
    yield from below_definitions(products, bars["constants_between_functions"])
    yield named_by_a_participle(
        products, bars["named_by_a_participle"], lambda name: is_participle(name, **participles)
    )
    yield from docstrings_by_first_word(
        products, **rules["docstrings"], bar=bars["classes_without_a_noun"]
    )
    yield long_names_of_tests(bars["long_names_of_tests"])
    yield from vague_verbs(**rules["vague_verbs"])


def main() -> int:
    """Print the table.

    Returns:
        the exit code: 1 when a bar is missed.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="what stands behind each row")
    parser.add_argument("--judged", action="store_true", help="only the rows that have a bar")
    options = parser.parse_args()
    # To collect the garbage of so many trees would take longer than to make them.
    gc.disable()
    table = [*(() if options.judged else tell()), *compare_with_bars()]
    if options.judged:
        table = [row for row in table if not row.met]
        for row in table:
            print(f"{row.what}: {row.value:g}, at most {row.bar:g}", *row.places, sep="\n    ")
        return int(bool(table))
    print(f"{'':52} {'now':>7} {'bar':>6}")
    for row in table:
        bar = "" if row.bar is None else f" {row.bar:6g}"
        mark = "" if row.met else "   missed"
        print(f"{row.what:52} {row.value:7g}{bar}{mark}")
        if options.list or not row.met:
            for place in row.places:
                print(f"    {place}")
    return int(not all(row.met for row in table))


if __name__ == "__main__":
    sys.exit(main())
