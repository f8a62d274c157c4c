"""Whether a long video is read in constant memory, and faster than it plays.

    python -m benchmarks.recorded.long_video [--json] [--minutes N]

``affect-edge analyse-video`` reads a video of the demonstration, ten minutes of 640 × 480 at 15
frames per second, in a process of its own. Its memory is looked at twice a second: the growth is
from the largest in the second fifth of the time to the largest in the last. The speed is seconds of
video for each second of the clock, and for each second of processor time, decoding included.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks._command import benchmark
from benchmarks._running import FPS, write_demo_video

LOOK_S = 0.5


def measure(folder: Path, minutes: float) -> dict[str, float]:
    """Write a video and let it be read."""
    seconds = round(60 * minutes)
    video = folder / "long.avi"
    write_demo_video(video, seconds)
    words = [sys.executable, "-m", "edge_agent", "analyse-video", str(video), "--json"]
    memory_mb: list[float] = []
    cpu_s = 0.0
    began = time.monotonic()
    with subprocess.Popen(
        [*words, "--data", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                memory_mb.append(watched.memory_info().rss / 1e6)
                times = watched.cpu_times()
            except psutil.Error:  # it ended just now
                break
            cpu_s = times.user + times.system
            time.sleep(LOOK_S)
    took_s = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"analyse-video ended with {process.returncode}")
    with (folder / "long.faces.csv").open(encoding="utf-8", newline="") as file:
        frames = len({row["seconds"] for row in csv.DictReader(file)})
    if frames != seconds * FPS:
        raise SystemExit(f"of {seconds * FPS} frames {frames} are in the table")
    fifth = len(memory_mb) // 5
    return {
        "long_video_times_as_fast": seconds / took_s,
        "long_video_times_as_fast_cpu": seconds / cpu_s,
        "long_video_memory_mb": max(memory_mb),
        "long_video_memory_growth_mb": max(memory_mb[-fifth:]) - max(memory_mb[fifth : 2 * fifth]),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure, minutes=(10.0, "length of the video"))
