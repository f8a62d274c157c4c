"""Analyse the files beside this script as the dashboard's Analysis page does.

    python analysis.py [FOLDER] [--state condition|observed|reported] [--csv|--json] …      (--help
    names all options)

Imports the files into a temporary folder and runs the analysis of Affect Edge itself, so it needs
the package. ``analysis.R`` computes the tests with formulas of its own and needs nothing of Affect
Edge.
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
