"""The names that templates ask for, beside those that the records of their pages have.

A record is a class below ``PageRecord`` that names its template; it is found in the source, so that
nothing of the dashboard is loaded.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, nodes
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from dashboard.languages.templates import TextBlocks

ROOT = Path(__file__).resolve().parents[1]
EVERYWHERE = "EveryPage"
GLOBALS = "environment.globals.update"
OF_STARLETTE = {"request", "url_for"}


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its template, empty where it has none; its names; the records beside it."""

    template: str
    names: frozenset[str]
    beside: tuple[str, ...]


def records_in(tree: ast.Module) -> dict[str, Record]:
    """Return the records of a module by their names."""
    records = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "PageRecord" for base in node.bases
        ):
            constants = {
                target.id: one.value
                for one in node.body
                if isinstance(one, ast.Assign)
                for target in one.targets
                if isinstance(target, ast.Name)
            }
            template = constants.get("template")
            beside = constants.get("beside")
            records[node.name] = Record(
                str(template.value) if isinstance(template, ast.Constant) else "",
                frozenset(
                    one.target.id
                    for one in node.body
                    if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
                ),
                tuple(one.id for one in ast.walk(beside) if isinstance(one, ast.Name))
                if beside
                else (),
            )
    return records


def globals_in(tree: ast.Module) -> set[str]:
    """Return the names that a module adds to the globals of the templates."""
    return {
        str(keyword.arg)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == GLOBALS
        for keyword in node.keywords
    }


@cache
def _environment() -> Environment:
    return Environment(extensions=[TextBlocks], autoescape=True)  # nothing is rendered by it


def _family(template: str, sources: Mapping[str, str]) -> dict[str, nodes.Template]:
    """Return the tree of a template, and those of what it extends, includes and imports."""
    environment = _environment()
    trees: dict[str, nodes.Template] = {}
    names = [template]
    while names:
        name = names.pop()
        if name not in trees:
            trees[name] = environment.parse(sources[name])
            names += filter(None, find_referenced_templates(trees[name]))
    return trees


def _set_in(tree: nodes.Template) -> Iterator[str]:
    """Yield each name that a template sets, defines as a macro, imports, or can do without."""
    yield from (one.name for one in tree.find_all(nodes.Name) if one.ctx != "load")
    yield from (one.name for one in tree.find_all(nodes.Macro))
    yield from (one.target for one in tree.find_all(nodes.Import))
    for test in tree.find_all(nodes.Test):
        if test.name == "defined" and isinstance(test.node, nodes.Name):
            yield test.node.name
    for statement in tree.find_all(nodes.FromImport):
        yield from (one if isinstance(one, str) else one[1] for one in statement.names)


def asked_for(template: str, sources: Mapping[str, str]) -> set[str]:
    """Return the names that a template, and what it extends and includes, asks for and that none
    of them sets.

    Args:
        template: its name.
        sources: text of each template by name.
    """
    environment = _environment()
    names: set[str] = set()
    set_there: set[str] = set()
    for tree in _family(template, sources).values():
        for node in tree.find_all(nodes.Filter):  # which of them there are is not asked here
            environment.filters.setdefault(node.name, str.strip)
        names |= find_undeclared_variables(tree)
        set_there.update(_set_in(tree))
    return names - set_there


def missing_names(root: Path = ROOT) -> Iterator[str]:
    """Yield each name that a template asks for and that none of its records has."""
    dashboard = root / "dashboard"
    sources = {path.name: path.read_text(encoding="utf-8") for path in dashboard.rglob("*.html")}
    known: dict[str, Record] = {}
    shared = OF_STARLETTE | set(DEFAULT_NAMESPACE) | set(_environment().globals)
    for path in dashboard.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "PageRecord" in text or GLOBALS in text:
            tree = ast.parse(text)
            known |= records_in(tree)
            shared |= globals_in(tree)
    shared |= known[EVERYWHERE].names
    for name, record in sorted(known.items()):
        if record.template:
            given = record.names.union(shared, *(known[one].names for one in record.beside))
            for lacking in sorted(asked_for(record.template, sources) - given):
                yield f"{record.template}: {lacking} (no field of {name})"
