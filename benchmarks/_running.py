"""A running agent, measured from outside: memory, processor time of its threads, messages."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import psutil

from edge_agent.camera.demo import DemoCamera
from edge_agent.live.feed import SOCKET_NAME, live_messages

FPS = 15
ROUND_S = 28
"""Seconds in which the demonstration shows each of its portraits near and far."""
SIZE = 640, 480


def write_demo_video(path: Path, seconds: int = ROUND_S) -> None:
    """Write what the demonstration camera sees as a video file (Motion JPEG)."""
    camera = DemoCamera(width=SIZE[0], height=SIZE[1], fps=FPS)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, SIZE)
    if not writer.isOpened():
        raise SystemExit(f"{path}: this OpenCV cannot write a video")
    for number in range(seconds * FPS):
        writer.write(camera.picture_at(number / FPS))
    writer.release()
    camera.close()


@dataclass(frozen=True, slots=True)
class Running:
    """An agent that runs in a process of its own.

    Attributes:
        process: the process.
        data: its data folder.
        began_s: when it was started, monotonic clock.
    """

    process: psutil.Process
    data: Path
    began_s: float

    @property
    def memory_mb(self) -> float:
        """Resident memory, 10⁶ bytes."""
        return float(self.process.memory_info().rss) / 1e6

    @property
    def cpu_s(self) -> float:
        """Processor time so far, seconds."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def threads(self) -> dict[str, tuple[float, int]]:
        """Return processor time (seconds) and voluntary switches of each thread so far, by name."""
        threads: dict[str, tuple[float, int]] = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(OSError):  # it has ended meanwhile
                name = (task / "comm").read_text(encoding="ascii").strip()
                spent_ns = int((task / "schedstat").read_text(encoding="ascii").split()[0])
                lines = (task / "status").read_text(encoding="utf-8").splitlines()
                switches = sum(int(one.split()[1]) for one in lines if one.startswith("voluntary"))
                before = threads.get(name, (0.0, 0))
                threads[name] = before[0] + spent_ns / 1e9, before[1] + switches
        return threads


@contextmanager
def agent_on(
    video: Path | None,
    data: Path,
    command: list[str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run the agent on a video without end, until the block ends; it must then end in order.

    Args:
        video: the file; ``None``: the demonstration camera.
        data: its data folder.
        command: what is run; ``None``: the agent.
        settings: further variables, without their prefix.
    """
    camera = {"SOURCE": "opencv", "DEVICE": str(video)} if video else {"SOURCE": "demo"}
    variables = {
        **{f"CAMERA__{name}": value for name, value in camera.items()},
        "CAMERA__FPS": str(FPS),
        "CAMERA__LOOP": "true",
        "MQTT__HOST": "127.0.0.1",
        "MQTT__PORT": "1",  # nobody listens: the outbox fills as on a day without a broker
        **(settings or {}),
    }
    environment = os.environ | {f"AFFECT_EDGE_{name}": value for name, value in variables.items()}
    words = command or [sys.executable, "-m", "edge_agent", "run"]
    log = (data / "log.txt").open("w", encoding="utf-8")
    with (
        log,
        subprocess.Popen([*words, "--data", str(data)], env=environment, stderr=log) as process,
    ):
        try:
            yield Running(psutil.Process(process.pid), data, time.monotonic())
            if process.poll() is not None:
                raise SystemExit(
                    "the agent ended early:\n"
                    f"{(data / 'log.txt').read_text(encoding='utf-8')[-2000:]}"
                )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


async def first_message(agent: Running, kind: str) -> dict[str, Any]:
    """Return the next message of a kind that the agent sends to its live feed."""
    async with asyncio.timeout(60):
        async with aclosing(live_messages(agent.data / SOCKET_NAME)) as messages:
            async for message in messages:
                if message["type"] == kind:
                    return message
    raise SystemExit(f"the agent sent no message of kind {kind}")
