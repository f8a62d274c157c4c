"""The rooms of docs/architecture.md, read from the source: who may import whom, and what may not
load at start.

Every package lists its floors, the lowest first. A module imports from floors below its own; two
rooms on one floor do not know each other; below that, in no package do two modules or rooms import
each other in a circle.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PRODUCTS = ("edge_agent", "dashboard", "training")
FLOORS: dict[str, tuple[frozenset[str], ...]] = {
    "edge_agent": (
        frozenset({"core"}),
        frozenset({"config"}),
        frozenset({"camera", "vision", "vitals", "mqtt", "store"}),
        frozenset({"runtime"}),
        frozenset({"appliance"}),
        frozenset({"demo"}),
        frozenset({"cli"}),
        frozenset({"__main__"}),
    ),
    "edge_agent.store": (
        frozenset({"database"}),
        frozenset({"write"}),
        frozenset({"study"}),
        frozenset({"read"}),
        frozenset({"quality", "export"}),
        frozenset({"upkeep"}),
    ),
    "dashboard": (
        frozenset({"statistics", "charts", "accounts", "protocols"}),
        frozenset({"analysis"}),
        frozenset({"web"}),
        frozenset({"commands"}),
        frozenset({"__main__"}),
    ),
    "training": (
        frozenset({"errors"}),
        frozenset({"files", "learning", "models"}),
        frozenset({"data"}),
        frozenset({"faces"}),
        frozenset({"measuring"}),
        frozenset({"publishing", "expression"}),
        frozenset({"commands"}),
        frozenset({"__main__"}),
    ),
}
HARDWARE_ROOMS = ("camera", "vision", "vitals", "mqtt")
"""They take the values that they need, and never the settings."""
DASHBOARD_MAY = (
    "edge_agent.core",
    "edge_agent.config",
    "edge_agent.store",
    "edge_agent.vision",
    "edge_agent.vitals.csv",
    "edge_agent.vitals.csv_columns",
    "edge_agent.runtime.live_feed",
    "edge_agent.runtime.systemd",
)
TRAINING_MAY = ("edge_agent.core", "edge_agent.vision")
HEAVY = {
    "picamera2",
    "libcamera",
    "bleak",
    "cv2",
    "ai_edge_litert",
    "tflite_runtime",
    "torch",
    "scipy",
    "numpy",
}
HEAVY |= {"pandas", "plotly", "fastapi", "uvicorn", "paho", "sqlite_utils", "skimage", "matplotlib"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for product in PRODUCTS
    for path in sorted((ROOT / product).rglob("*.py"))
}
PACKAGES = tuple(name for name, path in SOURCES.items() if path.name == "__init__.py")


def imports_in(text: str) -> Iterator[str]:
    """Yield every module named in an import statement, wherever it stands in the text."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import; name the module in full"
            base = node.module or ""
            for alias in node.names:
                module = f"{base}.{alias.name}"
                yield module if module in SOURCES else base


IMPORTS = {
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
    for module, imported in IMPORTS.items():
        start = child(module, package)
        if start is None:
            continue
        ends = {child(other, package) for other in imported}
        graph.setdefault(start, set()).update(end for end in ends if end not in {None, start})
    return graph


def floor_of(room: str, package: str) -> int:
    return next((number for number, floor in enumerate(FLOORS[package]) if room in floor), -1)


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_stands_on_a_floor(package: str) -> None:
    rooms = {room for floor in FLOORS[package] for room in floor}
    assert set(arrows(package)) == rooms


@pytest.mark.parametrize("package", FLOORS)
def test_no_arrow_runs_up_or_sideways(package: str) -> None:
    wrong = [
        f"{start} → {end}"
        for start, ends in arrows(package).items()
        for end in ends
        if floor_of(end, package) >= floor_of(start, package)
    ]
    assert not wrong, f"{package}: {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_imports_in_a_circle(package: str) -> None:
    try:
        tuple(TopologicalSorter(arrows(package)).static_order())
    except CycleError as error:
        pytest.fail(f"{package}: {' → '.join(error.args[1])}")


def test_the_hardware_rooms_take_values_and_not_the_settings() -> None:
    rooms = [f"edge_agent.{room}" for room in HARDWARE_ROOMS]
    wrong = [
        f"{module} → {other}"
        for module, imported in IMPORTS.items()
        for other in imported
        if any(within(module, room) for room in rooms) and within(other, "edge_agent.config")
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("product", "may"),
    [("edge_agent", ()), ("dashboard", DASHBOARD_MAY), ("training", TRAINING_MAY)],
)
def test_products_know_of_each_other_only_what_is_listed(
    product: str, may: tuple[str, ...]
) -> None:
    wrong = [
        f"{module} → {other}"
        for module, imported in IMPORTS.items()
        for other in imported
        if within(module, product)
        and any(within(other, foreign) for foreign in PRODUCTS if foreign != product)
        and not any(within(other, allowed) for allowed in may)
        and other != "edge_agent"
    ]
    assert not wrong


def test_a_forbidden_import_would_be_found() -> None:
    text = "def f() -> None:\n    from edge_agent.store.write import recorder\n"
    assert set(imports_in(text)) == {"edge_agent.store.write.recorder"}
    assert child("edge_agent.store.write.recorder", "edge_agent.store") == "write"
    assert floor_of("store", "edge_agent") == floor_of("camera", "edge_agent")
    assert floor_of("upkeep", "edge_agent.store") > floor_of("write", "edge_agent.store")


def test_help_loads_no_heavy_library() -> None:
    code = "import sys; sys.argv = ['affect-edge', '--help']\nfrom edge_agent.cli import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    code += f"print(sorted({HEAVY!r} & {{m.split('.')[0] for m in sys.modules}}))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.splitlines()[-1] == "[]"
