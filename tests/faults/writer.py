"""A process that records numbered readings until it is told to stop, or killed: see ``box.py``.

    python -m tests.faults.writer FOLDER

It is what the agent has around its database: rescue, recorder and salvage, with a camera's pace of
rows. It notes each number before it submits it, and how far it was told that rows are committed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from edge_agent.config.data import RecorderOptions
from edge_agent.core import clock
from edge_agent.core.clock import ClockWatch, Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Recognition
from edge_agent.core.process import StopRequest
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.salvage.background_copying import BackgroundCopying
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.upkeep.retention import prune
from edge_agent.timeline.write.boots import ClockCheck
from edge_agent.timeline.write.outbox import OutboxMessage
from edge_agent.timeline.write.recorder import Recorder
from tests.faults.ledger import PACE_S, SOURCE, Ledger
from tests.support.timeline import observation

ROWS_A_MESSAGE = 100
ROWS_A_FRAME = 10
ROWS_A_LOOK = 50
KEEP_DAYS = 3_650

log = logging.getLogger(__name__)


class Writer:
    """Records numbers into the database of a folder."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self._ledger = ledger
        self._path = path
        self._first = ledger.next_number()
        self._submitted = self._first - 1
        self.stopping = StopRequest()
        rescue = Rescue(path)
        rescue.before_start()
        migrate(path)
        self._copying = BackgroundCopying(rescue)
        self._recorder = Recorder(path, RecorderOptions(), safe=rescue, on_commit=self._committed)
        self._watch = ClockWatch()

    def run(self) -> int:
        """Record until stopped; return the exit code."""
        self._recorder.start()
        self._copying.start()
        number = self._first
        # Only now: on a busy machine seconds go by until here, in which nothing is sent.
        self._recorder.submit(ClockCheck(clock.now(), is_start=True))
        while not self.stopping.wait(PACE_S):
            if self._recorder.error is not None:
                log.error("the recorder ended: %s", self._recorder.error)
                return 3
            at = clock.now()
            self._ledger.note_sent(number, at)
            self._record(number, at)
            self._submitted = number
            if number % ROWS_A_LOOK == 0:
                self._look(at)
            number += 1
        self._recorder.stop()
        self._copying.stop()
        self._recorder.join(60)
        self._copying.join(60)
        return int(self._recorder.error is not None)

    def _record(self, number: int, at: Instant) -> None:
        reading = VitalReading(at, VitalKind.HEART_RATE, float(number), SOURCE, frozenset())
        self._recorder.submit(reading)
        if number % ROWS_A_FRAME == 0:
            self._recorder.submit(Recognition(at, number, 640, 480, (observation(),)))
        if number % ROWS_A_MESSAGE == 0:
            self._recorder.submit(OutboxMessage("summary", {"number": number}))

    def _look(self, at: Instant) -> None:
        if self._watch.has_changed(at):
            self._recorder.submit(ClockCheck(at))
        if self._ledger.wants_retention():
            with suppress(StoreError):  # tried again tomorrow, as by the agent
                prune(self._path, KEEP_DAYS)

    def _committed(self) -> None:
        # Read after the number: what is submitted meanwhile makes it smaller, never larger.
        submitted = self._submitted
        self._ledger.note_committed(self._first, submitted - self._recorder.queue_depth)


def main() -> int:
    """Record in the folder that is named; return the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")
    folder = Path(sys.argv[1])
    with Ledger(folder) as ledger:
        ledger.take_clocks()
        writer = Writer(ledger, folder / DATABASE_NAME)
        signal.signal(signal.SIGTERM, lambda *_: writer.stopping.set())
        return writer.run()


if __name__ == "__main__":
    os._exit(main())
