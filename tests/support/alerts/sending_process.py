"""What sends letters or alerts, in a process of its own: it can be killed, and its disk can fail.

For each line that it reads it sends what is due, and says what keeps it from that. It kills itself
at a step: 1 before a claim, 2 after it; 3 before a message is handed over, 4 after it; 5 before its
outcome is written, 6 after it. A nursery loads once what such processes need, and forks them.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from dashboard.accounts.letters import Letters
from dashboard.web.letter_sending import LetterSender
from edge_agent.alerts.sending import AlertOptions, AlertSender, Courier
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings
from edge_agent.timeline.write.alert_log import AlertLog
from tests.support.dashboard import ComputingHere
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
        commands: connected to it.
        wait: returns its exit code, once it has ended.
    """

    def __init__(self, commands: IO[str], wait: Callable[[], int]) -> None:
        self._commands = commands
        self._wait = wait

    def look(self) -> str:
        """Have it send what is due; return what keeps it from that, empty for nothing."""
        self._commands.write("\n")
        self._commands.flush()
        line = self._commands.readline()
        if not line:
            raise EOFError(f"ended with {self._wait()}")
        return line.strip()


class Nursery:
    """A process that has loaded what sends, and starts processes that send, one after another.

    Args:
        orders: connected to it.
    """

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders

    @classmethod
    @contextmanager
    def running(cls, variables: Mapping[str, str]) -> Iterator[Nursery]:
        """Run one, with more variables of the environment."""
        ours, theirs = socket.socketpair()
        with (
            ours,
            theirs,
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.support.alerts.sending_process",
                    str(theirs.fileno()),
                ],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env={**os.environ, **variables},
            ) as process,
        ):
            theirs.close()
            try:
                yield cls(ours)
            finally:
                process.kill()

    @contextmanager
    def sending(
        self, kind: str, database: Path, port: int, log: Path, step: int = 0
    ) -> Iterator[Sending]:
        """Run one that sends, whose log goes to a file; it ends when nobody commands it."""
        codes: list[int] = []

        def wait() -> int:
            codes[:] = codes or [int(self._orders.recv(16))]
            return codes[0]

        ours, theirs = socket.socketpair()
        words = json.dumps([kind, str(database), port, step]).encode()
        with log.open("w") as errors, theirs:
            socket.send_fds(self._orders, [words], [theirs.fileno(), errors.fileno()])
        try:
            with ours, ours.makefile("rw") as commands:
                yield Sending(commands, wait)
        finally:
            wait()


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
    return letters_of(database, port, computing=ComputingHere())


def _send_on_command(
    commands: socket.socket, kind: str, database: str, port: int, step: int
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    sender = _sender(kind, Path(database), port, step)
    with commands.makefile("rw") as lines:
        for _ in lines:
            sender.look()
            print(sender.waits, file=lines, flush=True)


def main(orders: socket.socket) -> None:
    """Start a process for each order, and answer with its exit code when it has ended."""
    while True:
        words, (commands, log), _, _ = socket.recv_fds(orders, 4096, 2)
        child = os.fork()
        if not child:
            os.dup2(log, sys.stderr.fileno())
            _send_on_command(socket.socket(fileno=commands), *json.loads(words))
            return
        os.close(commands)
        os.close(log)
        _, status = os.waitpid(child, 0)
        orders.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        main(connection)
