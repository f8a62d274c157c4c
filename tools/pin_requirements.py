"""Pin what an appliance installs: a file for each platform, with versions and hashes.

    python tools/pin_requirements.py          writes requirements/linux-<machine>-py<version>.txt
    python tools/pin_requirements.py --parts  writes only the files of the optional parts

An optional part of `install.sh --with` has a file of its own beside it, `…-py<version>-<part>.txt`,
with the packages that it needs beyond those of every appliance.

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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.13")  # of Raspberry Pi OS (Debian) 12 and 13
MACHINES = ("aarch64", "x86_64")
GLIBCS = ("2_36", "2_35", "2_34", "2_31", "2_28", "2_27", "2_26", "2_17")  # Debian 12 has 2.36
EXTRAS = ("ble",)
# extras of pyproject.toml that `install.sh --with` can add
PARTS = ("lsl", "parquet", "alerts", "xlsx", "sav", "edf", "serial", "fit", "fleet", "xdf")
# What a part takes on one machine, without what that depends on. Of mne-lsl only liblsl is used,
# the native library of the Lab Streaming Layer, which the wheels of pylsl have for x86-64 alone.
ALONE = {("lsl", "aarch64"): ("mne-lsl>=1.14",)}
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


def wanted_for_part(part: str, pinned: list[str]) -> list[str]:
    """Return what an optional part needs beside the packages that are pinned already."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["optional-dependencies"][part], *(line.split(" ")[0] for line in pinned)]


def resolve(
    interpreter: str, machine: str, python: str, packages: Sequence[str], *options: str
) -> list[dict[str, Any]]:
    """Let pip resolve the packages, with further options; return what it would install."""
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
        subprocess.run(
            [*words, *options, *platform_options(machine, python), *packages], check=True
        )
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


def pins_in(file: Path) -> list[str]:
    """Return the lines of a file of requirements, without its comments."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def write(file: Path, title: str, lines: list[str]) -> None:
    """Write a file of requirements."""
    head = f"# {title}. Written by tools/pin_requirements.py; do not edit."
    file.write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(lines)} packages")


def write_parts(file: Path, interpreter: str, machine: str, python: str) -> None:
    """Write a file for each optional part, beside the platform's file."""
    pinned = pins_in(file)
    for part in PARTS:
        resolved = resolve(interpreter, machine, python, wanted_for_part(part, pinned))
        if alone := ALONE.get((part, machine)):
            resolved += resolve(interpreter, machine, python, alone, "--no-deps")
        more = [line for line in requirement_lines(resolved) if line not in pinned]
        title = f"Linux on {machine}, Python {python}, {part}"
        write(file.with_name(f"{file.stem}-{part}.txt"), title, more)


def main() -> None:
    """Write all files, or with ``--parts`` those of the optional parts."""
    folder = ROOT / "requirements"
    folder.mkdir(exist_ok=True)
    for python in PYTHONS:
        for machine in MACHINES:
            file = folder / f"linux-{machine}-py{python}.txt"
            interpreter = interpreter_of(python)
            if "--parts" not in sys.argv[1:]:
                lines = requirement_lines(resolve(interpreter, machine, python, wanted(machine)))
                write(file, f"Linux on {machine}, Python {python}", lines)
            write_parts(file, interpreter, machine, python)


if __name__ == "__main__":
    main()
