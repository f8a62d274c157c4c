"""A client that a foreign generator makes of the API's description: complete, and as documented."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openapi_python_client", reason="the dev extra is not installed")

from dashboard.accounts.roles import Role
from dashboard.web.options import DashboardOptions
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.study.sessions import Study
from tests.docs.pages import blocks_of, text_of
from tests.support.dashboard import DashboardProcess, consenting
from tests.support.security.tokens import EVERYTHING, bearer, make_token


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[DashboardProcess, str, Study]]:
    """A dashboard, the secret of a token that may everything, and a session that is open."""
    database = DashboardOptions(data=tmp_path).database
    with DashboardProcess(tmp_path) as process:
        study = consenting(database)
        study.start_session(NewSession("P-01", Purpose.RESEARCH))
        secret = make_token(database, "client", EVERYTHING, Role.ADMINISTRATOR)
        yield process, secret, study


def test_every_operation_is_generated_and_documented_example_sets_a_marker(
    running: tuple[DashboardProcess, str, Study],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, secret, study = running
    description = f"{process.address}/api/v1/openapi.json"
    request = urllib.request.Request(description, headers=bearer(secret))
    with urllib.request.urlopen(request) as answer:
        document: dict[str, Any] = json.load(answer)
    described = {
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    }
    assert f" {len(described)} operations," in text_of("docs/api.md")

    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(document))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls ruff
    words = "generate --fail-on-warning --meta none --path openapi.json --output-path made_client"
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *words.split()],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "arning" not in said, said
    made = {module.stem for module in folder.glob("made_client/api/*/*.py")}
    assert made - {"__init__"} == described

    (block,) = [one for one in blocks_of("docs/api.md") if one.kind == "python"]
    text = block.text.replace("affect_edge_client", "made_client")
    text = text.replace("http://127.0.0.1:8080", process.address)
    text = text.replace("affect-edge-…", secret)
    monkeypatch.syspath_prepend(folder)
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["answer"].status_code == 201
    session = study.open_session()
    assert session is not None and len(study.markers(session.id)) == 1
