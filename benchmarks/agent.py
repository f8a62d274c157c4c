"""What the whole agent takes at 15 frames/s, and how quick `classify` is.

    python -m benchmarks.agent [--json] [--seconds N]

The agent runs in a process of its own on a video of the demonstration without end, recording and
publishing as ever. Decoding the video is measured in the same seconds, in another process, and
taken off: a camera gives frames that need none. Processor time is given in percent of one core, and
for each frame as a multiple of what YuNet takes at 320 × 240 in the same seconds and at the same
pace, where its model is there: a percent says little of another processor, or of one that other
machines share. Threads that wait for something have figures of their own.
`classify` reads 100 pictures of 640 × 480: seconds to its first line, the quickest of three (and
its processor time until then, for machines that do other things, too), and frames per second of its
processor time after that, with decoding taken off.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from benchmarks._command import benchmark
from benchmarks._running import FPS, ROUND_S, Running, agent_on, first_message, write_demo_video
from benchmarks._shared import YUNET
from benchmarks.vision import YUNET_SIZE
from edge_agent.camera.demo import DemoCamera
from edge_agent.camera.video_files import FileCamera
from edge_agent.vision.stills import load_picture

WARM_UP_S = 10.0
PICTURES = 100
WORKING = {"capture", "vision"}
"""The threads that have something to do for each frame; all others wait."""


@dataclass(frozen=True, slots=True)
class OtherLoad:
    """What others took of the processor beside the agent, at its pace.

    Attributes:
        decoding_percent: decoding the video at 15 frames/s, of one core.
        yunet_ms: YuNet at 320 × 240 on each frame, the median; ``None`` without its model.
    """

    decoding_percent: float
    yunet_ms: float | None


def play(video: Path, seconds: float) -> OtherLoad:
    """Read the video as the agent's camera does, and look for faces by YuNet in each frame.

    A processor that has little to do is slower for each thing that it does: its clock is lower, and
    its caches hold something else. So YuNet waits between frames as the agent does.
    """
    net = cv2.FaceDetectorYN.create(str(YUNET), "", YUNET_SIZE) if YUNET.exists() else None
    cv2.setNumThreads(1)
    times_ms: list[float] = []
    with FileCamera(video, fps=FPS, loop=True) as camera:
        began = time.monotonic()
        cpu = time.process_time()
        while time.monotonic() - began < seconds:
            frame = camera.read()
            if net is not None:
                before = time.process_time()
                net.detect(cv2.resize(frame.image, YUNET_SIZE))
                times_ms.append(1000 * (time.process_time() - before))
        spent = time.process_time() - cpu - sum(times_ms) / 1000
        took = time.monotonic() - began
    return OtherLoad(100 * spent / took, statistics.median(times_ms) if times_ms else None)


def watch(agent: Running, video: Path, seconds: float) -> dict[str, float]:
    """Return processor time and memory of the agent once it has settled.

    What the machine does beside it slows the decoding and YuNet here as it slows the agent's.
    """
    time.sleep(WARM_UP_S)
    began = time.monotonic()
    cpu = agent.cpu_s
    threads = agent.threads()
    beside = play(video, seconds)
    took = time.monotonic() - began
    percent = 100 * (agent.cpu_s - cpu) / took
    waiting = [
        (spent - threads[name][0], switches - threads[name][1])
        for name, (spent, switches) in agent.threads().items()
        if name in threads and name not in WORKING
    ]
    health: dict[str, Any] = asyncio.run(first_message(agent, "health"))
    figures = {
        "agent_with_decoding_cpu_percent": percent,
        "agent_decoding_cpu_percent": beside.decoding_percent,
        "agent_cpu_percent": percent - beside.decoding_percent,
        "agent_waiting_threads_core_points": 100 * sum(spent for spent, _ in waiting) / took,
        "agent_waiting_threads_switches_per_second": sum(count for _, count in waiting) / took,
        "agent_memory_mb": agent.memory_mb,
        "agent_frames_per_second": float(health["camera"]["fps"]),
    }
    if beside.yunet_ms is not None:
        frame_ms = figures["agent_cpu_percent"] * 10 / FPS
        figures["agent_yunet_ms"] = beside.yunet_ms
        figures["agent_to_yunet"] = frame_ms / beside.yunet_ms
    return figures


def measure_agent(folder: Path, seconds: float) -> dict[str, float]:
    """Measure the agent on a video."""
    video = folder / "demo.avi"
    write_demo_video(video)
    with agent_on(video, folder) as agent:
        return watch(agent, video, seconds)


def write_pictures(folder: Path) -> list[Path]:
    """Write what the demonstration camera sees over its round, as JPEG files."""
    files = []
    with DemoCamera(width=640, height=480, fps=FPS) as camera:
        for number in range(PICTURES):
            files.append(folder / f"{number:03}.jpg")
            cv2.imwrite(str(files[-1]), camera.picture_at(number * 0.28))
    return files


@contextmanager
def classify(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``affect-edge classify`` on a folder."""
    words = [sys.executable, "-m", "edge_agent", "classify", "--json", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield process


def measure_classify(folder: Path) -> dict[str, float]:
    """Measure the time to the first line, and the rate after it."""
    files = write_pictures(folder)
    cpu = time.process_time()
    for file in files:
        load_picture(file)
    decoding = time.process_time() - cpu
    starts: list[float] = []
    for _ in range(3):
        began = time.monotonic()
        with classify(folder) as process:
            assert process.stdout is not None
            process.stdout.readline()
            starts.append(time.monotonic() - began)
            started_cpu = _cpu_of(process.pid)
            lines = process.stdout.read().splitlines()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or len(lines) != PICTURES - 1:
        raise SystemExit(
            f"classify ended with {process.returncode} after {len(lines) + 1} pictures"
        )
    reading = used.ru_utime + used.ru_stime - started_cpu - decoding * (PICTURES - 1) / PICTURES
    return {
        "classify_start_s": min(starts),
        "classify_start_cpu_s": started_cpu,
        "classify_pictures_per_second": (PICTURES - 1) / reading,
    }


def _cpu_of(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, seconds: float) -> dict[str, float]:
    """Return all figures."""
    for part in ("pictures", "agent"):
        (folder / part).mkdir()
    return measure_classify(folder / "pictures") | measure_agent(folder / "agent", seconds)


if __name__ == "__main__":
    # whole rounds: how much is read depends on the portrait
    benchmark(__doc__, measure, seconds=(2.0 * ROUND_S, "how long the agent is watched"))
