"""Run the short benchmarks and print each figure beside its bar.

python -m benchmarks [NAME …] [--json]

A benchmark is ``benchmarks/NAME.py``, or ``benchmarks/ROOM/NAME.py``; with ``--json`` the last line
that it prints is one object ``{figure: number}``. The bars stand in ``bars.toml``: figure →
[comparison, value], or ["within", low, high]. Those that take minutes run only when they are named,
and so do those that need a broker, another processor or packages of others.

Some bars of speed are others where a processor has no int8 dot products; ``bars.toml`` has them in
a table of their own. They judge this machine if it has none, and else the figures that begin with
``without_dot_``: this machine again, made to do without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from edge_agent.appliance.bench import this_processor

HERE = Path(__file__).parent
BENCHMARKS = {
    path.stem: ".".join(path.relative_to(HERE.parent).with_suffix("").parts)
    for path in HERE.rglob("*.py")
    if not path.stem.startswith("_")
}
"""The module of each benchmark by its name."""
LONG = frozenset(
    {
        "by_need",
        "camera_pulse",
        "comparison",
        "crowd",
        "ectopic",
        "export",
        "false_positives",
        "fleet",
        "instructions",
        "live",
        "long_video",
        "marker_delay",
        "order",
        "outbox",
        "pages",
        "precision",
        "security",
        "soak",
        "study",
        "ten_years",
        "viewers",
    }
)


WITHOUT_DOT = "without_int8_dot"
"""The table of bars for processors without int8 dot products."""
MADE_WITHOUT = "without_dot_"
"""How figures begin that this machine gives when it is made to do without."""
Bars = dict[str, list[str | float]]


def read_bars(*, int8_dot: bool) -> Bars:
    """Return the bars for a processor of a kind, and those of what is measured without.

    Args:
        int8_dot: whether it has int8 dot products.
    """
    table = tomllib.loads((HERE / "bars.toml").read_text(encoding="utf-8"))
    without: Bars = table.pop(WITHOUT_DOT)
    bars: Bars = table
    if not int8_dot:
        bars |= without
    return bars | {MADE_WITHOUT + name: bar for name, bar in without.items()}


def run(name: str) -> dict[str, float]:
    """Run one benchmark in a process of its own and return its figures."""
    command = [sys.executable, "-m", BENCHMARKS[name], "--json"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=HERE.parent,
        env={"OPENBLAS_NUM_THREADS": "1", **os.environ},  # as `affect-edge` sets it
    )
    if done.returncode != 0:
        raise SystemExit(f"benchmark {name} failed:\n{done.stderr.strip()}")
    for line in done.stderr.splitlines():
        if line.startswith(f"{BENCHMARKS[name]}:"):  # what could not be measured, and why
            print(line, file=sys.stderr)
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def verdict(value: float, bar: list[str | float] | None) -> str:
    """Say how a figure stands to its bar."""
    if bar is None:
        return ""
    comparison, *limits = bar
    low = float("-inf") if comparison == "<=" else float(limits[0])
    high = float("inf") if comparison == ">=" else float(limits[-1])
    shown = f"{comparison} {' to '.join(map(str, limits))}"
    return f"{shown}  {'reached' if low <= value <= high else 'MISSED'}"


def main(arguments: list[str]) -> int:
    """Run what is named, or all short ones; return 1 when a bar is missed."""
    known = sorted(BENCHMARKS)
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\nBenchmarks: {', '.join(known)}")
        return 0
    names = [a for a in arguments if not a.startswith("-")] or [
        name for name in known if name not in LONG
    ]
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    processor = this_processor()
    bars = read_bars(int8_dot=processor.int8_dot is not False)
    figures: dict[str, float] = {}
    missed = 0
    if "--json" not in arguments:
        print(processor.described())
    for name in names:
        for figure, value in run(name).items():
            figures[figure] = value
            mark = verdict(value, bars.get(figure))
            missed += mark.endswith("MISSED")
            if "--json" not in arguments:
                print(f"{name:10} {figure:44} {value:12.4g}  {mark}", flush=True)
    if "--json" in arguments:
        print(json.dumps(figures))
    if missed:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
