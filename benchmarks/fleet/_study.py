"""The same study in the file of a device and in PostgreSQL: how many answers differ."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import psycopg

from benchmarks._command import Figures, say
from dashboard.__main__ import main as dashboard
from tests.support.fleet.postgres import running_postgres
from tests.support.fleet.studies_there import collect, other_device, studied_device

QUESTIONS = (
    ("--json",),
    ("--json", "--sample", "example"),
    ("--json", "--sample", "example", "--state", "observed"),
    ("--json", "--sample", "example", "--state", "reported"),
    ("--json", "--group", "sex"),
    ("--print-flow", "--sample", "example"),
    ("--print-tables", "--sample", "example"),
)
"""Options of ``affect-edge analyse``; the tests ask with the same ones and with others."""


def compare_studies(folder: Path) -> Figures:
    """Ask everything twice, and count the answers that are not the same to the last digit.

    Args:
        folder: an empty one, for the databases of two devices.
    """
    say("a study on a device and in PostgreSQL …")
    here = studied_device(folder)
    with running_postgres() as postgres:
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            collect(connection, {"room": here, "hall": other_device(folder / "other")})
        source = ("--source", postgres.address, "--device", "room")
        pairs = [(_answer(here, *words), _answer(here, *source, *words)) for words in QUESTIONS]
    return {
        "fleet_study_answers": len(pairs),
        "fleet_study_answers_that_differ": sum(own != theirs for own, theirs in pairs),
    }


def _answer(device: Path, *words: str) -> str:
    """Return what ``affect-edge analyse`` prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = dashboard(["analyse", "--data", str(device.parent), *words])
    if code != 0 or not printed.getvalue():
        raise RuntimeError(f"affect-edge analyse {' '.join(words)} ended with {code}")
    return printed.getvalue()
