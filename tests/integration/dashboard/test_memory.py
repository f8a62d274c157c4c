"""What the dashboard loads before anybody asks for an analysis or sends a picture."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.computing.computing import Computing
from dashboard.web.app import create_app
from dashboard.web.settings import DashboardOptions
from tests.support.dashboard import set_up

SCRIPT = """
import sys
from pathlib import Path
from dashboard.web.app import create_app
from dashboard.web.settings import DashboardOptions
create_app(DashboardOptions(data=Path(sys.argv[1])))
heavy = ("scipy", "cv2", "PIL", "ai_edge_litert", "tflite_runtime")
print([name for name in heavy if name in sys.modules])
"""


def test_pages_are_served_without_the_libraries_that_only_an_analysis_or_a_picture_needs(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


ANALYSIS = """
import sys
from pathlib import Path
from tests.support.dashboard import client_of, set_up
folder = Path(sys.argv[1])
client = set_up(client_of(folder), folder)
answers = [client.get(page) for page in ("/analysis", "/plan")]
computing = client.app.state.services.computing
print([answer.status_code for answer in answers], len(computing.pids), "scipy" in sys.modules)
computing.close()
"""


def test_what_an_analysis_needs_is_loaded_by_a_process_that_ends_again(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", ANALYSIS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[200, 200] 1 False"


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


def test_a_computation_that_is_ended_from_outside_is_told_and_the_pages_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Computing()) as own:
        app = create_app(DashboardOptions(data=tmp_path), computing=own)
        client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
        set_up(client, tmp_path)
        with monkeypatch.context() as nothing_starts:
            nothing_starts.setattr(sys, "executable", "/bin/false")
            page = client.get("/analysis")
            answer = client.get("/api/v1/analysis")
        assert (page.status_code, answer.status_code) == (503, 503)
        assert "most likely because memory ran out" in page.text
        assert answer.json()["detail"].startswith("The computation was stopped from outside")
        assert client.get("/api/v1/analysis").status_code == 200
