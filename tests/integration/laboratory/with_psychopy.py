"""The real PsychoPy, in a window of a display without a screen: ``make test-psychopy``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.laboratory.psychopy_lines import run_lines

VERSION = "2026.2.5"


def environment() -> Path:
    """Return the Python of PsychoPy's environment; make it where it is missing.

    Raises:
        subprocess.CalledProcessError: it could not be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "affect-edge" / f"psychopy-{VERSION}"
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", f"psychopy=={VERSION}", "pylsl"], check=True)
        stamp.write_text(VERSION, encoding="ascii")
    return python


@pytest.mark.timeout(1800)  # the first run downloads PsychoPy
def test_the_lines_of_page_run_a_session_and_mark_when_picture_is_shown(tmp_path: Path) -> None:
    display = shutil.which("xvfb-run")
    assert display is not None, "there is no Xvfb: sudo apt install xvfb xauth"
    apart_s = run_lines(tmp_path, [display, "-a", str(environment())], {})
    print(f"1.0 s between two pictures: markers {apart_s:.3f} s apart")
    assert 0.95 <= apart_s <= 1.15
