"""What an appliance installs is pinned, hashed, and names no place to fetch it from."""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from tools.pin_requirements import ALONE, MACHINES, PARTS, PYTHONS, ROOT, pins_in, wanted

FILES = sorted((ROOT / "requirements").glob("*.txt"))
PLATFORM_FILES = [file for file in FILES if not file.stem.endswith(PARTS)]
LINE = re.compile(r"[a-z0-9._-]+==[A-Za-z0-9.]+ --hash=sha256:[0-9a-f]{64}")


def name_of(requirement: str) -> str:
    """Return a package's name as indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>~ \[]", requirement)[0]).lower()


def test_there_is_a_file_for_each_platform() -> None:
    wished = {f"linux-{machine}-py{python}.txt" for machine in MACHINES for python in PYTHONS}
    assert {file.name for file in PLATFORM_FILES} == wished
    of_parts = {f"{name.removesuffix('.txt')}-{part}.txt" for name in wished for part in PARTS}
    assert {file.name for file in FILES} == wished | of_parts


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_every_package_has_one_version_and_a_hash(file: Path) -> None:
    lines = [
        line for line in file.read_text(encoding="ascii").splitlines() if not line.startswith("#")
    ]
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    names = [name_of(line) for line in lines]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("file", PLATFORM_FILES, ids=[file.stem for file in PLATFORM_FILES])
def test_what_the_project_depends_on_is_there(file: Path) -> None:
    names = {name_of(line) for line in file.read_text(encoding="ascii").splitlines()}
    machine = file.stem.split("-")[1]
    missing = {name_of(requirement) for requirement in wanted(machine)} - names
    assert not missing, f"run: python tools/pin_requirements.py ({', '.join(sorted(missing))})"


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_telemetry_has_neither_kit_nor_exporter(file: Path) -> None:
    names = {name_of(line) for line in file.read_text(encoding="ascii").splitlines()}
    # an interface that FastAPI imports; it hands on nothing by itself
    assert {name for name in names if "telemetry" in name} <= {"opentelemetry-api"}


@pytest.mark.parametrize("python", PYTHONS)
def test_what_a_part_takes_alone_on_one_machine_is_pinned(python: str) -> None:
    for (part, machine), alone in ALONE.items():
        pins = pins_in(ROOT / f"requirements/linux-{machine}-py{python}-{part}.txt")
        assert {name_of(one) for one in alone} <= {name_of(line) for line in pins}


def test_tests_run_with_the_versions_that_ship() -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    files = sorted((ROOT / "requirements").glob(f"linux-{platform.machine()}-py{python}*.txt"))
    if not files:
        pytest.skip(f"nothing is pinned for Python {python} on {platform.machine()}")
    pinned = dict(line.split(" ")[0].split("==") for file in files for line in pins_in(file))
    del pinned["pip"], pinned["setuptools"]  # which only install
    assert {name: installed(name) for name in pinned} == pinned, "run: make clean test"


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
