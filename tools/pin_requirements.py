"""Pins what an appliance installs: one file for each platform, every package with its version and
hashes.

    python tools/pin_requirements.py          writes requirements/linux-<machine>-py<version>.txt

pip itself resolves pyproject.toml for each platform and only reports; nothing is installed. Markers
in package metadata go by the Python that runs, so each Python version is asked with its own
interpreter.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.13")  # of Raspberry Pi OS (Debian) 12 and 13
MACHINES = ("aarch64", "x86_64")
GLIBCS = ("2_36", "2_34", "2_31", "2_28", "2_27", "2_26", "2_17")  # Debian 12 has 2.36
EXTRAS = ("ble",)
BUILD = ("setuptools>=77",)  # installs our own package from source
# The simplejpeg of Raspberry Pi OS 12 was built for NumPy 1, and picamera2 imports it.
BESIDE_PICAMERA = ("simplejpeg>=1.8",)


def platform_options(machine: str, python: str) -> list[str]:
    """Return what tells pip to choose wheels of another machine."""
    tags = [f"manylinux_{glibc}_{machine}" for glibc in GLIBCS] + [f"manylinux2014_{machine}"]
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    return options + [f"--platform={tag}" for tag in tags]


def wanted(machine: str) -> list[str]:
    """Return what the appliance needs, as pyproject.toml says it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    pi = BESIDE_PICAMERA if machine == "aarch64" else ()
    return [*project["dependencies"], *extras, *BUILD, *pi]


def resolve(interpreter: str, machine: str, python: str) -> list[dict[str, Any]]:
    """Let pip resolve; return what it would install."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = [
            interpreter,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--dry-run",
        ]
        words += ["--ignore-installed", "--target", folder, "--report", str(report)]
        subprocess.run([*words, *platform_options(machine, python), *wanted(machine)], check=True)
        installed: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
        return installed


def requirement_lines(packages: list[dict[str, Any]]) -> list[str]:
    """Return a line for each package, in the order of their names."""
    pinned = []
    for package in packages:
        meta = package["metadata"]
        archive = package["download_info"]["archive_info"]
        pinned.append(
            f"{meta['name'].lower()}=={meta['version']} --hash=sha256:{archive['hashes']['sha256']}"
        )
    return sorted(pinned)


def interpreter_of(python: str) -> str:
    """Return the interpreter that speaks for a Python version."""
    if platform.python_version().startswith(f"{python}."):
        return sys.executable
    return f"python{python}"


def main() -> None:
    """Write all files."""
    folder = ROOT / "requirements"
    folder.mkdir(exist_ok=True)
    for python in PYTHONS:
        for machine in MACHINES:
            file = folder / f"linux-{machine}-py{python}.txt"
            lines = requirement_lines(resolve(interpreter_of(python), machine, python))
            head = (
                f"# Linux on {machine}, Python {python}. Written by tools/pin_requirements.py; "
                "do not edit."
            )
            file.write_text("\n".join([head, *lines, ""]), encoding="utf-8")
            print(f"{file.relative_to(ROOT)}: {len(lines)} packages")


if __name__ == "__main__":
    main()
