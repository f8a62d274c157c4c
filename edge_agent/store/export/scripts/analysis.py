"""Compute the tests of the dashboard's Analysis page from the CSV files beside this script.

    python analysis.py [FOLDER] [--state condition|observed|reported] [--csv] …      (--help names
    all options)

Runs the engine of Affect Edge itself, so it needs the package. ``analysis.R`` computes the same
with formulas of its own and needs nothing of Affect Edge.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ENGINE = "dashboard.commands.analyse_bundle"
MISSING = (
    "This script needs the Python package affect-edge: install it with `pip install .` in a "
    "checkout of Affect Edge, or run `Rscript analysis.R`, which needs nothing of Affect Edge."
)


def main() -> int:
    """Compute and print; return the exit code: 0 done, 1 failed, 2 wrong use."""
    # a folder called dashboard beside the CSV files, or a package of another name, is not ours
    if find_spec("edge_agent") is None or find_spec("dashboard") is None:
        sys.exit(MISSING)
    code: int = import_module(ENGINE).main(["--beside", str(Path(__file__).parent), *sys.argv[1:]])
    return code


if __name__ == "__main__":
    sys.exit(main())
