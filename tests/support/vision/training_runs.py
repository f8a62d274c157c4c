"""Whole runs of ``python -m training`` on a made table."""

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch
from warnings import catch_warnings

import numpy as np
import pytest

from training.commands.main import main
from training.data.datasets import FER2013, VOTE_COLUMNS

ROOT = Path(__file__).resolve().parents[3]
RECIPE = ROOT / "training" / "recipes" / "steps" / "fast-m.toml"

_NETWORK = "widths = [24, 28, 60, 120]\nblocks = [1, 2, 2]\n"
_SMALL_NETWORK = "widths = [24, 24, 32, 48]\nblocks = [1, 1, 1]\n"

LONG_RUN = pytest.mark.timeout(600)
"""The mark of a test that trains."""

TOGETHER_SECONDS = 240.0
ENDING_SECONDS = 60.0
"""Longer than PyTorch's launcher waits before it kills those that do not end."""


def uncounted() -> dict[str, str]:
    """The environment without the counting of lines: a run of the training takes 1.6 times as long
    with it, nearly all of that in lines of PyTorch, and only the appliance has a bar of coverage.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def small_recipe() -> str:
    """The text of ``RECIPE`` with a network that is learnt and written in half the time."""
    text = RECIPE.read_text("utf-8")
    assert _NETWORK in text
    return text.replace(_NETWORK, _SMALL_NETWORK)


def training_here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``python -m training`` in this process, for all that is not about a process of its own:
    PyTorch and the converter take longer to load than a small run to learn.
    """
    command = ["python -m training", *map(str, arguments)]
    output = StringIO()
    errors = StringIO()
    with (
        patch.object(sys, "argv", command),
        redirect_stdout(output),
        redirect_stderr(errors),
        catch_warnings(action="ignore"),  # none ends a process of its own
        pytest.raises(SystemExit) as ended,
    ):
        main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return subprocess.CompletedProcess(command, code or 0, output.getvalue(), errors.getvalue())


def training_together(processes: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same in several processes, which their launcher ends, too, when they do not end in
    time.
    """
    # By its address: a machine whose own name leads nowhere would look for it for minutes.
    launcher = ["torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    launcher += ["--nproc-per-node", str(processes), "-m", "training"]
    command = [sys.executable, "-m", *launcher, *map(str, arguments)]
    pipe = subprocess.PIPE
    environment = uncounted()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as running:
        try:
            output, errors = running.communicate(timeout=TOGETHER_SECONDS)
        except subprocess.TimeoutExpired:
            running.terminate()
            output, errors = running.communicate(timeout=ENDING_SECONDS)
            errors += f"\nnot ended within {TOGETHER_SECONDS:g} s"
    return subprocess.CompletedProcess(command, running.returncode, output, errors)


def write_data(folder: Path) -> tuple[Path, Path]:
    """A FER2013 table and its votes: noise, brighter the higher the class."""
    random = np.random.default_rng(7)
    rows = ["emotion,pixels,Usage"]
    votes = [",".join(("Usage", "Image name", *VOTE_COLUMNS))]
    for usage, count in (("Training", 60), ("PublicTest", 20)):
        for index in range(count):
            label = index % len(FER2013)
            pixels = random.integers(label * 20, label * 20 + 100, 48 * 48)
            rows.append(f"{label},{' '.join(map(str, pixels))},{usage}")
            counts = ["8" if column == label else "0" for column in range(10)]
            votes.append(f"{usage},fer{index:07d}.png,{','.join(counts)}")
    data = folder / "fer2013.csv"
    beside = folder / "fer2013new.csv"
    data.write_text("\n".join(rows) + "\n", encoding="utf-8")
    beside.write_text("\n".join(votes) + "\n", encoding="utf-8")
    return data, beside
