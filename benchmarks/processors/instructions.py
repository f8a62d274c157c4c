"""Instructions that processors without a machine here would run for models and chain.

    python -m benchmarks.processors.instructions [--json] [--processor NAME …] [--yunet MODEL.onnx]

qemu plays the processor, and a plugin of ours (`_count.c`) counts; what runs is `_work.py`: each
model on the frame of `benchmarks.vision`, YuNet at 320 × 240, and the chain that follows one face
at 15 frames/s, mean of its frames. A count is the same on each machine, and is no time: processors
run one to eight instructions in a tick, and those of a wide vector unit do more each.

- ``a72``: Cortex-A72, the Raspberry Pi 4: no int8 dot products;
- ``a76``: Cortex-A76, the Raspberry Pi 5: with them;
- ``avx2``: an Intel Haswell: x86-64 without them.

The first two need what `make test-appliance-arm` needs (its Debian for ARM is made when it is
missing, once, by root) and, once, packages for ARM by pip; all of them need qemu-user and a C
compiler. YuNet's model is looked for in the shared data (`benchmarks/_shared.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks._command import command, show
from benchmarks._shared import YUNET
from benchmarks.vision import portrait
from tests.appliance.arm import (
    NEEDED,
    PACKAGES,
    PI_4,
    PI_5,
    Processor,
    arm_programs,
    what_is_missing,
)
from tests.appliance.machine import CACHE, bare_root
from tools.pin_requirements import platform_options

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUITE = "trixie"
PYTHON = "3.13"
"""Of that Debian."""
SIZE = 640, 480
STAGES = ("yunet", "detector", "accurate", "fast", "chain_every_frame", "chain_by_need")
PROCESSORS: Mapping[str, Processor | str] = {"a72": PI_4, "a76": PI_5, "avx2": "Haswell"}
"""Those of ARM, or qemu's name of one of x86-64."""
VERSION_SINCE_9 = 2
"""Of qemu's interface for plugins."""


@dataclass(frozen=True, slots=True)
class Emulated:
    """How to run Python on a processor.

    Attributes:
        words: the command, with ``{plugin}`` for qemu's option of that name.
        environment: what it needs to be told.
    """

    words: list[str]
    environment: dict[str, str]


def build_plugin(folder: Path) -> Path:
    """Translate the plugin for the qemu that is installed.

    Args:
        folder: where it is put.

    Returns:
        Its file.
    """
    answer = subprocess.run(
        ["qemu-aarch64", "--version"], capture_output=True, text=True, check=True
    ).stdout
    version = re.search(r"version (\d+)", answer)
    interface = 1
    if version is not None and int(version.group(1)) >= 9:
        interface = VERSION_SINCE_9
    plugin = folder / "count.so"
    words = ["cc", "-O2", "-shared", "-fPIC", f"-DVERSION={interface}", "-o", str(plugin)]
    subprocess.run([*words, str(HERE / "_count.c")], check=True)
    return plugin


def arm_python(processor: Processor, folder: Path) -> Emulated:
    """Return how to run the Python of a Debian for ARM, without being root.

    Args:
        processor: what qemu plays.
        folder: a new one, for what qemu looks into first when the program opens a file.
    """
    root = CACHE / f"{SUITE}-arm64"
    if not (root / ".complete").exists():
        lacking = what_is_missing(
            os.getuid(), [name for name in NEEDED if shutil.which(name)], "x86_64"
        )
        if lacking:
            raise SystemExit(f"the Debian for ARM cannot be made: {lacking}")
        with tempfile.TemporaryDirectory() as register, arm_programs(Path(register) / "binfmt"):
            bare_root(SUITE, PACKAGES, "arm64")
    packages = arm_packages()
    for name in ("lib", "usr", "etc"):
        (folder / name).symlink_to(root / name)
    # The runtime chooses its code by this file, which qemu would take from this machine.
    (folder / "proc").mkdir()
    (folder / "proc/cpuinfo").write_text(processor.described(), encoding="ascii")
    words = ["qemu-aarch64", "-L", str(folder), "-cpu", processor.name, "{plugin}"]
    environment = {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": f"{ROOT}:{packages}"}
    return Emulated([*words, str(root / f"usr/bin/python{PYTHON}")], environment)


def arm_packages() -> Path:
    """Return the folder of the appliance's packages for ARM; pip fetches them once."""
    pins = ROOT / f"requirements/linux-aarch64-py{PYTHON}.txt"
    folder = CACHE / f"packages-arm64-py{PYTHON}"
    if not folder.exists():
        made = folder.with_name(folder.name + ".new")
        shutil.rmtree(made, ignore_errors=True)
        words = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile"]
        words += ["--ignore-requires-python", *platform_options("aarch64", PYTHON)]
        subprocess.run([*words, "--target", str(made), "-r", str(pins)], check=True)
        made.rename(folder)
    return folder


def x86_python(name: str) -> Emulated:
    """Return how to run this Python on a processor of x86-64.

    Args:
        name: qemu's for it.
    """
    words = ["qemu-x86_64", "-cpu", name, "{plugin}", sys.executable]
    return Emulated(words, {"PYTHONPATH": str(ROOT)})


def counted(emulated: Emulated, plugin: Path, frame: Path, yunet: Path) -> dict[str, float]:
    """Run the work on an emulated processor.

    Returns:
        Million instructions of each stage, for one frame.
    """
    marks_file = plugin.with_suffix(".marks")
    option = ["-plugin", f"{plugin},out={marks_file}"]
    words: list[str] = []
    for word in emulated.words:
        words += option if word == "{plugin}" else [word]
    words += [str(HERE / "_work.py"), str(frame), str(yunet)]
    environment = os.environ | emulated.environment | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{emulated.words[0]} failed:\n{done.stderr[-2000:]}")
    marks: dict[int, int] = {}
    for line in marks_file.read_text("ascii").splitlines():
        _, number, count = line.split()
        marks[int(number)] = int(count)
    return million_a_frame(done.stdout, marks)


def million_a_frame(output: str, marks: Mapping[int, int]) -> dict[str, float]:
    """Return million instructions of each stage, for one frame.

    Args:
        output: what the work printed: ``stage NAME MARK FRAMES`` for each; the next mark ends it,
            and the first stage does nothing.
        marks: instructions since the start, by the mark's number.
    """
    counts: dict[str, float] = {}
    empty = 0
    for line in output.splitlines():
        word, name, *numbers = line.split()
        if word != "stage":
            continue
        first, frames = map(int, numbers)
        spent = marks[first + 1] - marks[first]
        if name == "nothing":
            empty = spent
            continue
        counts[name] = (spent - empty) / frames / 1e6
    return counts


def figures_of(name: str, counts: Mapping[str, float]) -> dict[str, float]:
    """Return what is printed for one processor: the counts, and the chain against YuNet."""
    figures = {f"instructions_{name}_{stage}_million": round(counts[stage], 2) for stage in STAGES}
    for stage in ("chain_every_frame", "chain_by_need"):
        ratio = counts[stage] / counts["yunet"]
        figures[f"instructions_{name}_{stage}_to_yunet"] = round(ratio, 3)
    return figures


def main() -> None:
    """Count and print."""
    parser = command(__doc__)
    parser.add_argument("--yunet", type=Path, default=YUNET, help="the model to compare with")
    parser.add_argument(
        "--processor", action="append", choices=sorted(PROCESSORS), help="this one alone"
    )
    options = parser.parse_args()
    lacking = [name for name in ("qemu-aarch64", "qemu-x86_64", "cc") if not shutil.which(name)]
    if lacking:
        raise SystemExit(
            f"missing: {', '.join(lacking)}. Install with: sudo apt install qemu-user gcc"
        )
    if not options.yunet.exists():
        raise SystemExit(f"no {options.yunet}, and nothing to compare with. Give --yunet FILE.")
    figures: dict[str, float] = {}
    for name in options.processor or PROCESSORS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            plugin = build_plugin(folder)
            np.save(folder / "frame.npy", portrait(*SIZE))
            processor = PROCESSORS[name]
            if isinstance(processor, Processor):
                (folder / "first").mkdir()
                emulated = arm_python(processor, folder / "first")
            else:
                emulated = x86_python(processor)
            counts = counted(emulated, plugin, folder / "frame.npy", options.yunet)
            figures |= figures_of(name, counts)
    show(figures, as_json=options.json)


if __name__ == "__main__":
    main()
