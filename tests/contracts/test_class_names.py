"""A public class has one name in the house: whoever searches for it finds one."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCTS = (
    "affect_edge",
    "benchmarks",
    "collector",
    "container",
    "dashboard",
    "edge_agent",
    "tools",
    "training",
)
TWICE = {
    "Frame": "a picture of a camera; the API’s description has it of a participant’s page",
    "Rest": "a step of a protocol; the API’s description has it of a heart rate at rest",
}
"""Name → why several classes have it."""


def named(root: Path) -> dict[str, list[str]]:
    """Return the modules of each public class by its name."""
    found = defaultdict(list)
    for top in PRODUCTS:
        for path in (root / top).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(path.relative_to(root)))
    return found


def test_public_class_has_one_name_in_the_house() -> None:
    several = {name: where for name, where in named(ROOT).items() if len(where) > 1}
    assert several.keys() == TWICE.keys(), several


def test_class_named_as_another_is_found(tmp_path: Path) -> None:
    for top in ("edge_agent", "tools"):
        (tmp_path / top).mkdir()
        (tmp_path / top / "one.py").write_text("class Part: ...\n\n\nclass _Own: ...\n")
    assert named(tmp_path) == {"Part": ["edge_agent/one.py", "tools/one.py"]}
