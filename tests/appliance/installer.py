"""The functions of ``install.sh``, run by themselves on another folder of settings."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.build_release import ROOT

INSTALLER = ROOT / "install.sh"
CALL = 'main "$@"\n'


def run(settings: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """Run lines of shell with the installer's own functions, on another folder of settings."""
    text = INSTALLER.read_text(encoding="utf-8")
    assert text.endswith(CALL)
    assert "settings=/etc/affect-edge " in text
    functions = text.removesuffix(CALL).replace(
        "settings=/etc/affect-edge ", f"settings={settings} "
    )
    script = "\n".join([functions, *lines])
    return subprocess.run(
        ["bash", "-s"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
