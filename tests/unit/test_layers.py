"""The layering of docs/architecture.md, read from the source: who may import whom, and what may not load at start."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = {"edge_agent.core"}
ROOMS = {"camera", "vision", "vitals", "store", "mqtt"}
COMPOSERS = {"agent", "openers", "bench", "distributor", "doctor", "cli", "demo", "update", "__main__", "runtime"}
COMPOSERS |= {"appliance"}
BELOW_ROOMS = CORE | {"edge_agent.config"}
HEAVY = {"picamera2", "libcamera", "bleak", "cv2", "ai_edge_litert", "tflite_runtime", "torch", "scipy", "numpy"}
HEAVY |= {"pandas", "plotly", "fastapi", "uvicorn", "paho", "sqlite_utils", "skimage", "matplotlib"}
DASHBOARD_MAY = CORE | {
    "edge_agent.config",
    "edge_agent.store",
    "edge_agent.runtime.live_feed",
    "edge_agent.vision",
    "edge_agent",
}
DASHBOARD_MAY |= {"edge_agent.runtime.systemd", "edge_agent.vitals.csv", "edge_agent.vitals.csv_columns"}
TRAINING_MAY = {"edge_agent.core.domain", "edge_agent.core.errors", "edge_agent.vision", "edge_agent"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").exists()


def imported(path: Path) -> set[str]:
    """Every module named in an import statement, wherever it stands in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the module in full"
            base = node.module or ""
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names if is_module(f"{base}.{alias.name}")}
    return found


def ours(modules: set[str]) -> set[str]:
    return {m for m in modules if m.split(".")[0] in {"edge_agent", "dashboard", "training"}}


def allowed(module: str, permitted: set[str]) -> bool:
    return any(module == p or module.startswith(p + ".") for p in permitted - {"edge_agent"}) or module in permitted


def may_import(module: str) -> set[str]:
    """The modules of ours that ``module`` of edge_agent may import."""
    if module.startswith("edge_agent.core") or module == "edge_agent.config":
        return CORE
    parts = module.split(".")
    room = parts[1] if len(parts) > 1 else ""
    if room in ROOMS:
        extra = {"edge_agent.mqtt.client"} if module == "edge_agent.vitals.mqtt" else set()
        return BELOW_ROOMS | {f"edge_agent.{room}", "edge_agent"} | extra
    if room in COMPOSERS or module == "edge_agent":
        return {"edge_agent"} | {f"edge_agent.{p.stem}" for p in (ROOT / "edge_agent").iterdir()}
    return BELOW_ROOMS | {"edge_agent"}


@pytest.mark.parametrize("path", sources("edge_agent"), ids=module_name)
def test_the_agent_imports_downwards_only(path: Path) -> None:
    module = module_name(path)
    wrong = {m for m in ours(imported(path)) if not allowed(m, may_import(module))}
    assert not wrong, f"{module} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", sources("dashboard"), ids=module_name)
def test_the_dashboard_reads_the_timeline_and_never_the_agent_itself(path: Path) -> None:
    wrong = {m for m in ours(imported(path)) if m.startswith("edge_agent") and not allowed(m, DASHBOARD_MAY)}
    wrong |= {m for m in ours(imported(path)) if m.startswith("training")}
    assert not wrong, f"{module_name(path)} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", sources("training"), ids=module_name)
def test_training_uses_only_the_words_and_the_vision_of_the_agent(path: Path) -> None:
    wrong = {m for m in ours(imported(path)) if m.startswith("edge_agent") and not allowed(m, TRAINING_MAY)}
    wrong |= {m for m in ours(imported(path)) if m.startswith("dashboard")}
    assert not wrong, f"{module_name(path)} must not import {', '.join(sorted(wrong))}"


def test_a_forbidden_import_would_be_found(tmp_path: Path) -> None:
    probe = tmp_path / "probe.py"
    probe.write_text("def f() -> None:\n    from edge_agent.store import recorder\n", encoding="utf-8")
    assert not allowed("edge_agent.store.write.recorder", may_import("edge_agent.camera.demo"))
    assert "edge_agent.store" in ours(imported(probe))


def test_help_loads_no_heavy_library() -> None:
    code = "import sys; sys.argv = ['affect-edge', '--help']\nfrom edge_agent.cli import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    code += f"print(sorted({HEAVY!r} & {{m.split('.')[0] for m in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.splitlines()[-1] == "[]"
