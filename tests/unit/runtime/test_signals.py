"""A signal may come at any moment, also while the same thread waits for it."""

from __future__ import annotations

import subprocess
import sys

DEADLINE_S = 60
_PROGRAM = """
import signal
from edge_agent.core.process import StopRequest

def strike(*_):
    request.set()

signal.signal(signal.SIGALRM, strike)
for number in range(500):
    request = StopRequest()
    signal.setitimer(signal.ITIMER_REAL, 0.00002 + number % 50 * 0.000002)
    while not request.wait(0.00001):
        pass
"""


def test_a_signal_that_comes_while_it_is_waited_for_never_stops_the_program() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], timeout=DEADLINE_S, check=False)
    assert done.returncode == 0
