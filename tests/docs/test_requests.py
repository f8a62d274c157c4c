"""The requests that docs/api.md and docs/dashboard.md show are sent by curl to a real dashboard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.accounts.roles import Role
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.study.sessions import Study
from tests.docs.shell import documented_commands
from tests.support.dashboard import NAME, PASSWORD, DashboardProcess
from tests.support.security.tokens import EVERYTHING, make_token
from tests.support.vision.portraits import SERIOUS_FILE

REQUESTS = [one.text for one in documented_commands() if one.text.startswith("curl ")]
ACCOUNT = "ada"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DashboardProcess, Path]]:
    """A dashboard with an account, an open session, and the folder in which curl runs."""
    folder = tmp_path_factory.mktemp("requests")
    with DashboardProcess(folder) as dashboard:
        code = re.search(r"Setup code: (\S+)", dashboard.output)
        assert code, dashboard.output
        form = [f"code={code[1]}", f"name={NAME}", f"password={PASSWORD}"]
        words = [word for value in form for word in ("-d", value)]
        setup = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *words]
        done = subprocess.run(
            [*setup, f"{dashboard.address}/setup"], capture_output=True, text=True, check=True
        )
        assert done.stdout == "303"
        study = Study(folder / DATABASE_NAME)
        study.create_participant("P-1")
        study.give_consent("P-1", "3")
        study.start_session(NewSession("P-1", Purpose.RESEARCH))
        yield dashboard, folder


def send(text: str, dashboard: DashboardProcess, folder: Path) -> tuple[int, str]:
    """Send a request as it stands in the page, to this dashboard; return status and answer."""
    line = text.replace("http://127.0.0.1:8080", dashboard.address)
    line = line.replace("password=…", f"'password={PASSWORD}'")
    if "affect-edge-…" in line:
        line = line.replace(
            "affect-edge-…",
            make_token(folder / DATABASE_NAME, f"docs {len(line)}", EVERYTHING, Role.RESEARCHER),
        )
    line = line.replace("curl ", "curl -s -w '\\n%{http_code}' ", 1)
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, cwd=folder, timeout=30
    )
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), answer


def test_the_page_logs_in_as_the_account_that_the_test_makes() -> None:
    assert len(REQUESTS) == 6
    assert f"name={ACCOUNT}" in REQUESTS[1]
    assert NAME == ACCOUNT


@needs_curl
def test_requests_are_answered_in_their_order(place: tuple[DashboardProcess, Path]) -> None:
    dashboard, folder = place
    (folder / "face.jpg").write_bytes(SERIOUS_FILE.read_bytes())
    answers = [send(text, dashboard, folder) for text in REQUESTS]
    description, login, trends, marker, picture, vitals = answers
    assert description[0] == 200
    assert "/api/v1/vitals" in json.loads((folder / "openapi.json").read_text())["paths"]
    assert login[0] == 303
    assert (folder / "jar").exists()
    assert trends[0] == 200
    assert "start" in json.loads(trends[1])
    assert marker[0] in {200, 201}
    assert "anger" in marker[1]
    assert picture[0] == 200
    assert [face["emotion"] for face in json.loads(picture[1])["faces"]] == ["neutral"]
    assert vitals[0] == 200
    (result,) = json.loads(vitals[1])["results"]
    assert (result["id"], result["outcome"]) == (7, "taken")
