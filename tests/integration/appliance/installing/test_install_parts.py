"""``install.sh --with``: which optional parts are taken, remembered, pinned and refused."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.appliance.installer import run
from tools.build_release import ROOT
from tools.pin_requirements import MACHINES, PARTS, PYTHONS, pins_in


@pytest.mark.parametrize(
    ("asked", "taken"),
    [("lsl", "lsl"), ("lsl,parquet", "lsl,parquet"), ("parquet,parquet", "parquet"), ("none", "")],
)
def test_what_is_asked_for_is_taken_and_remembered(tmp_path: Path, asked: str, taken: str) -> None:
    done = run(tmp_path, f"parse --with {asked}", "remember_parts", 'echo "$parts"')
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == taken
    file = tmp_path / "parts"
    remembered = file.read_text().strip() if file.exists() else ""
    assert remembered == taken


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--with torch", "--with torch: there is no such part; give lsl parquet"),
        ("--with lsl,torch", "--with torch: there is no such part"),
        ("--with ,", "--with ,: give lsl parquet"),
        ("--with ''", "--with needs a value"),
        ("--with", "--with needs a value"),
        ("--uninstall --with lsl", "--with does not go with --uninstall"),
    ],
)
def test_a_part_that_there_is_not_is_refused_as_wrong_use(
    tmp_path: Path, words: str, said: str
) -> None:
    done = run(tmp_path, f"parse {words}", "remember_parts")
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "parts").exists()


@pytest.mark.parametrize("words", ["--yes", "--build"])
def test_an_installation_and_an_update_keep_the_parts_of_before(tmp_path: Path, words: str) -> None:
    (tmp_path / "parts").write_text("lsl,parquet\n")
    done = run(tmp_path, f"parse {words}", 'echo "$parts"')
    assert done.stdout.strip() == "lsl,parquet"


def test_a_part_of_another_release_that_this_one_does_not_know_is_passed_over(
    tmp_path: Path,
) -> None:
    (tmp_path / "parts").write_text("lsl,holograms\n")
    done = run(tmp_path, "parse --build", 'echo "$parts"')
    assert done.returncode == 0
    assert done.stdout.strip() == "lsl"


def test_none_takes_the_parts_of_before_away_and_the_plan_says_so(tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("lsl\n")
    done = run(tmp_path, "parse --with none", "missing=()", "plan", "remember_parts")
    assert "leave out the optional parts that are there now: lsl" in done.stdout
    assert not (tmp_path / "parts").exists()


def test_the_plan_names_the_parts(tmp_path: Path) -> None:
    done = run(tmp_path, "parse --with lsl,parquet", "missing=()", "plan")
    assert "• add the optional parts lsl, parquet" in done.stdout


def test_an_installation_that_fails_takes_the_parts_back(tmp_path: Path) -> None:
    (tmp_path / "parts").write_text("lsl\n")
    lines = ("parse --with parquet", "remember_parts", "step=trying", "(finish_badly 1) || true")
    done = run(tmp_path, *lines)
    assert "stopped while trying" in done.stderr
    assert (tmp_path / "parts").read_text() == "lsl\n"


def test_the_same_program_with_other_parts_is_another_release(tmp_path: Path) -> None:
    print_it = 'echo "$(fingerprint_here)"'
    lines = ("parse --with lsl", print_it, "parts=", print_it)
    first, second = run(tmp_path, *lines).stdout.split()
    assert first != second


def test_every_part_is_pinned_by_hash_for_every_platform() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(PARTS) <= set(project["optional-dependencies"])
    for python in PYTHONS:
        for machine in MACHINES:
            every = pins_in(ROOT / f"requirements/linux-{machine}-py{python}.txt")
            for part in PARTS:
                lines = pins_in(ROOT / f"requirements/linux-{machine}-py{python}-{part}.txt")
                wanted = project["optional-dependencies"][part][0].split(">")[0]
                # what every appliance has is not pinned twice
                assert any(line.startswith(f"{wanted}==") for line in [*lines, *every])
                assert all("--hash=sha256:" in line for line in lines)


def test_the_installer_and_the_pins_know_the_same_parts(tmp_path: Path) -> None:
    known = run(tmp_path, 'echo "${known_parts[*]}"').stdout.split()
    assert known == list(PARTS)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the wheel with the library is x86-64's")
def test_on_x86_64_the_streams_come_with_their_library() -> None:
    (pin,) = pins_in(ROOT / "requirements/linux-x86_64-py3.13-lsl.txt")
    (plain,) = pins_in(ROOT / "requirements/linux-aarch64-py3.13-lsl.txt")
    assert pin != plain


WITHOUT_PARTS = """
import sys
for name in ("cbor2", "edfio", "pyarrow", "pylsl", "psycopg", "serial", "xlsxwriter"):
    sys.modules[name] = None
"""


def test_every_module_is_compiled_though_no_optional_part_is_installed() -> None:
    script = (ROOT / "install.sh").read_text(encoding="utf-8")
    (compiles,) = re.findall(
        r"<<'PYTHON'\n(import importlib, pkgutil\n.*?)^PYTHON$", script, re.M | re.S
    )
    last = "print(*(name for name in sys.modules if name.startswith('dashboard.web')))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_PARTS + compiles + last],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "dashboard.web.app" in done.stdout.split()
