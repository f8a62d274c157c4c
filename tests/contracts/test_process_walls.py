"""Walls stand between processes: what each loads, started afresh, as people start it."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.agent import WITHOUT_BROKER
from tests.support.appliance import Appliance
from tests.support.broker import free_port, wait_until
from tests.support.timeline import query

LOADED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)
TELLS = {"PYTHONPROFILEIMPORTTIME": "1"}
"""Python names each module that it loads, whenever that is."""
WEB = {"fastapi", "starlette", "jinja2", "uvicorn"}
DEVICES = {"cv2", "ai_edge_litert", "bleak"}
BEHIND = {
    "edge_agent.agent.loop": WEB | {"click", "dashboard", "scipy"},
    "dashboard.web.app": DEVICES | {"numpy", "scipy", "edge_agent.agent"},
    "edge_agent.appliance.gate_commands": WEB | DEVICES | {"click", "numpy", "dashboard"},
}
"""What a module and all that it imports are without."""


def loaded_by(program: Appliance) -> set[str]:
    """Return each module that a process loaded, and the packages that it lies in."""
    names = LOADED.findall(program.said)
    assert len(names) > 300, program.said
    return {name[:end] for name in names for end in (name.find("."), len(name)) if end > 0}


@pytest.mark.parametrize("module", BEHIND)
def test_wall_of_imports_stands_around_a_process(module: str) -> None:
    command = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert BEHIND[module] & set(done.stdout.split()) == set()


def test_wall_of_agent_that_records_has_no_web(tmp_path: Path) -> None:
    with Appliance(tmp_path, WITHOUT_BROKER, environment=TELLS) as agent:
        agent.wait_for("the agent runs")
        rows = "SELECT count(*) > 2 FROM expression"
        wait_until(lambda: query(agent.database, rows) == [(1,)], "rows")
        assert agent.stop() == 0
    # click is there: the command line starts it
    assert loaded_by(agent) & (WEB | {"scipy", "dashboard.web", "bleak"}) == set()
    assert "cv2" in loaded_by(agent)


def test_wall_of_dashboard_that_answers_has_no_devices(tmp_path: Path) -> None:
    port = free_port()
    words = ("dashboard", "--port", str(port))
    with Appliance(tmp_path, {}, *words, environment=TELLS) as dashboard:
        dashboard.wait_for("Dashboard: ")
        for page in ("login", "setup", "static/js/live.js"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}") as answer:
                assert answer.status == 200
        dashboard.stop()
    assert loaded_by(dashboard) & (DEVICES | {"numpy", "scipy", "edge_agent.agent"}) == set()
    assert "fastapi" in loaded_by(dashboard)


def test_wall_of_gate_has_neither_web_nor_numbers(tmp_path: Path) -> None:
    words = ("database-gate", "--socket", str(tmp_path / "gate.sock"))
    with Appliance(tmp_path, {}, *words, environment=TELLS) as gate:
        wait_until((tmp_path / "gate.sock").exists, "a socket")
        gate.stop()
    assert loaded_by(gate) & (WEB | DEVICES | {"numpy", "scipy"}) == set()
