"""The client of docs/control.md runs a session on a real dashboard."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from edge_agent.store.database.schema import DATABASE_NAME
from edge_agent.store.study.study import Study
from tests.docs.pages import blocks_of
from tests.support.dashboard import NAME, PASSWORD, DashboardProcess
from tests.support.timeline import query


def test_the_client_of_the_page_runs_a_session(tmp_path: Path) -> None:
    (client,) = [block for block in blocks_of("docs/control.md") if block.kind == "python"]
    with DashboardProcess(tmp_path) as dashboard:
        code = re.search(r"Setup code: (\S+)", dashboard.output)
        assert code, dashboard.output
        words = [f"code={code[1]}", f"name={NAME}", f"password={PASSWORD}"]
        data = [word for value in words for word in ("-d", value)]
        subprocess.run(["curl", "-s", *data, f"{dashboard.address}/setup"], check=True)
        database = tmp_path / DATABASE_NAME
        study = Study(database)
        study.create_participant("P01")
        study.give_consent("P01", "3")
        program = client.text.replace("http://127.0.0.1:8080", dashboard.address)
        program = program.replace("…", PASSWORD)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
        )
        assert done.returncode == 0, done.stderr
    assert query(database, "SELECT name, ended IS NOT NULL FROM session") == [("films", 1)]
    markers = query(database, "SELECT kind, label FROM marker ORDER BY id")
    assert markers == [("stimulus_start", "anger"), ("stimulus_end", "anger")]
