"""The memory of an appliance at rest: agent, dashboard and gate, each in a process of its own.

    python -m benchmarks.memory [--json] [--seconds N]

The agent reads a face in pictures of a folder at 15 frames/s: neither a video decoder nor the
demonstration's own pictures (7 MB) are in it. Nobody asks the dashboard anything. The socket of the
gate is held as systemd does, so that nothing runs there at rest; what the gate takes while it is
awake is printed, and how long its first answer takes. Memory is PSS (``/proc/PID/smaps_rollup``,
10⁶ bytes): a page that several processes share is counted in parts. This benchmark, which runs the
same libraries, gives its pages back before; other programs that run them make it smaller.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2

from benchmarks._command import benchmark
from benchmarks._running import FPS, SIZE
from edge_agent.camera.demo import DemoCamera
from edge_agent.core.process import STARTED_S, give_back
from tests.support.broker import free_port

SECONDS = STARTED_S + 15
PICTURES = 3
GIVEN_AS_3 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); "
    "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
    "os.execv(sys.executable, [sys.executable, '-m', 'edge_agent', *sys.argv[2:]])"
)
"""Gives the command that follows a listening socket, as systemd does."""


def pss_mb(pid: int) -> float:
    """Return the proportional share of a process of the memory that it uses, 10⁶ bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        name, _, size = line.partition(":")
        if name == "Pss":
            return int(size.split()[0]) * 1024 / 1e6
    raise SystemExit(f"/proc/{pid}/smaps_rollup has no Pss")


@contextmanager
def service(
    words: list[str], variables: dict[str, str], given: socket.socket | None = None
) -> Iterator[int]:
    """Run a service as its unit does; yield its number. It must run until the block ends."""
    command, files = ["-m", "edge_agent", *words], []
    if given is not None:
        files = [given.fileno()]
        command = ["-c", GIVEN_AS_3, str(files[0]), *words]
    quiet = subprocess.DEVNULL
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **variables}
    with subprocess.Popen(
        [sys.executable, *command], env=environment, stdout=quiet, stderr=quiet, pass_fds=files
    ) as process:
        try:
            yield process.pid
            if process.poll() is not None:
                raise SystemExit(f"{words[0]} ended early, with {process.returncode}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def write_pictures(folder: Path) -> None:
    """Write pictures with a face that is near, far and in between."""
    folder.mkdir()
    with DemoCamera(width=SIZE[0], height=SIZE[1], fps=FPS) as camera:
        for number in range(PICTURES):
            cv2.imwrite(str(folder / f"{number}.png"), camera.picture_at(2.0 * number))


def wait_for_answer(address: Path) -> None:
    """Wait for an answer of the gate; a question without a command is answered, too."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(address))
        line.shutdown(socket.SHUT_WR)
        if not line.recv(100):
            raise SystemExit("the gate gave no answer")


def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Return the memory of each process at rest, the sum, and what the gate takes when asked."""
    write_pictures(folder / "pictures")
    place = ["--data", str(folder)]
    camera = {"SOURCE": "pictures", "FOLDER": str(folder / "pictures"), "LOOP": "true"}
    variables = {f"AFFECT_EDGE_CAMERA__{name}": value for name, value in camera.items()}
    variables["AFFECT_EDGE_CAMERA__FPS"] = str(FPS)
    # nobody listens: the outbox fills as on a day without a broker
    variables |= {"AFFECT_EDGE_MQTT__HOST": "127.0.0.1", "AFFECT_EDGE_MQTT__PORT": "1"}
    address = folder / "database.sock"
    with (
        closing(socket.socket(socket.AF_UNIX)) as given,
        service(["run", *place], variables) as agent,
        service(["dashboard", *place, "--port", str(free_port())], variables) as dashboard,
    ):
        given.bind(str(address))
        given.listen()
        time.sleep(seconds)
        give_back()  # else OpenCV's and NumPy's would count half, for they are mapped here, too
        figures = {"pss_agent_mb": pss_mb(agent), "pss_dashboard_mb": pss_mb(dashboard)}
        figures["pss_gate_mb"] = 0.0  # nothing runs there until somebody asks
        figures["pss_sum_mb"] = sum(figures.values())
        began_s = time.monotonic()
        with service(["database-gate", *place], variables, given) as gate:
            wait_for_answer(address)
            figures["gate_first_answer_s"] = time.monotonic() - began_s
            figures["pss_gate_awake_mb"] = pss_mb(gate)
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, seconds=(SECONDS, "how long they run before they are measured"))
