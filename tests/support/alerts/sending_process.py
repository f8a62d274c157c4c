"""What sends letters or alerts, in a process of its own: it can be killed, and its disk can fail.

    python -m tests.support.alerts.sending_process letters DATABASE PORT [STEP]

For each line that it reads it sends what is due, and says what keeps it from that. It kills itself
at a step: 1 before a claim, 2 after it; 3 before a message is handed over, 4 after it; 5 before its
outcome is written, 6 after it.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from dashboard.accounts.letters import Letters
from dashboard.web.letter_sending import LetterSender
from edge_agent.alerts.sending import AlertOptions, AlertSender, Courier
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings
from edge_agent.timeline.write.alert_log import AlertLog
from tests.support.letters import sender_of as letters_of

RULE = RuleSettings(name="camera", when=AlertKind.CAMERA)
WARD = "ward@example.org"
ROOT = Path(__file__).resolve().parents[3]


def alerts_of(database: Path, port: int, address: str = "") -> AlertSender:
    """Return a sender of alerts, as after a start; without an address it writes to the ward."""
    ward = f"mailto://127.0.0.1:{port}?from=edge@example.org&to={WARD}"
    table = AlertSettings(rule=(RULE,), notify_after=0, notify=(address or ward,))
    return AlertSender(AlertOptions(table, "lab"), ["camera"], AlertLog(database), (0.0,))


class Sending:
    """A process that sends on command.

    Args:
        process: of this module.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def look(self) -> str:
        """Have it send what is due; return what keeps it from that, empty for nothing."""
        self._file(self._process.stdin).write("\n")
        self._file(self._process.stdin).flush()
        line = self._file(self._process.stdout).readline()
        if not line:
            raise EOFError(f"ended with {self._process.wait()}")
        return line.strip()

    @staticmethod
    def _file(one: IO[str] | None) -> IO[str]:
        assert one is not None
        return one

    @classmethod
    @contextmanager
    def running(
        cls,
        kind: str,
        database: Path,
        port: int,
        log: Path,
        step: int = 0,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[Sending]:
        """Run one, with more variables of the environment, whose log goes to a file."""
        words = [kind, str(database), str(port), str(step)]
        with (
            log.open("w") as errors,
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.alerts.sending_process", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, **variables},
            ) as process,
        ):
            try:
                yield cls(process)
            finally:
                process.kill()


def _die_at(step: int, *methods: tuple[type, str]) -> None:
    count = itertools.count(1)

    def mark() -> None:
        if next(count) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def marked(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def run(*given: Any, **named: Any) -> Any:
            mark()
            result = method(*given, **named)
            mark()
            return result

        return run

    for owner, name in methods:
        setattr(owner, name, marked(getattr(owner, name)))


def _sender(kind: str, database: Path, port: int, step: int) -> AlertSender | LetterSender:
    if kind == "alerts":
        _die_at(step, (AlertLog, "note_delivery"), (Courier, "send"))
        return alerts_of(database, port)
    _die_at(step, (Letters, "claim"), (Courier, "send"), (Letters, "note_sent"))
    return letters_of(database, port)


def main(kind: str, database: str, port: str, step: str) -> None:
    """Send what is due for each line."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    sender = _sender(kind, Path(database), int(port), int(step))
    for _ in sys.stdin:
        sender.look()
        print(sender.waits, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
