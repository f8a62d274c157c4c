"""Every way in which one thing in a module can be changed, for ``tools/mutants.py``.

mutmut says how a node of the syntax tree may be changed (``x < y`` to ``x <= y``, an argument left
out, a value replaced by ``None`` …). Two kinds of change are our own: a statement is left out, and
a key, name or state gets another text. Sentences and SQL are not changed: the ones are for people
and may be reworded, the others would only be broken.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst
import libcst.matchers as m
from mutmut.mutation.mutators import mutation_operators, operator_string

Spot = tuple[cst.CSTNode, cst.CSTNode]

_LOGGING = m.Call(func=m.Attribute(value=m.Name("log")))
_CALL = m.Expr(value=m.Call() | m.Await())
_CHANGE = m.AugAssign() | m.Assign(targets=[m.AssignTarget(target=m.Attribute() | m.Subscript())])
# Only for the type checker, run once before any test (decorators, imports), or told to people only.
_TYPES = m.Annotation() | m.Call(func=m.Name("TypeVar"))
_LEFT_ALONE = _TYPES | m.Decorator() | m.Import() | m.ImportFrom() | _LOGGING
# A text for people, and what only stops a mistake in the code around it.
_IDLE = m.Arg(keyword=m.Name("description") | m.Name("strict"))


def left_out(line: cst.SimpleStatementLine) -> Iterator[cst.SimpleStatementLine]:
    """Yield ``pass`` for a statement whose only use is its effect."""
    if len(line.body) != 1 or m.matches(line.body[0], m.Expr(value=_LOGGING)):
        return
    if m.matches(line.body[0], _CALL | _CHANGE):
        yield line.with_changes(body=[cst.Pass()])


def other_word(text: cst.SimpleString) -> Iterator[cst.SimpleString]:
    """Yield another text for one without a space: a key, a name, a state, a format."""
    value = text.evaluated_value
    if isinstance(value, str) and value and not any(character.isspace() for character in value):
        yield text.with_changes(value=repr(f"XX{value}XX"))


_OPERATORS: list[tuple[type, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    *((kind, change) for kind, change in mutation_operators if change is not operator_string),
    (cst.SimpleStatementLine, left_out),
    (cst.SimpleString, other_word),
]


def _is_idle(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """Tell whether nothing is changed (1e60 + 1 is 1e60), or only an argument of ``_IDLE``."""
    if isinstance(node, cst.Float) and isinstance(changed, cst.Float):
        return bool(node.evaluated_value == changed.evaluated_value)
    if not (isinstance(node, cst.Call) and isinstance(changed, cst.Call)):
        return False
    return any(m.matches(one, _IDLE) for one in node.args if one not in changed.args)


def _spots(node: cst.CSTNode) -> Iterator[Spot]:
    """Yield each node below this one with what may stand in its place."""
    if m.matches(node, _LEFT_ALONE | _IDLE):
        return
    for kind, change in _OPERATORS:
        if isinstance(node, kind):
            for changed in change(node):
                if not _is_idle(node, changed):
                    yield node, changed
    for child in node.children:
        yield from _spots(child)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one thing changed.

    Attributes:
        path: of the module, from the root of the project.
        code: all of the changed module.
        was: the lines that were changed, without their indentation.
        becomes: what stands in their place.
        diff: both, for people.
    """

    path: str
    code: str
    was: str
    becomes: str
    diff: str


class MutableModule:
    """A module that can be changed in ``len(source)`` ways.

    Example:
        >>> source = MutableModule(Path("."), "edge_agent/core/threads.py")
        >>> source.mutant(0).diff

    Args:
        root: of the project.
        path: of the module, from there.
    """

    def __init__(self, root: Path, path: str) -> None:
        self._path = path
        self._module = cst.parse_module((root / path).read_text(encoding="utf-8"))
        self._found = list(_spots(self._module))

    def __len__(self) -> int:
        return len(self._found)

    def mutant(self, number: int) -> Mutant:
        """Return the module with the change of this number, from 0."""
        node, changed = self._found[number]
        tree = self._module.deep_replace(node, changed)
        assert isinstance(tree, cst.Module)
        before = self._module.code.splitlines()
        lines = list(
            difflib.unified_diff(before, tree.code.splitlines(), self._path, "", "", "", 1, "")
        )
        was = (line[1:].strip() for line in lines[2:] if line.startswith("-"))
        becomes = (line[1:].strip() for line in lines[2:] if line.startswith("+"))
        return Mutant(self._path, tree.code, "\n".join(was), "\n".join(becomes), "\n".join(lines))
