"""A file is imported in one way, whether a page, the gate or a command brings it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.rooms import ROOT, SOURCES, all_imports

BUILDER = "edge_agent.appliance.gate_commands"
BUILT = {
    "Commands": {
        "home": "edge_agent.timeline.gate.commands",
        BUILDER: "builds them from the configuration",
    },
    "ImportOptions": {
        "home": "edge_agent.timeline.intake.cells",
        BUILDER: "builds them from the configuration",
        "edge_agent.timeline.intake.sent_files": "adds what a person chose",
        "edge_agent.timeline.gate.commands": "has defaults, which a builder replaces",
        "dashboard.commands.analyse_bundle": "computes a bundle again, and keeps nothing",
    },
}
"""Class → the module that defines it, and those that may build one, with the reason."""


def built_in(path: Path, name: str, home: str) -> Iterator[int]:
    """Yield the lines in which a module builds a class of another one, under whatever name."""
    tree = ast.parse(path.read_text("utf-8"))
    known = {home} if path == SOURCES[home] else set()
    names = {name} if known else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == home:
            names |= {one.asname or one.name for one in node.names if one.name == name}
        if isinstance(node, ast.ImportFrom) and f"{node.module}.{home.rpartition('.')[2]}" == home:
            known |= {one.asname or one.name for one in node.names if home.endswith(one.name)}
        if isinstance(node, ast.Import):
            known |= {one.asname or one.name for one in node.names if one.name == home}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        # also ``partial(Commands, …)``, which builds one later
        for called in (node.func, *node.args):
            is_name = isinstance(called, ast.Name) and called.id in names
            is_part = isinstance(called, ast.Attribute) and called.attr == name
            if is_name or (is_part and ast.unparse(called.value) in known):
                yield node.lineno


def test_what_changes_the_timeline_is_built_in_one_place() -> None:
    for name, allowed in BUILT.items():
        found = {
            module
            for module in all_imports()
            for _ in built_in(SOURCES[module], name, allowed["home"])
        }
        assert found <= allowed.keys(), name
        assert BUILDER in found


def test_builder_elsewhere_would_be_found(tmp_path: Path) -> None:
    home = BUILT["Commands"]["home"]
    for number, text in enumerate(
        (
            f"from {home} import Commands\nCommands(1)",
            f"from {home} import Commands as Changes\nx = [Changes(1)]",
            f"def f():\n    from {home} import Commands\n    return partial(Commands, 1)",
            "from edge_agent.timeline.gate import commands\ncommands.Commands(1)",
            f"import {home}\n{home}.Commands(1)",
        )
    ):
        path = tmp_path / f"{number}.py"
        path.write_text(text)
        assert list(built_in(path, "Commands", home)), text
    other = tmp_path / "other.py"
    other.write_text("from edge_agent.mqtt.incoming import Commands\nCommands(1)")
    assert not list(built_in(other, "Commands", home))


def test_labels_of_imported_faces_need_no_library_of_pictures() -> None:
    code = f"""
import sys
from edge_agent.config.settings import Settings
from {BUILDER} import import_options
vision = Settings().vision
options = import_options(purposes=(), keep_days=1, vision=vision)
assert "as the agent does" in options.labels().sentence
print(sorted({{"numpy", "cv2", "edge_agent.vision.classifier"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
