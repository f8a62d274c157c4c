"""The measure of the house: each row beside its bar; sizes have none, they are told and not chased.

python -m tools.style            the table; ends with 1 when a row misses its bar
python -m tools.style --list     what stands behind each row, file by file
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tools import rooms

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "tools" / "style.toml"
COLUMNS = 100
PARAMETERS = 6
FOLDER = 20
FEWEST = 2
FACES = ("affect_edge/__init__.py", "edge_agent/__main__.py")
"""Modules that installers and people name."""
PASSING = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign)
VAGUE = ("What", "Who", "That", "Where", "Whether", "How", "Which")
PRODUCTS = ("affect_edge", "edge_agent", "dashboard", "training", "collector")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what is counted.
        value: the count, or the rate in 1,000 lines.
        bar: the most that is allowed; ``None``: it is told alone.
        places: what was counted, each with its place.
        at_least: whether the bar is the least that is wanted instead.
    """

    what: str
    value: float
    bar: float | None = None
    places: tuple[str, ...] = ()
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Tell whether the bar is met."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.at_least else self.value <= self.bar


class Source:
    """One Python file: its lines and its syntax tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.relative_to(ROOT).as_posix()
        self.lines = path.read_text(encoding="utf-8").splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse("\n".join(self.lines))

    @property
    def is_product(self) -> bool:
        """Whether it is shipped, and not a test, a tool or a benchmark."""
        return self.name.split("/")[0] in PRODUCTS


def tracked(*patterns: str) -> list[Path]:
    """Return the files under version control that match; without git, all files that match."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        return sorted(path for pattern in patterns for path in ROOT.rglob(pattern))
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def code_lines(source: Source) -> int:
    """Count the lines of a file that are neither blank, comment nor docstring."""
    documentation: set[int] = set()
    for node in ast.walk(source.tree):
        # also the string below an attribute or a constant, which documents it
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        number not in documentation and bool(line.strip()) and not line.lstrip().startswith("#")
        for number, line in enumerate(source.lines, 1)
    )


def import_lines(source: Source) -> int:
    """Count the lines of a file's import statements."""
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    )


def size(sources: Sequence[Source]) -> Iterator[Row]:
    """Measure how much there is to know: lines, modules, folders."""
    products = [source for source in sources if source.is_product]
    rooms_of = Counter(source.name.split("/")[0] for source in products)
    # a script that is handed out with data is in no package
    modules = [
        source
        for source in products
        if source.path.name != "__init__.py" and source.path.with_name("__init__.py").exists()
    ]
    yield Row("lines of code", sum(map(code_lines, products)))
    yield Row("modules", len(modules), 450, tuple(f"{n}: {c}" for n, c in rooms_of.items()))
    folders = Counter(source.path.parent for source in modules)
    small = [folder for folder, number in folders.items() if number < FEWEST]
    yield Row("folders of one module", len(small), 0, tuple(map(str, small)))
    names = tuple(f"{one.relative_to(ROOT)}: {n}" for one, n in folders.most_common(5))
    yield Row("modules in the fullest folder", max(folders.values()), FOLDER, names)
    lines = sum(len(source.lines) for source in products)
    share = round(100 * sum(map(import_lines, products)) / lines, 1)
    yield Row("lines of imports, per cent", share)
    tests = sum(
        bool(line.strip())
        for source in sources
        if source.name.startswith("tests/")
        for line in source.lines
    )
    yield Row("lines of tests that are not blank", tests)


def passing_on(sources: Sequence[Source]) -> Row:
    """Count modules that only pass on what others define."""
    places = tuple(
        source.name
        for source in sources
        if source.is_product and source.name not in FACES
        if source.tree.body
        and any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in source.tree.body)
        and all(isinstance(node, PASSING) for node in source.tree.body)
    )
    return Row("modules that only pass on", len(places), 0, places)


def arrows_and_circles() -> Iterator[Row]:
    """Count imports that run up or sideways between rooms, and circles."""
    wrong = tuple(rooms.wrong_arrows())
    yield Row("arrows between rooms that run up", len(wrong), 0, wrong)
    circles = tuple(rooms.circles())
    yield Row("circles of imports", len(circles), 0, circles)


def long_lines(sources: Sequence[Source]) -> Row:
    """Count lines beyond 100 columns; a comment for a tool at a line's end does not count."""
    places = tuple(
        f"{source.name}:{number}"
        for source in sources
        for number, line in enumerate(source.lines, 1)
        if len(line.split("  # noqa")[0].split("  # type: ignore")[0]) > COLUMNS
    )
    return Row(f"lines beyond {COLUMNS} columns", len(places), 0, places)


def rate(
    sources: Sequence[Source], what: str, bar: float, is_one: Callable[[ast.AST], bool]
) -> Row:
    """Count nodes of the syntax tree in 1,000 lines of the products."""
    products = [source for source in sources if source.is_product]
    numbers = {
        source.name: sum(is_one(node) for node in ast.walk(source.tree)) for source in products
    }
    lines = sum(len(source.lines) for source in products)
    value = round(1000 * sum(numbers.values()) / lines, 1)
    places = tuple(f"{name}: {number}" for name, number in Counter(numbers).most_common(10))
    return Row(f"{what} in 1,000 lines", value, bar, places)


def is_tuple_assignment(node: ast.AST) -> bool:
    """Whether several values are assigned in one statement."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and any(isinstance(target, ast.Tuple) for target in node.targets)
    )


def is_conditional_expression(node: ast.AST) -> bool:
    """Whether it is ``a if b else c``."""
    return isinstance(node, ast.IfExp)


def parameters_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of a function's parameters; ``self`` and ``cls`` are none."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    own = names[:1] in (["self"], ["cls"])
    return len(names) - own + (given.vararg is not None) + (given.kwarg is not None)


def many_parameters(sources: Sequence[Source]) -> Row:
    """Count functions with more parameters than six; a command's options are parameters, too."""
    places = tuple(
        f"{source.name}:{node.lineno} {node.name} ({parameters_of(node)})"
        for source in sources
        if source.is_product
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if parameters_of(node) > PARAMETERS
    )
    return Row(f"functions with more than {PARAMETERS} parameters", len(places), 8, places)


def vague_docstrings(sources: Sequence[Source]) -> Row:
    """Count docstrings whose first word makes the reader wait for the subject."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    numbers = Counter(
        source.name
        for source in sources
        if source.is_product
        for node in ast.walk(source.tree)
        if isinstance(node, documented)
        if (ast.get_docstring(node) or "-").split(maxsplit=1)[0] in VAGUE
    )
    places = tuple(f"{name}: {number}" for name, number in numbers.most_common(10))
    return Row("docstrings that begin with What, Who, That …", numbers.total(), 40, places)


def comments(sources: Sequence[Source]) -> Row:
    """Count comment lines in 1,000 lines of the products."""
    lines = [line for source in sources if source.is_product for line in source.lines]
    number = sum(line.lstrip().startswith("#") for line in lines)
    share = round(1000 * number / len(lines), 1)
    return Row("comment lines in 1,000 lines", share, 15, at_least=True)


def documentation() -> Row:
    """Count the words of the documentation; the cards of the models are apart."""
    counts = Counter(
        {
            path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").split())
            for path in tracked("*.md")
            if "docs/models" not in path.as_posix()
        }
    )
    places = tuple(f"{name}: {number}" for name, number in counts.most_common(10))
    return Row("words of documentation", counts.total(), places=places)


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


def measure() -> list[Row]:
    """Return the rows of the table."""
    rules = tomllib.loads(RULES.read_text(encoding="utf-8"))
    sources = [Source(path) for path in tracked("*.py")]
    table = [
        *size(sources),
        passing_on(sources),
        *arrows_and_circles(),
        long_lines(sources),
        rate(sources, "tuple assignments", 2, is_tuple_assignment),
        rate(sources, "conditional expressions", 10, is_conditional_expression),
        many_parameters(sources),
        vague_docstrings(sources),
        comments(sources),
        documentation(),
    ]
    for added in rules["added"]:
        names = files_naming(added["words"], added["apart_from"])
        table.append(Row(f"files that name {added['what']}", len(names), added["bar"], names))
    return table


def main() -> int:
    """Print the table.

    Returns:
        the exit code: 1 when a bar is missed.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="what stands behind each row")
    options = parser.parse_args()
    table = measure()
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
