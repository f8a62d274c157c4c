"""The appliance's release on the Pi's processor, emulated: `make test-appliance-arm`.

The tests run in the order in which they stand, on one Debian for 64-bit ARM without a network; qemu
plays the processors of the Raspberry Pi 4 and 5. `SUITE=bookworm` takes Debian 12. How quick a Pi
is cannot be told from it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.camera.demo import DemoCamera
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.vision.align import crop_face
from edge_agent.vision.faces.detector import letterbox
from edge_agent.vision.models.card import read_card, shipped_models
from tests.appliance.arm import EXCHANGE, NEEDED, PI_4, PI_5, ArmRoot, Processor, what_is_missing
from tests.appliance.machine import CACHE, copy_checkout
from tests.support.vision.portraits import SERIOUS_FILE, SMILING_FILE, detector
from tools.build_release import build_release, pip
from tools.pin_requirements import pins_in, platform_options

SUITE = os.environ.get("SUITE", "trixie")
DOT_PRODUCT = 1 << 20
"""HWCAP_ASIMDDP of Linux (Documentation/arch/arm64/elf_hwcaps.rst): products of int8, for which
LiteRT has own code.
"""
AARCH64 = 183
"""e_machine of an ELF file, at byte 18 (System V ABI)."""
ONE_STEP = 1
VIEWS = 48
DEMO_ROUND_S = 28.0
PROBABILITY = 0.05
PIXELS = 2.0
"""What may differ over the whole chain: on ARM OpenCV's bilinear resizing, which makes the
detector's picture, gives a third of the grey values one more than on x86-64. Landmarks move by up
to a pixel, and the crop moves with them."""
SOON_S = 120.0
PLENTY_S = 1500.0
figures: dict[str, str] = {}


@pytest.fixture(scope="module")
def arm() -> Iterator[ArmRoot]:
    """A Debian for ARM that has never seen the project."""
    lacking = what_is_missing(
        os.getuid(), [name for name in NEEDED if shutil.which(name)], platform.machine()
    )
    if lacking:
        pytest.exit(f"make test-appliance-arm cannot run here: {lacking}", returncode=1)
    with ArmRoot(SUITE) as root, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CACHE_DIR", str(CACHE / "pip"))
        yield root
    print("\n" + "\n".join(f"  {name}: {value}" for name, value in figures.items()))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this checkout, as they are now."""
    copy = tmp_path_factory.mktemp("checkout") / "tree"
    copy_checkout(copy)
    return copy


@pytest.fixture(scope="module")
def pins(arm: ArmRoot, tree: Path) -> Path:
    """The file of requirements that is meant for this Debian."""
    python = arm.shell(
        PI_4, "python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'", SOON_S
    )
    return tree / f"requirements/linux-aarch64-py{python}.txt"


@pytest.fixture(scope="module")
def release(arm: ArmRoot) -> str:
    """The folder of the installed release; there once the test that installs it has run."""
    (folder,) = (arm.root / "opt/affect-edge/releases").iterdir()
    return f"/opt/affect-edge/releases/{folder.name}"


@pytest.fixture(scope="module")
def pictures() -> dict[str, Any]:
    """What each shipped model takes, uint8: views of the demonstration camera.

    Faces in them and small photographs.
    """
    camera = DemoCamera(width=640, height=480, fps=10)
    views = [camera.picture_at(DEMO_ROUND_S * view / VIEWS) for view in range(VIEWS)]
    finder = detector()
    faces = [(view, face) for view in views for face in finder.detect(view)]
    # Half of 100 faces of Labeled Faces in the Wild and 100 pieces without one, 25 × 25, 0…1, that
    # scikit-image brings.
    photographs = (
        (np.load(SMILING_FILE.with_name("lfw_subset.npy"))[::2] * 255).round().astype(np.uint8)
    )
    taken: dict[str, list[npt.NDArray[Any]]] = {}
    for name, path in shipped_models().items():
        card = read_card(path)
        size = card.input.width, card.input.height
        if card.kind == "face-detector":
            taken[name] = [letterbox(view, *size)[0] for view in views]
        else:
            crops = [
                crop_face(view, face, card.input.width, str(card.crop)) for view, face in faces
            ]
            taken[name] = crops + [cv2.resize(photograph, size) for photograph in photographs]
    return {name: np.stack(each) for name, each in taken.items()}


def here(tree: Path, *words: str) -> str:
    """Run a Python program on this machine's processor, with the code of the tree.

    Return what it prints.
    """
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_emulated_are_the_processors_of_the_pi(arm: ArmRoot) -> None:
    for processor, has_dot_product in ((PI_4, False), (PI_5, True)):
        said = arm.shell(
            processor, "uname -m; LD_SHOW_AUXV=1 /bin/true | sed -n 's/^AT_HWCAP: *//p'", SOON_S
        ).split()
        assert said[0] == "aarch64"
        assert bool(int(said[1], 16) & DOT_PRODUCT) is has_dot_product


def test_the_release_installs_from_its_hashed_wheels_without_a_network(
    arm: ArmRoot, tree: Path, pins: Path
) -> None:
    archive = build_release(tree, arm.exchange, [pins.stem])
    figures["release archive"] = f"{archive.stat().st_size / 1e6:.0f} MB, {pins.stem}"
    subprocess.run(["tar", "-xf", str(archive), "-C", str(arm.exchange)], check=True)
    unpacked = f"{EXCHANGE}/{archive.stem}"
    assert not list((arm.exchange / archive.stem / "wheels").glob("*x86_64*"))
    start = time.monotonic()
    # The two folders are there wherever systemd runs, which the installer asks for.
    line = (
        f"mkdir -p /run/systemd/system /run/lock; {unpacked}/install.sh --build --no-broker --yes "
        "--with lsl"
    )
    said = arm.shell(PI_4, line, PLENTY_S)
    figures["install"] = f"{time.monotonic() - start:.0f} s, emulated"
    assert "installing packages" not in said, said
    folder = said.splitlines()[-1]
    version = (arm.exchange / archive.stem / "VERSION").read_text("ascii").strip()
    assert folder == f"/opt/affect-edge/releases/{version}"
    assert (
        arm.shell(PI_4, f"{folder}/venv/bin/affect-edge --version", SOON_S)
        == f"affect-edge {version}"
    )


def test_each_package_is_the_pinned_one_and_made_for_arm(
    arm: ArmRoot, release: str, pins: Path
) -> None:
    venv = arm.root / release.lstrip("/") / "venv"
    infos = [
        folder.name.removesuffix(".dist-info").rsplit("-", 1)
        for folder in venv.rglob("*.dist-info")
    ]
    installed = {(comparable(name), version) for name, version in infos}
    files = (pins, pins.with_name(f"{pins.stem}-lsl.txt"))
    lines = [line.split()[0].split("==") for file in files for line in pins_in(file)]
    pinned = {(comparable(name), version) for name, version in lines}
    # what only builds and installs is taken out again
    left_out = {(name, version) for name, version in pinned if name in {"pip", "setuptools"}}
    assert installed - {("affect-edge", release.rpartition("/")[2])} == pinned - left_out
    libraries = [path for path in venv.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    assert libraries
    for library in libraries:
        with library.open("rb") as file:
            head = file.read(20)
        assert head[:4] == b"\x7fELF" and head[18] == AARCH64, library
    size = sum(
        path.stat().st_size for path in venv.rglob("*") if path.is_file() and not path.is_symlink()
    )
    figures["packages"] = (
        f"{len(installed)}, with {len(libraries)} compiled libraries, {size / 1e6:.0f} MB"
    )


def comparable(name: str) -> str:
    """Return the name of a package as packages are compared (PyPA, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("processor", [PI_4, PI_5], ids=lambda processor: processor.name)
def test_streams_of_a_laboratory_reach_a_reader_on_the_processor(
    processor: Processor, arm: ArmRoot, release: str
) -> None:
    shutil.copy(Path(__file__).with_name("laboratory_stream.py"), arm.exchange)
    line = f"{release}/venv/bin/python {EXCHANGE}/laboratory_stream.py 2>/dev/null"
    version, said = arm.shell(processor, line, PLENTY_S).splitlines()[-1].split(" ", 1)
    figures[f"liblsl on {processor.name}"] = version
    assert said == "['stimulus_start/anger']"


def test_streams_of_a_laboratory_without_their_library_are_refused(
    arm: ArmRoot, release: str
) -> None:
    hidden = f"mount -t tmpfs none {release}/venv/lib/python3*/site-packages/mne_lsl"
    functions = f"sed '$d' {release}/install.sh >/tmp/functions.sh; . /tmp/functions.sh"
    line = f"{hidden}; {functions}; parts=lsl; require_lsl {release}/venv"
    said = arm.shell(PI_4, f"({line}); echo", SOON_S)
    assert re.search(r"--with lsl: liblsl, .*, is missing for aarch64 and Python 3", said), said
    agent = (
        f"{hidden}; printf '[lsl]\\nenabled = true\\n' >/tmp/lsl.toml; "
        f"! {release}/venv/bin/affect-edge run --config /tmp/lsl.toml --data /tmp/data"
    )
    said = arm.shell(PI_4, agent, PLENTY_S)
    assert "To run without it, write enabled = false under [lsl]." in said


def test_portraits_are_read_as_on_x86_64(arm: ArmRoot, release: str, tree: Path) -> None:
    portraits = (SMILING_FILE, SERIOUS_FILE)
    for portrait in portraits:
        shutil.copy(portrait, arm.exchange)
    names = [portrait.name for portrait in portraits]
    inside = " ".join(f"{EXCHANGE}/{name}" for name in names)
    start = time.monotonic()
    said = arm.shell(
        PI_4, f"{release}/venv/bin/affect-edge classify --json {inside} 2>/dev/null", PLENTY_S
    )
    figures["classify, two portraits"] = f"{time.monotonic() - start:.0f} s, emulated"
    expected = here(
        tree,
        "-m",
        "edge_agent",
        "classify",
        "--json",
        *(str(arm.exchange / name) for name in names),
    )
    largest = 0.0
    for line, other in zip(said.splitlines(), expected.splitlines(), strict=True):
        (face,) = json.loads(line)["faces"]
        (same,) = json.loads(other)["faces"]
        assert (face["emotion"], face["uncertain"]) == (same["emotion"], same["uncertain"])
        assert face["box"] == pytest.approx(same["box"], abs=PIXELS)
        differences = [
            abs(face["probabilities"][name] - value)
            for name, value in same["probabilities"].items()
        ]
        largest = max(largest, *differences)
    figures["classify, largest difference of a probability to x86-64"] = (
        f"{largest:.4f} (bar {PROBABILITY})"
    )
    assert largest <= PROBABILITY
    words = arm.shell(
        PI_5, f"{release}/venv/bin/affect-edge classify {inside} 2>/dev/null", PLENTY_S
    )
    assert re.search(
        r"astronaut\.png: happiness \(happiness \d+%, .*\) at \d+,\d+ \d+×\d+", words
    ), words
    assert re.search(r"grace_hopper\.jpg: \w+ \(", words), words
    print(f"\n{words}")


@pytest.mark.parametrize("processor", [PI_4, PI_5], ids=lambda processor: processor.name)
def test_each_model_answers_as_on_x86_64_within_one_step(
    processor: Processor, arm: ArmRoot, release: str, tree: Path, pictures: dict[str, Any]
) -> None:
    program = Path(__file__).with_name("answers.py")
    shutil.copy(program, arm.exchange)
    np.savez(arm.exchange / "pictures.npz", **pictures)
    inside = [f"{EXCHANGE}/{name}" for name in ("answers.py", "pictures.npz", "arm.npz")]
    arm_is = arm.shell(
        processor, f"{release}/venv/bin/python {' '.join(inside)} 2>/dev/null", PLENTY_S
    )
    here_is = here(
        tree, str(program), *(str(arm.exchange / name) for name in ("pictures.npz", "here.npz"))
    )
    print(f"\n{processor.name}: {arm_is}\nhere: {here_is}")
    shipped = {path.stem for path in (tree / "edge_agent/vision/models").glob("*.tflite")}
    assert set(pictures) == shipped
    with np.load(arm.exchange / "arm.npz") as theirs, np.load(arm.exchange / "here.npz") as ours:
        assert set(theirs) == set(ours) and {name.split()[0] for name in ours} == shipped
        for model in sorted(shipped):
            largest, equal = compared(
                [(theirs[name], ours[name]) for name in ours if name.split()[0] == model]
            )
            figures[f"{model} on {processor.name}"] = (
                f"{len(pictures[model])} pictures, largest difference {largest} (bar {ONE_STEP}), "
                f"{equal:.4%} equal"
            )
            assert largest <= ONE_STEP


def compared(answers: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> tuple[int, float]:
    """Return the largest difference of two models' int8 answers in steps, and the equal share."""
    for theirs, ours in answers:
        assert theirs.dtype == ours.dtype == np.int8 and theirs.shape == ours.shape
    differences = np.concatenate(
        [np.abs(one.astype(int) - other).ravel() for one, other in answers]
    )
    return int(differences.max()), float((differences == 0).mean())


def test_the_demonstration_runs_for_half_a_minute_and_records_faces(
    arm: ArmRoot, release: str, pins: Path
) -> None:
    # Of these two packages only the portraits are used.
    options = platform_options("aarch64", pins.stem.rpartition("py")[2])
    packages = arm.exchange / "portraits"
    pip(
        "install",
        "--no-deps",
        "--no-compile",
        "--ignore-requires-python",
        "--target",
        str(packages),
        *options,
        "matplotlib",
        "scikit-image",
    )
    start = time.monotonic()
    line = (
        f"PYTHONPATH={EXCHANGE}/portraits {release}/venv/bin/affect-edge demo --seconds 30 "
        f"--data {EXCHANGE}/demo"
    )
    said = arm.shell(PI_5, line, PLENTY_S)
    seconds = time.monotonic() - start
    print(f"\n{said}")
    for words in ("the agent runs", "camera demo is open", "the demonstration has ended"):
        assert words in said
    assert "Traceback" not in said and "ERROR" not in said
    with closing(sqlite3.connect(arm.exchange / "demo" / DATABASE_NAME)) as database:
        rows = "count(*), sum(frames), group_concat(DISTINCT emotion)"
        count, frames, emotions = database.execute(
            f"SELECT {rows} FROM expression WHERE boot IS NOT NULL"
        ).fetchone()
        (vitals,) = database.execute("SELECT count(*) FROM vital WHERE boot IS NOT NULL").fetchone()
    assert count > 0 and vitals > 0
    figures["demo --seconds 30"] = (
        f"{count} rows of {frames} frames ({emotions}) and {vitals} readings; {seconds:.0f} s "
        "with its start, emulated"
    )
