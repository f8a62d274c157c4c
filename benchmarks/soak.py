"""An hour of video through the running agent: memory and latency must not grow.

    python -m benchmarks.soak [--json] [--minutes N]

The agent runs in a process of its own on a video of the demonstration at 15 frames/s without end.
Once every ten seconds its resident memory is read; the latency is the time from a frame's own to
the arrival of what was seen in it at a reader of the live feed. The first five minutes are for
caches to fill: compared are the sixth minute (of short runs the middle one) and the last. Growth of
memory is taken between their medians, and so is that of the latency.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._command import command, show
from benchmarks._running import Running, agent_on, write_demo_video
from edge_agent.live.feed import SOCKET_NAME, live_messages

SAMPLE_S = 10.0
SETTLED_S = 300.0
LEAST_MINUTES = 2.0


@dataclass
class SoakCourse:
    """What was seen of the agent over time: seconds since the start and the value.

    Attributes:
        memory: resident, MB.
        latency: milliseconds.
        rate: frames read each second.
    """

    memory: list[tuple[float, float]] = field(default_factory=list)
    latency: list[tuple[float, float]] = field(default_factory=list)
    rate: list[tuple[float, float]] = field(default_factory=list)


async def listen(agent: Running, course: SoakCourse) -> None:
    """Gather latency and rate from the live feed until cancelled."""
    async with aclosing(live_messages(agent.data / SOCKET_NAME)) as messages:
        async for message in messages:
            at = time.monotonic() - agent.began_s
            if message["type"] == "expression":
                course.latency.append((at, 1000 * time.time() - message["at"]))
            elif message["type"] == "health" and message["camera"]["fps"]:
                course.rate.append((at, message["camera"]["fps"]))


async def watch(agent: Running, course: SoakCourse, seconds: float, *, aloud: bool) -> None:
    """Gather for so long; the agent must live."""
    listener = asyncio.create_task(listen(agent, course))
    try:
        while (passed := time.monotonic() - agent.began_s) < seconds:
            await asyncio.sleep(SAMPLE_S)
            if not agent.process.is_running() or agent.process.status() == "zombie":
                raise SystemExit(f"the agent died after {passed:.0f} s")
            course.memory.append((time.monotonic() - agent.began_s, agent.memory_mb))
            if aloud and len(course.memory) % 6 == 0:
                print(
                    f"{passed / 60:6.1f} min {agent.memory_mb:8.2f} MB", file=sys.stderr, flush=True
                )
    finally:
        listener.cancel()


def in_minute(course: Sequence[tuple[float, float]], start_s: float) -> list[float]:
    """Return the values of the minute that begins at ``start_s``."""
    values = [value for at, value in course if start_s <= at < start_s + 60]
    if not values:
        raise SystemExit(
            f"nothing was seen of the agent from second {start_s:.0f} to {start_s + 60:.0f}"
        )
    return values


def figures_of(course: SoakCourse, seconds: float) -> dict[str, float]:
    """Compare the minute after settling with the last."""
    first = min(SETTLED_S, seconds / 2)
    last = seconds - 60
    memory, latency = (
        [statistics.median(in_minute(values, start)) for start in (first, last)]
        for values in (course.memory, course.latency)
    )
    return {
        "soak_minutes": seconds / 60,
        "soak_memory_mb": memory[1],
        "soak_memory_growth_mb": memory[1] - memory[0],
        "soak_latency_ms": latency[1],
        "soak_latency_growth_ms": latency[1] - latency[0],
        "soak_frames_per_second": statistics.median(value for _, value in course.rate),
    }


def main() -> None:
    """Measure and print."""
    parser = command(__doc__)
    parser.add_argument(
        "--minutes", type=float, default=60.0, help=f"how long, at least {LEAST_MINUTES:g}"
    )
    options = parser.parse_args()
    if not options.minutes >= LEAST_MINUTES:
        parser.error(
            f"--minutes {options.minutes:g}: a minute is compared with another, so at "
            f"least {LEAST_MINUTES:g}"
        )
    course = SoakCourse()
    seconds = 60 * options.minutes
    with tempfile.TemporaryDirectory() as name:
        video = Path(name) / "demo.avi"
        write_demo_video(video)
        with agent_on(video, Path(name)) as agent:
            asyncio.run(watch(agent, course, seconds + SAMPLE_S, aloud=not options.json))
    figures = figures_of(course, seconds)
    show(figures, as_json=options.json)


if __name__ == "__main__":
    main()
