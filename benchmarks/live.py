"""What many browsers on the live page cost: the agent nothing, the dashboard little.

    python -m benchmarks.live [--json] [--seconds N] [--browsers N] [--silent N]

A real agent on the demonstration video and a real dashboard, each a process. First nobody looks on,
then so many browsers do, of which some never read a byte. Processor time is that of the process, so
other load on the machine does not count.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil

from benchmarks._command import benchmark
from benchmarks._running import Running, agent_on, first_message, write_demo_video
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.support.dashboard import DashboardProcess
from tests.support.live_browsers import LiveBrowsers, log_ins

SECONDS = 300.0
BROWSERS = 200
SILENT = 10
SETTLE_S = 10.0


def cpu_percent(processes: list[psutil.Process], seconds: float) -> tuple[list[float], float]:
    """Return each one's share of a core over so many seconds, and the last one's most memory, MB.

    Memory is resident memory, 10⁶ bytes.
    """
    began_s = time.monotonic()
    before = [sum(process.cpu_times()[:2]) for process in processes]
    most = 0
    while time.monotonic() - began_s < seconds:
        most = max(most, processes[-1].memory_info().rss)
        time.sleep(1)
    lasted_s = time.monotonic() - began_s
    after = [sum(process.cpu_times()[:2]) for process in processes]
    shares = [100 * (b - a) / lasted_s for a, b in zip(before, after, strict=True)]
    return shares, most / 1e6


def watch(agent: Running, seconds: float, browsers: int, silent: int) -> dict[str, float]:
    """Return the figures of one dashboard beside a running agent."""
    with DashboardProcess(agent.data) as dashboard:
        processes = [agent.process, psutil.Process(dashboard.pid)]
        time.sleep(SETTLE_S)
        alone, _ = cpu_percent(processes, seconds)
        requests = log_ins(agent.data / DATABASE_NAME, dashboard.port, browsers)
        with LiveBrowsers(dashboard.port, requests, browsers - silent, silent) as pages:
            time.sleep(SETTLE_S)
            watched, watched_mb = cpu_percent(processes, seconds)
            return {
                "live_browsers": browsers,
                "live_told_offline": pages.told_offline,
                "live_streams_ended": sum(page.ended for page in pages.reading),
                "live_agent_cpu_more_percent": round(watched[0] - alone[0], 2),
                "live_dashboard_cpu_percent": round(watched[1], 2),
                "live_dashboard_mb": round(watched_mb, 1),
            }


def measure(folder: Path, seconds: float, browsers: int, silent: int) -> dict[str, float]:
    """Return the figures over the demonstration's video."""
    video = folder / "demo.avi"
    write_demo_video(video)
    data = folder / "data"
    data.mkdir()
    with agent_on(video, data) as agent:
        asyncio.run(first_message(agent, "expression"))
        return watch(agent, seconds, browsers, silent)


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        seconds=(SECONDS, "length of each half"),
        browsers=(BROWSERS, "how many look on"),
        silent=(SILENT, "how many of them never read"),
    )
