"""What the whole agent takes at 15 frames/s, and how quick `classify` is.

    python -m benchmarks.agent [--json] [--seconds N]

The agent runs in a process of its own on a video of the demonstration without end, recording and
publishing as ever. Decoding the video is measured in the same seconds, in another process, and
taken off: a camera gives frames that need none. Processor time is given in percent of one core, and
for each frame as a multiple of what YuNet takes at 320 × 240 in the same run, where its model is
there: a percent says little of another processor, or of one that other machines share.
`classify` reads 100 pictures of 640 × 480: seconds to its first line, the quickest of three (and
its processor time until then, for machines that do other things, too), and frames per second of its
processor time after that, with decoding taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from benchmarks._running import FPS, Running, agent_on, first_message, write_demo_video
from benchmarks.vision import YUNET, measure, portrait, yunet
from edge_agent.camera.demo import DemoCamera
from edge_agent.camera.file import FileCamera
from edge_agent.vision.stills.pictures import load_picture

WARM_UP_S = 10.0
YUNET_ROUNDS = 10
PICTURES = 100


def decoding_percent(video: Path, seconds: float) -> float:
    """Return what decoding the video at 15 frames/s takes, in percent of one core."""
    with FileCamera(video, fps=FPS, loop=True) as camera:
        began = time.monotonic()
        cpu = time.process_time()
        while time.monotonic() - began < seconds:
            camera.read()
        return 100 * (time.process_time() - cpu) / (time.monotonic() - began)


def to_yunet(percent: float, yunet_ms: float) -> float:
    """Return processor time for each frame over that of YuNet.

    Args:
        percent: of one core, at 15 frames/s.
        yunet_ms: what YuNet takes at 320 × 240.
    """
    return percent / 100 * 1000 / FPS / yunet_ms


def yunet_ms() -> float:
    """Return the median time of YuNet on one core, milliseconds."""
    cv2.setNumThreads(1)
    (times,) = measure(yunet(YUNET, portrait(640, 480)), YUNET_ROUNDS).values()
    return statistics.median(times)


def watch(agent: Running, video: Path, seconds: float) -> dict[str, float]:
    """Return processor time and memory of the agent once it has settled.

    What the machine does beside it slows the decoding here as it slows the agent's.
    """
    time.sleep(WARM_UP_S)
    began = time.monotonic()
    cpu = agent.cpu_s
    decoding = decoding_percent(video, seconds)
    percent = 100 * (agent.cpu_s - cpu) / (time.monotonic() - began)
    health: dict[str, Any] = asyncio.run(first_message(agent, "health"))
    return {
        "agent_with_decoding_cpu_percent": percent,
        "agent_decoding_cpu_percent": decoding,
        "agent_cpu_percent": percent - decoding,
        "agent_memory_mb": agent.memory_mb,
        "agent_frames_per_second": float(health["camera"]["fps"]),
    }


def measure_agent(folder: Path, seconds: float) -> dict[str, float]:
    """Measure the agent on a video."""
    video = folder / "demo.avi"
    write_demo_video(video)
    with agent_on(video, folder) as agent:
        figures = watch(agent, video, seconds)
    if YUNET.exists():
        figures["agent_to_yunet"] = to_yunet(figures["agent_cpu_percent"], yunet_ms())
    return figures


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object as the last line"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the agent is watched")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        figures = measure_classify(Path(one)) | measure_agent(Path(other), options.seconds)
    if options.json:
        print(json.dumps({figure: round(value, 3) for figure, value in figures.items()}))
        return
    for figure, value in figures.items():
        print(f"{figure:36} {value:8.2f}")


if __name__ == "__main__":
    main()
