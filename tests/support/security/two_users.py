"""A data folder as on an appliance: the dashboard is another user, who may only read it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.store.database.dashboard_file import FOLDER
from tests.integration.gate.conftest import running_gate

NOBODY = 65534
CHECKOUT = Path(__file__).parents[3]
# Reads everything, for Python and the checkout may lie below /root; writes what it may by rights.
_AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
    *("env", "HOME=/nonexistent", "PYTHONDONTWRITEBYTECODE=1"),
)
_DASHBOARD = """
import sys
from pathlib import Path
from dashboard.__main__ import main
from edge_agent.store.gate import client
client.SOCKET = Path(sys.argv.pop(1))
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def folder_of_two_users() -> Iterator[Path]:
    """Make a data folder with one of the dashboard in it, as the installer does."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can run a program as another user")
    tried = [*_AS_NOBODY, sys.executable, "-c", "import dashboard"]
    if subprocess.run(tried, cwd=CHECKOUT, capture_output=True, check=False).returncode:
        pytest.skip("another user may not be given the right to read Python and checkout here")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # pytest's are closed to others
        folder = Path(name)
        os.chown(folder, -1, NOBODY)
        folder.chmod(0o2750)  # what is made here is the group's, as the units' user has it
        own = folder / FOLDER
        own.mkdir()
        (own / "exports").mkdir()
        (own / "exports").chmod(0o770)
        yield folder


@contextmanager
def gate_for_nobody(folder: Path) -> Iterator[Sequence[str]]:
    """Run the gate of such a folder; yield the command of a dashboard that is somebody else."""
    for file in (folder / FOLDER, *(folder / FOLDER).rglob("*")):
        os.chown(file, NOBODY, NOBODY)
    for file in folder.glob("affect-edge.db*"):
        file.chmod(0o640)
    with running_gate(folder) as gate:
        may_write = [*_AS_NOBODY, "test", "-w", str(gate.database)]
        assert subprocess.run(may_write, check=False).returncode, "else this would test nothing"
        yield [*_AS_NOBODY, sys.executable, "-c", _DASHBOARD, str(gate.address)]
