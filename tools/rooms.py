"""The rooms of docs/architecture.md, read from the source: who imports whom.

Every package lists its floors, the lowest first. A module imports from floors below its own; two
rooms on one floor do not know each other; below that, in no package do two modules or rooms import
each other in a circle.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCTS = ("affect_edge", "edge_agent", "dashboard", "training", "collector")
FLOORS: dict[str, tuple[frozenset[str], ...]] = {
    "affect_edge": (
        frozenset({"options", "output", "demo", "video_pulse"}),
        frozenset({"appliance", "backup", "study", "models", "vitals"}),
        frozenset({"access", "export", "markers"}),
        frozenset({"pictures"}),
        frozenset({"faces"}),
        frozenset({"app"}),
    ),
    "edge_agent": (
        frozenset({"core"}),
        frozenset({"config"}),
        frozenset({"camera", "vision", "vitals", "timeline"}),
        frozenset({"mqtt"}),
        frozenset({"alerts", "fleet", "live", "lsl"}),
        frozenset({"control"}),
        frozenset({"agent"}),
        frozenset({"face_reading"}),
        frozenset({"appliance"}),
        frozenset({"__main__"}),
    ),
    "edge_agent.timeline": (
        frozenset({"database"}),
        frozenset({"write"}),
        frozenset({"study", "salvage"}),
        frozenset({"read"}),
        frozenset({"export"}),
        frozenset({"upkeep"}),
        frozenset({"intake"}),
        frozenset({"gate"}),
    ),
    "dashboard": (
        frozenset({"languages"}),
        frozenset(
            {"statistics", "charts", "accounts", "protocols", "picture", "device_files", "fleet"}
            | {"backup"}
        ),
        frozenset({"analysis"}),
        frozenset({"questions"}),
        frozenset({"computing"}),
        frozenset({"export_jobs"}),
        frozenset({"web"}),
        frozenset({"commands"}),
        frozenset({"__main__"}),
    ),
    "dashboard.analysis": (
        frozenset({"query"}),
        frozenset({"windows", "choices", "conclusions", "unmet"}),
        frozenset({"planning", "preregistration", "heeded"}),
        frozenset({"results"}),
        frozenset({"readings"}),
        frozenset({"inference"}),
        frozenset({"decision"}),
        frozenset({"steps"}),
        frozenset({"analyse"}),
        frozenset({"notices"}),
        frozenset({"rendering"}),
    ),
    "dashboard.questions": (
        frozenset({"basis", "tables"}),
        frozenset({"entry"}),
        frozenset(
            path.parent.name for path in (ROOT / "dashboard/questions").glob("*/__init__.py")
        ),
        frozenset({"register"}),
    ),
    "collector": (
        frozenset({"messages"}),
        frozenset({"database", "mqtt", "amqp"}),
        frozenset({"streams", "values"}),
        frozenset({"writer"}),
        frozenset({"worker"}),
        frozenset({"__main__"}),
    ),
    "training": (
        frozenset({"errors"}),
        frozenset({"learning", "networks"}),
        frozenset({"data"}),
        frozenset({"faces"}),
        frozenset({"report"}),
        frozenset({"expression"}),
        frozenset({"commands"}),
        frozenset({"__main__"}),
    ),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for product in PRODUCTS
    for path in sorted((ROOT / product).rglob("*.py"))
}
PACKAGES = tuple(name for name, path in SOURCES.items() if path.name == "__init__.py")


def statements_in(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield every statement, wherever it stands; ``ast.walk`` looks at each name in them, too."""
    for part in ("body", "handlers", "orelse", "finalbody", "cases"):
        for node in getattr(tree, part, ()):
            if isinstance(node, ast.stmt):
                yield node
            yield from statements_in(node)


def imports_in(text: str) -> Iterator[str]:
    """Yield every module named in an import statement, wherever it stands in the text."""
    for node in statements_in(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import; name the module in full"
            base = node.module or ""
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield module if module in SOURCES else base


@cache
def all_imports() -> dict[str, set[str]]:
    """Return each module of the products and the modules that it imports; read once."""
    return {
        name: set(imports_in(path.read_text(encoding="utf-8"))) for name, path in SOURCES.items()
    }


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def child(module: str, package: str) -> str | None:
    """The room or module of ``package`` that ``module`` is or lies in."""
    if not module.startswith(f"{package}."):
        return None
    return module.removeprefix(f"{package}.").split(".")[0]


def arrows(package: str) -> dict[str, set[str]]:
    """Each child of a package and the other children that it imports from."""
    graph: dict[str, set[str]] = {}
    for module, imported in all_imports().items():
        start = child(module, package)
        if start is None:
            continue
        ends = {child(other, package) for other in imported}
        graph.setdefault(start, set()).update(end for end in ends if end not in {None, start})
    return graph


def floor_of(room: str, package: str) -> int:
    return next((number for number, floor in enumerate(FLOORS[package]) if room in floor), -1)


def wrong_arrows() -> Iterator[str]:
    """Yield every import that runs up, or sideways between two rooms of one floor."""
    for package in FLOORS:
        for start, ends in arrows(package).items():
            for end in sorted(ends):
                if floor_of(end, package) >= floor_of(start, package):
                    yield f"{package}: {start} → {end}"


def circles() -> Iterator[str]:
    """Yield, for each package with one, modules or rooms that import each other in a circle."""
    for package in PACKAGES:
        try:
            tuple(TopologicalSorter(arrows(package)).static_order())
        except CycleError as error:
            yield f"{package}: {' → '.join(error.args[1])}"
