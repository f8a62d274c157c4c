"""The programs of docs/control.md run sessions: over HTTP on a real dashboard with the token of the
page, and over a stream of markers as PsychoPy sends it.
"""

from __future__ import annotations

import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from dashboard.accounts.roles import Role
from dashboard.accounts.scopes import Scope
from edge_agent.appliance.certificate import keep_certificate
from edge_agent.store.database.schema import DATABASE_NAME
from tests.docs.pages import ROOT, blocks_of
from tests.support.dashboard import DashboardProcess
from tests.support.laboratory.psychopy_lines import MARKERS, consenting, run_lines, run_program
from tests.support.security.tokens import make_token
from tests.support.timeline import query

BLOCKS = [block.text for block in blocks_of("docs/control.md") if block.kind == "python"]
(CLIENT,) = [text for text in BLOCKS if "urllib" in text]
STAND_IN = ROOT / "tests/support/laboratory/stand_in"
"""Window, text and waiting of PsychoPy as far as the page uses them: see `make test-psychopy`."""


@pytest.mark.parametrize("with_certificate", [False, True], ids=["demonstration", "installed"])
def test_the_client_of_the_page_runs_a_session(tmp_path: Path, with_certificate: bool) -> None:
    page = (ROOT / "docs/control.md").read_text(encoding="utf-8")
    (made,) = re.findall(r"account token make (.*)", page)
    words = shlex.split(made)
    scopes = {Scope(after) for word, after in pairwise(words) if word == "--scope"}
    role = Role(words[words.index("--role") + 1])
    database = tmp_path / DATABASE_NAME
    options: tuple[str, ...] = ()
    surroundings = {}
    certificate = None
    if with_certificate:
        keep_certificate(tmp_path / "tls")
        certificate, key = tmp_path / "tls/cert.pem", tmp_path / "tls/key.pem"
        options = ("--certificate", str(certificate), "--key", str(key))
        assert "`SSL_CERT_FILE=cert.pem python3 PROGRAM.py`" in page
        surroundings["SSL_CERT_FILE"] = str(certificate)
    with DashboardProcess(tmp_path, *options, trusted=certificate) as dashboard:
        assert dashboard.address.startswith("https:") == with_certificate
        consenting(database)
        secret = make_token(database, words[0], frozenset(scopes), role)
        program = CLIENT.replace("http://127.0.0.1:8080", dashboard.address)
        program = program.replace("affect-edge-…", secret)
        run_program([sys.executable, "-W", "error"], program, surroundings)
    assert query(database, "SELECT name, ended IS NOT NULL FROM session") == [("films", 1)]
    assert query(database, "SELECT kind, label FROM marker ORDER BY id") == MARKERS


@pytest.mark.timeout(180)
def test_the_lines_for_psychopy_run_a_session(tmp_path: Path) -> None:
    pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)
    python = [sys.executable, "-W", "error"]
    assert 0.95 <= run_lines(tmp_path, python, {"PYTHONPATH": str(STAND_IN)}) < 5
