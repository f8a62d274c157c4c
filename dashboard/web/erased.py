"""The thread that carries out what erasures have left to the dashboard: its own database.

Only the dashboard's user opens that. Who erases as the agent's user leaves an order in the
timeline, which is looked at when the dashboard starts, and each minute.
"""

from __future__ import annotations

import logging
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.threads import Worker
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.upkeep.dashboard_erasure import forget_in_dashboard
from edge_agent.timeline.upkeep.unfinished import orders_since

log = logging.getLogger(__name__)

LOOK_S = 60.0


class ErasedPeople(Worker):
    """Forgets in the dashboard's database whom the timeline does not know any more.

    Args:
        database: of the timeline.
        commands: store in it that it is done.
    """

    def __init__(self, database: Path, commands: Commands) -> None:
        super().__init__("erased-people")
        self._database = database
        self._commands = commands

    def work(self) -> None:
        """Look for an order now and each minute, until stopped."""
        while True:
            try:
                self.look()
            except AffectEdgeError as error:
                log.warning("an erasure could not be finished here: %s", error)
            if self.stopping.wait(LOOK_S):
                return

    def look(self) -> None:
        """Carry out an order, if there is one.

        Raises:
            StoreError: it could not be done, or not be stored; the order stays.
        """
        if self._database.exists() and orders_since(self._database) is not None:
            self.forget()

    def forget(self) -> None:
        """Forget whom the timeline does not know any more, and store that it is done.

        Raises:
            StoreError: as ``look``.
        """
        # Before: who is erased meanwhile leaves an order of their own.
        at_ms = clock.now().wall_ms
        forget_in_dashboard(self._database)
        self._commands.note_forgotten(at_ms, actor=DASHBOARD)
