"""The command line of a benchmark: its options, and its figures beside their bars or as JSON."""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from edge_agent.appliance.bench import this_processor

BARS = Path(__file__).with_name("bars.toml")
WITHOUT_DOT = "without_int8_dot"
"""The table of bars for processors without int8 dot products."""
MADE_WITHOUT = "without_dot_"
"""How figures begin that this machine gives when it is made to do without."""
Bars = dict[str, list[str | float]]
Figures = dict[str, float]


def command(doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's options, ``--json`` among them.

    Args:
        doc: the docstring of the benchmark.
    """
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=raw)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    return parser


def benchmark(
    doc: str | None, measure: Callable[..., Mapping[str, float]], **options: tuple[Any, str]
) -> None:
    """Parse the command line of a benchmark, measure, and show the figures.

    Args:
        doc: the docstring of the benchmark.
        measure: takes each option by its name; a parameter ``folder`` is an empty folder for it.
        options: default and help of each; it has the type of its default, and without one is a
            path.
    """
    parser = command(doc)
    for name, (default, text) in options.items():
        kind = Path if default is None else type(default)
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=default, help=text or None)
    chosen = vars(parser.parse_args())
    as_json = chosen.pop("json")
    with tempfile.TemporaryDirectory() as folder:
        if "folder" in inspect.signature(measure).parameters:
            chosen["folder"] = Path(folder)
        show(measure(**chosen), as_json=as_json)


def show(
    figures: Mapping[str, float], *, as_json: bool, unjudged: Collection[str] = frozenset()
) -> None:
    """Print figures beside their bars, as a table in Markdown, or as one JSON object.

    Args:
        figures: by name.
        as_json: whether as one object.
        unjudged: names of figures whose bars say nothing here.
    """
    if as_json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
        return
    bars = read_bars(int8_dot=this_processor().int8_dot is not False)
    print(f"| {'figure':44} | {'value':>14} | bar |\n|---|--:|---|")
    for name, value in figures.items():
        bar = None if name in unjudged else bars.get(name)
        shown = f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
        print(f"| {name:44} | {shown:>14} | {verdict(value, bar)} |")


def read_bars(*, int8_dot: bool) -> Bars:
    """Return the bars for a processor of a kind, and those of what is measured without.

    Args:
        int8_dot: whether it has int8 dot products.
    """
    table = tomllib.loads(BARS.read_text(encoding="utf-8"))
    without: Bars = table.pop(WITHOUT_DOT)
    bars: Bars = table
    if not int8_dot:
        bars |= without
    return bars | {MADE_WITHOUT + name: bar for name, bar in without.items()}


def verdict(value: float, bar: list[str | float] | None) -> str:
    """Say how a figure stands to its bar."""
    if bar is None:
        return ""
    comparison, *limits = bar
    low = float("-inf") if comparison == "<=" else float(limits[0])
    high = float("inf") if comparison == ">=" else float(limits[-1])
    shown = f"{comparison} {' to '.join(map(str, limits))}"
    return f"{shown}  {'reached' if low <= value <= high else 'MISSED'}"


def median_ms(
    call: Callable[[], object], times: int = 5, clock: Callable[[], float] = time.process_time
) -> float:
    """Return the median time of a call in milliseconds: of this process's CPU, if not told else."""
    taken = []
    for _ in range(times):
        began = clock()
        call()
        taken.append(1000 * (clock() - began))
    return statistics.median(taken)


def say(text: str) -> None:
    """Tell who waits what is being done."""
    print(text, file=sys.stderr, flush=True)
