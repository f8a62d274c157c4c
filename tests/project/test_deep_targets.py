"""The targets beyond `make test`: what they need, and what is kept of a green run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.appliance.kept_apart import STUDY
from tests.support.timeline import query

ROOT = Path(__file__).resolve().parents[2]
ONLY_HERE = ("pytest", "hypothesis", "psycopg", "playwright")
"""Packages of the tests, which an installed appliance does not have."""


def test_study_on_an_installed_machine_needs_no_package_of_the_tests(tmp_path: Path) -> None:
    away = f"import sys; sys.modules.update(dict.fromkeys({ONLY_HERE}))"
    script = f"{away}\n{STUDY.replace('DATABASE', str(tmp_path / 'made.db'))}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, timeout=120)
    assert query(tmp_path / "made.db", "SELECT count(*) FROM session") == [(4,)]
