"""Which of the first steps were taken or skipped: a row of the dashboard's table ``setting``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from edge_agent.core.texts import N_
from edge_agent.store.database.dashboard_file import read_dashboard, write_dashboard

_KEY = "first_steps"


class Step(StrEnum):
    """A step, in the order in which they are taken."""

    CAMERA = "camera"
    PRIVACY = "privacy"
    ACCOUNT = "account"
    BROKER = "broker"
    SENSORS = "sensors"


class Outcome(StrEnum):
    """How a step was left."""

    DONE = "done"
    SKIPPED = "skipped"


TITLES: Mapping[Step, str] = {
    Step.CAMERA: N_("Camera"),
    Step.PRIVACY: N_("Privacy"),
    Step.ACCOUNT: N_("A second account"),
    Step.BROKER: N_("Broker"),
    Step.SENSORS: N_("Sensors"),
}


class Progress:
    """How far the first steps of this appliance are.

    Args:
        database: the database file, already migrated.

    Example:
        >>> progress = Progress(Path("data/affect-edge.db"))
        >>> progress.begin()
        >>> progress.left(Step.CAMERA, Outcome.DONE)
        >>> progress.next_step()
        <Step.PRIVACY: 'privacy'>
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def begin(self) -> None:
        """Note that nobody has taken a step yet; what was noted before stays."""
        with write_dashboard(self._database) as connection:
            connection.execute(
                "INSERT INTO setting (key, value) VALUES (?, '{}') ON CONFLICT (key) DO NOTHING",
                (_KEY,),
            )

    def left(self, step: Step, outcome: Outcome) -> None:
        """Note how a step was left; a step once done stays done."""
        with write_dashboard(self._database) as connection:
            row = connection.execute("SELECT value FROM setting WHERE key = ?", (_KEY,)).fetchone()
            taken = _read(row[0]) if row else {}
            if taken.get(step) is not Outcome.DONE:
                taken[step] = outcome
            text = json.dumps({step.value: how.value for step, how in taken.items()})
            connection.execute(
                "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET "
                "value = ?2",
                (_KEY, text),
            )

    def taken(self) -> dict[Step, Outcome] | None:
        """Return how each step was left; ``None``: they were never begun here."""
        with read_dashboard(self._database) as connection:
            row = connection.execute("SELECT value FROM setting WHERE key = ?", (_KEY,)).fetchone()
        return None if row is None else _read(row[0])

    def next_step(self) -> Step | None:
        """Return the first step that nobody has left yet; ``None``: there is none."""
        taken = self.taken() or {}
        return next((step for step in Step if step not in taken), None)

    def is_open(self) -> bool:
        """Tell whether the steps were begun and are not all left."""
        taken = self.taken()
        return taken is not None and len(taken) < len(Step)


def _read(text: str) -> dict[Step, Outcome]:
    """Read what was noted; steps and outcomes of another version are left out."""
    known = {step.value for step in Step}
    outcomes = {outcome.value for outcome in Outcome}
    return {
        Step(name): Outcome(how)
        for name, how in json.loads(text).items()
        if name in known and how in outcomes
    }
