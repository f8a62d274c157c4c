"""Run the short benchmarks and print each figure beside its bar.

python -m benchmarks [NAME …] [--json] [--small]

A benchmark is ``benchmarks/NAME.py``, or ``benchmarks/ROOM/NAME.py``; with ``--json`` the last line
that it prints is one object ``{figure: number}``. The bars stand in ``bars.toml``: figure →
[comparison, value], or ["within", low, high]. Those that take minutes run only when they are named,
and so do those that need a broker, another processor or packages of others. ``--small`` lets those
of ``SMALL`` do the same work with less of it; the bars of how much it was do not judge it then.

Some bars of speed are others where a processor has no int8 dot products; ``bars.toml`` has them in
a table of their own. They judge this machine if it has none, and else the figures that begin with
``without_dot_``: this machine again, made to do without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks._command import read_bars, verdict
from edge_agent.appliance.bench import this_processor
from tools import last_figures

HERE = Path(__file__).parent
BENCHMARKS = {
    path.stem: ".".join(path.relative_to(HERE.parent).with_suffix("").parts)
    for path in HERE.rglob("*.py")
    if not path.stem.startswith("_")
}
"""The module of each benchmark by its name."""
SMALL = {"security": ("--examples", "1", "--damaged", "20000"), "crowd": ("--seconds", "20")}
"""Options of the small form of each benchmark that has one."""
AMOUNTS = frozenset({"security_api_requests_a_role", "security_damaged_inputs"})
"""Figures that tell how much was tried."""
SHORT = (
    *("agent", "analysis", "answers", "cost", "effect_intervals", "family", "groups"),
    *("large_study", "memory", "store", "vision", "without_dot_products"),
)


def run(name: str, *, small: bool = False) -> tuple[dict[str, float], str]:
    """Run one benchmark in a process of its own; return its figures, and what it wrote beside
    them, such as each answer that was wrong.
    """
    options = SMALL[name] if small else ()
    command = [sys.executable, "-m", BENCHMARKS[name], "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)
    if done.returncode != 0:
        raise SystemExit(f"benchmark {name} failed:\n{done.stderr.strip()}")
    for line in done.stderr.splitlines():
        if line.startswith(f"{BENCHMARKS[name]}:"):  # what could not be measured, and why
            print(line, file=sys.stderr)
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures, done.stderr


def main(arguments: list[str]) -> int:
    """Run what is named, or all short ones; return 1 when a bar is missed."""
    known = sorted(BENCHMARKS)
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\nBenchmarks: {', '.join(known)}")
        return 0
    names = [a for a in arguments if not a.startswith("-")] or SHORT
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    small = "--small" in arguments
    if small and (whole := sorted(set(names) - set(SMALL))):
        print(f"no small form has {', '.join(whole)}; {', '.join(SMALL)} have", file=sys.stderr)
        return 2
    processor = this_processor()
    bars = read_bars(int8_dot=processor.int8_dot is not False)
    figures: dict[str, float] = {}
    missed = 0
    if "--json" not in arguments:
        print(processor.describe())
    for name in names:
        measured, beside = run(name, small=small)
        figures |= measured
        missed_before = missed
        for figure, value in measured.items():
            mark = verdict(value, None if small and figure in AMOUNTS else bars.get(figure))
            missed += mark.endswith("MISSED")
            if "--json" not in arguments:
                print(f"{name:10} {figure:44} {value:12.4g}  {mark}", flush=True)
        if missed > missed_before:
            print(beside, end="", file=sys.stderr)
    cores = f"{processor.describe()}, {os.cpu_count()} cores"
    last_figures.offer(figures, cores, int8_dot=processor.int8_dot is not False)
    if "--json" in arguments:
        print(json.dumps(figures))
    if missed:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
