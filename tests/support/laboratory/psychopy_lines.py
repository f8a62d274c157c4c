"""Runs the lines for PsychoPy of docs/control.md beside what listens to them on the appliance."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_agent.control.listening import MarkerStream
from edge_agent.control.orders import OrderWorker
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from tests.docs.pages import blocks_of
from tests.support.timeline import query, wait_for

MARKERS = [("stimulus_start", "anger"), ("stimulus_end", "anger")]
"""What the programs of the page set."""


def consenting(database: Path) -> Study:
    """Return a study with the participant of the page."""
    study = Study(database)
    study.create_participant("P01")
    study.give_consent("P01", "3")
    return study


def run_program(python: Sequence[str], program: str, surroundings: Mapping[str, str]) -> None:
    """Run a program of the page to its end, which must be a good one.

    Args:
        python: the command of the interpreter.
        program: its source.
        surroundings: of its environment, beside ours.
    """
    done = subprocess.run(
        [*python, "-c", program],
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr


def run_lines(folder: Path, python: Sequence[str], surroundings: Mapping[str, str]) -> float:
    """Run the lines with an appliance that listens; return the seconds between its two markers.

    Args:
        folder: for the database.
        python: the command of the interpreter that has PsychoPy, or what stands in for it.
        surroundings: of its environment, beside ours.
    """
    blocks = [block.text for block in blocks_of("docs/control.md") if block.kind == "python"]
    (lines,) = [text for text in blocks if "psychopy" in text]
    database = folder / DATABASE_NAME
    migrate(database)
    orders = OrderWorker(consenting(database))
    name = f"PsychoPy {folder.stat().st_ino}"  # no other test in this network has it
    listening = MarkerStream(name, orders, {})
    orders.start()
    listening.start()
    try:
        run_program(python, lines.replace('"PsychoPy"', repr(name)), surroundings)
        ended = "SELECT count(*) FROM session WHERE ended IS NOT NULL"
        wait_for(lambda: query(database, ended) == [(1,)])
    finally:
        for worker in (listening, orders):
            worker.stop()
            assert worker.join(60)
    assert query(database, "SELECT name FROM session") == [("films",)]
    assert query(database, "SELECT kind, label FROM marker ORDER BY id") == MARKERS
    start, end = (row[0] for row in query(database, "SELECT boot_ms FROM marker ORDER BY id"))
    return (int(end) - int(start)) / 1000
