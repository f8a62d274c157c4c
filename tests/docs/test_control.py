"""The client of docs/control.md runs a session on a real dashboard, with the token of the page."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from dashboard.accounts.roles import Role
from dashboard.accounts.scopes import Scope
from edge_agent.store.database.schema import DATABASE_NAME
from edge_agent.store.study.study import Study
from tests.docs.pages import ROOT, blocks_of
from tests.support.dashboard import DashboardProcess
from tests.support.security.tokens import make_token
from tests.support.timeline import query


def test_the_client_of_the_page_runs_a_session(tmp_path: Path) -> None:
    (client,) = [block for block in blocks_of("docs/control.md") if block.kind == "python"]
    page = (ROOT / "docs/control.md").read_text(encoding="utf-8")
    (made,) = re.findall(r"account token make (.*)", page)
    words = shlex.split(made)
    scopes = {Scope(after) for word, after in pairwise(words) if word == "--scope"}
    role = Role(words[words.index("--role") + 1])
    database = tmp_path / DATABASE_NAME
    with DashboardProcess(tmp_path) as dashboard:
        study = Study(database)
        study.create_participant("P01")
        study.give_consent("P01", "3")
        secret = make_token(database, words[0], frozenset(scopes), role)
        program = client.text.replace("http://127.0.0.1:8080", dashboard.address)
        program = program.replace("affect-edge-…", secret)
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
    assert query(database, "SELECT name, ended IS NOT NULL FROM session") == [("films", 1)]
    markers = query(database, "SELECT kind, label FROM marker ORDER BY id")
    assert markers == [("stimulus_start", "anger"), ("stimulus_end", "anger")]
