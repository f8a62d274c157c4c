"""What the benchmarks of a fleet tell: figures beside their bars, and what is being done."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

Figures = dict[str, float]
TWO = "fleet_two_times_the_rows"
CORES_FOR_TWO = 6
"""Devices, broker, PostgreSQL with two connections, two collectors."""
_BARS = Path(__file__).parents[1] / "bars.toml"


def say(text: str) -> None:
    """Tell who waits what is being done."""
    print(text, file=sys.stderr, flush=True)


def report(figures: Figures) -> None:
    """Print each figure, beside its bar."""
    bars = tomllib.loads(_BARS.read_text(encoding="utf-8"))
    compare = {"<=": lambda one, bar: one <= bar, ">=": lambda one, bar: one >= bar}
    for name, figure in figures.items():
        bar = bars.get(name)
        if name == TWO and len(os.sched_getaffinity(0)) < CORES_FOR_TWO:
            print(
                f"{name:42} {figure:>12g}  no bar with fewer than {CORES_FOR_TWO} cores: see cost"
            )
            continue
        verdict = ""
        if bar is not None:
            is_reached = compare[bar[0]](figure, bar[1])
            verdict = f"{bar[0]} {bar[1]}  {'reached' if is_reached else 'MISSED'}"
        print(f"{name:42} {figure:>12g}  {verdict}")
