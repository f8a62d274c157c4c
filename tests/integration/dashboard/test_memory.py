"""What the dashboard loads before anybody asks for an analysis or sends a picture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from functools import reduce
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard.computing.processes import Computing
from dashboard.web.app import create_app
from dashboard.web.options import DashboardOptions
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.golden.project import routes
from tests.support.dashboard import client_of, set_up

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    *("numpy", "scipy", "cv2", "PIL", "ai_edge_litert", "tflite_runtime"),
    *("zxcvbn", "sqlite_utils", "pydantic_settings", "pydantic.v1"),
)
VISITED = f"""
import sys
from pathlib import Path
import dashboard.__main__
import dashboard.web.server
from tests.support.dashboard import client_of, services_of, set_up
folder, *pages = sys.argv[1:]
client = set_up(client_of(Path(folder)), Path(folder))
print([page for page in pages if client.get(page).status_code >= 500])
print([name for name in {HEAVY} if sys.modules.get(name)], len(services_of(client).computing.pids))
services_of(client).computing.close()
"""
LEFT_OUT = ("/api/v1/live", "/api/v1/protocol/events", "/api/v1/export", "/export/download")
"""Streams, which have no end, and exports, for which the dashboard reads with NumPy itself."""


def printed_by(script: str, folder: Path, *words: str) -> list[str]:
    command = [sys.executable, "-c", script, str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.splitlines()


def test_pages_are_served_without_libraries_of_analysis_and_pictures(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_NAME
    migrate(database)
    seed_example_study(database, SimulatedPerson, seed=1)
    session = Reader(database).session_list()[0]
    known = {"{number}": str(session.id), "{code}": session.participant}
    pages = []
    for method, address in routes(cast("FastAPI", client_of(tmp_path).app)):
        page = reduce(lambda so_far, one: so_far.replace(*one), known.items(), address)
        if method == "GET" and "{" not in page and not page.startswith(LEFT_OUT):
            pages.append(page)
    assert {"/", f"/study/sessions/{session.id}", "/trends", "/analysis", "/plan"} <= set(pages)
    refused, loaded = printed_by(VISITED, tmp_path, *pages)
    assert (refused, loaded) == ("[]", "[] 1"), "a password was chosen, and sessions were judged"


TRANSLATED = """
import gc, psutil
from dashboard.web.rendering import make_templates
templates = make_templates(()).env
templates.get_template("login.html")
gc.collect()
before = psutil.Process().memory_info().rss
kept = templates.get_template("analysis.html")
gc.collect()
print((psutil.Process().memory_info().rss - before) / 1e6)
"""


def test_the_memory_in_which_a_long_page_is_translated_is_given_back() -> None:
    """It stayed with the heap before: 9 MB for this page alone."""
    command = [sys.executable, "-c", TRANSLATED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 4


def test_a_computation_that_is_ended_from_outside_is_told_and_pages_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Computing()) as own:
        app = create_app(DashboardOptions(data=tmp_path), computing=own)
        client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
        set_up(client, tmp_path)
        for pid in own.pids:  # the one that judged the password
            os.kill(pid, signal.SIGKILL)
        with monkeypatch.context() as nothing_starts:
            nothing_starts.setattr(sys, "executable", "/bin/false")
            page = client.get("/analysis")
            answer = client.get("/api/v1/analysis")
        assert (page.status_code, answer.status_code) == (503, 503)
        assert "most likely because memory ran out" in page.text
        assert answer.json()["detail"].startswith("The computation was stopped from outside")
        assert client.get("/api/v1/analysis").status_code == 200
