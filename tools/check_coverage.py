"""Fail when a module of the named packages is covered by less than the bar.

Use: ``check_coverage.py 80 edge_agent dashboard`` after a test run with ``--cov``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def main(bar: float, packages: list[str]) -> int:
    """Print each module under ``bar`` percent; return 1 when there is one."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run(
            [sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], check=True
        )
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    percents = {name: data["summary"]["percent_covered"] for name, data in files.items()}
    wanted = {name: percent for name, percent in percents.items() if name.split("/")[0] in packages}
    if not wanted:
        print(f"no coverage was measured for {', '.join(packages)}: run the tests with --cov first")
        return 1
    low = {name: percent for name, percent in wanted.items() if percent < bar}
    for name, percent in sorted(low.items()):
        print(f"{name}: {percent:.0f} % covered, at least {bar:.0f} % is asked for")
    if not low:
        print(
            f"Every module of {' and '.join(packages)} is covered by at least {bar:.0f} % "
            f"({len(wanted)} modules)."
        )
    if low:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
