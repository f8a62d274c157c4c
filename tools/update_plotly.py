"""Take another version of Plotly's partial bundle.

    python -m tools.update_plotly VERSION

It comes by npm, which checks it; write the version and the SHA-256 that are printed into
``dashboard/charts/chart.py``, and look at every page with charts.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "plotly.js-basic-dist-min"
TARGET = Path(__file__).resolve().parents[1] / "dashboard/charts/plotly"
FILES = ("plotly-basic.min.js", "LICENSE")


def main() -> None:
    """Replace the files, and print what is to be written down."""
    if len(sys.argv) != 2:
        raise SystemExit("Say which version: python -m tools.update_plotly 4.1.1")
    version = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{version}"], cwd=folder, check=True)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            for name in FILES:
                packed = archive.extractfile(f"package/{name}")
                if packed is None:
                    raise SystemExit(f"{PACKAGE} {version} has no file {name}")
                (TARGET / name).write_bytes(packed.read())
    digest = hashlib.sha256((TARGET / FILES[0]).read_bytes()).hexdigest()
    print(f'PLOTLY_VERSION = "{version}"\nPLOTLY_SHA256 = "{digest}"')


if __name__ == "__main__":
    main()
