"""The wheel holds what the appliance and the demo need, and no more."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.build_release import PACKAGES, copy

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        copy(ROOT / name, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    command = [*pip, "-w", str(folder), str(folder / "source")]
    subprocess.run(command, check=True, timeout=240, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_models_pages_and_portraits_but_no_training(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        r"edge_agent/vision/models/expression-accurate\.tflite",
        r"edge_agent/camera/portraits/astronaut\.jpg",
        r"dashboard/web/templates/live\.html",
        r"dashboard/languages/catalogues/de/marks\.json",
        r"affect_edge/app\.py",
        r".*\.data/data/share/man/man1/affect-edge\.1",
        r".*\.data/data/share/bash-completion/completions/affect-edge",
        r".*\.data/data/share/zsh/site-functions/_affect-edge",
        r".*\.data/data/share/fish/vendor_completions\.d/affect-edge\.fish",
    ):
        assert any(re.fullmatch(needed, name) for name in names), needed
    assert [name for name in names if name.startswith("training/") or name.endswith(".pt")] == []
    assert wheel.stat().st_size <= 4_850_000


def test_nothing_lies_in_it_twice(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        digests = [
            hashlib.sha256(archive.read(one)).digest()
            for one in archive.infolist()
            if one.file_size > 500
        ]
    assert len(digests) == len(set(digests)) > 400
