"""The programs of docs/control.md run sessions: over HTTP on a real dashboard with the token of the
page, in Python and in C#, and over a stream of markers as PsychoPy sends it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from dashboard.accounts.roles import Role, Scope
from edge_agent.appliance.certificates import keep_certificate
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.docs.pages import ROOT, blocks_of
from tests.support.dashboard import DashboardProcess
from tests.support.laboratory.psychopy_lines import MARKERS, consenting, run_lines, run_program
from tests.support.security.tokens import make_token
from tests.support.timeline import query

BLOCKS = [block.text for block in blocks_of("docs/control.md") if block.kind == "python"]
(CLIENT,) = [text for text in BLOCKS if "urllib" in text]
(CSHARP,) = [block.text for block in blocks_of("docs/control.md") if block.kind == "csharp"]
STAND_IN = ROOT / "tests/support/laboratory/stand_in"
"""Window, text and waiting of PsychoPy as far as the page uses them: see `make test-psychopy`."""


@pytest.mark.parametrize(
    "with_certificate",
    [
        pytest.param(False, id="demonstration", marks=pytest.mark.deep),
        pytest.param(True, id="installed"),
    ],
)
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


@pytest.mark.deep
@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("mcs") is None, reason="apt install mono-mcs mono-runtime")
def test_the_class_for_unity_runs_a_session(tmp_path: Path) -> None:
    page = (ROOT / "docs/control.md").read_text(encoding="utf-8")
    calls = re.findall(r"`(await Appliance\..*?;)`", page)
    assert len(calls) == 4
    scopes = frozenset({Scope.CONTROL, Scope.MARKERS})
    with DashboardProcess(tmp_path) as dashboard:
        consenting(tmp_path / DATABASE_NAME)
        secret = make_token(tmp_path / DATABASE_NAME, "unity", scopes, Role.OPERATOR)
        text = CSHARP.replace("http://127.0.0.1:8080", dashboard.address)
        (tmp_path / "Appliance.cs").write_text(text.replace("affect-edge-…", secret), "utf-8")
        body = "\n".join(calls)
        (tmp_path / "Program.cs").write_text(
            "using System.Threading.Tasks;\nclass Program {\n"
            f"static async Task Run() {{\n{body}\n}}\n"
            "static void Main() { Run().GetAwaiter().GetResult(); }\n}\n",
            encoding="utf-8",
        )
        made = "mcs -warnaserror -r:System.Net.Http.dll -out:program.exe Appliance.cs Program.cs"
        for command in (made, "mono program.exe"):
            done = subprocess.run(
                command.split(), cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
    database = tmp_path / DATABASE_NAME
    assert query(database, "SELECT name, ended IS NOT NULL FROM session") == [("films", 1)]
    assert query(database, "SELECT kind, label FROM marker ORDER BY id") == MARKERS


@pytest.mark.timeout(180)
def test_the_lines_for_psychopy_run_a_session(tmp_path: Path) -> None:
    pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)
    python = [sys.executable, "-W", "error"]
    assert run_lines(tmp_path, python, {"PYTHONPATH": str(STAND_IN)}) >= 0.95
