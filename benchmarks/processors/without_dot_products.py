"""Times on this machine as if its processor had no int8 dot products (x86-64 only).

    python -m benchmarks.processors.without_dot_products [--json] [--rounds N] [--seconds N]

The runtime of the models asks the processor what it can do. Here its library is told that AVX-512
and the dot products are missing, so that it takes the code that it has for processors of that kind
(AVX2); OpenCV, and with it YuNet, does without AVX-512, too. What follows are `benchmarks.vision`
and the agent of `benchmarks.agent`. Their ratio to YuNet is that of an older server; a Raspberry
Pi 4 is of that kind, but has narrower vectors.

Needs a C compiler and objdump (binutils). On a machine without dot products nothing is measured:
there the others print these figures.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks._command import benchmark
from benchmarks._running import FPS, agent_on, write_demo_video
from benchmarks.agent import watch
from benchmarks.processors._masked import NEVER_ASKED, library_file
from edge_agent.appliance.bench import this_processor

HERE = Path(__file__).parent
KEPT = ("detect", "detect_near", "classify", "frame_640x480", "by_need", "yunet_320x240")
RATIOS = ("detector", "chain", "by_need")


def why_not() -> str | None:
    """Say what keeps this machine from playing one without; ``None`` when nothing does."""
    if platform.machine() != "x86_64":
        return (
            f"only x86-64 can be made to do without dot products, and this is {platform.machine()}"
        )
    if not this_processor().int8_dot:
        return "this processor has no int8 dot products: vision and agent print its figures"
    for program, package in {"cc": "gcc", "objdump": "binutils"}.items():
        if subprocess.run(["which", program], capture_output=True, check=False).returncode:
            return f"{program} is missing. Install with: sudo apt install {package}"
    return None


def prepare(folder: Path) -> None:
    """Put there what `_masked` needs."""
    helper = str(folder / "cpuid.so")
    words = ["cc", "-O2", "-shared", "-fPIC", "-o", helper, str(HERE / "_cpuid.c")]
    subprocess.run(words, check=True)
    words = ["objdump", "-d", "--no-show-raw-insn", str(library_file())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as disassembled:
        assert disassembled.stdout is not None
        lines = [line.split() for line in disassembled.stdout if "cpuid" in line]
    offsets = [int(words[0].rstrip(":"), 16) for words in lines if words[-1] == "cpuid"]
    (folder / "places.json").write_text(json.dumps(offsets), encoding="ascii")


def masked(folder: Path) -> list[str]:
    """Return the command before a module that is to do without."""
    return [sys.executable, "-m", "benchmarks.processors._masked", str(folder)]


def measure_vision(folder: Path, rounds: int) -> dict[str, float]:
    """Run the benchmark of the vision chain."""
    words = [*masked(folder), "benchmarks.vision", "--json", "--rounds", str(rounds)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"benchmarks.vision failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    wanted = [f"vision_{name}_ms" for name in KEPT] + [f"vision_{name}_to_yunet" for name in RATIOS]
    return {name: figures[name] for name in wanted if name in figures}


def measure_agent(folder: Path, seconds: float) -> dict[str, float]:
    """Run the agent on the demonstration's video."""
    video = folder / "demo.avi"
    write_demo_video(video)
    with agent_on(video, folder, [*masked(folder), "edge_agent", "run"]) as agent:
        figures = watch(agent, video, seconds)
    if NEVER_ASKED in (folder / "log.txt").read_text(encoding="utf-8"):
        raise SystemExit(NEVER_ASKED)
    if figures["agent_frames_per_second"] < 0.9 * FPS:
        raise SystemExit("the agent did not see 15 frames per second: the machine is too busy")
    kept = ("agent_cpu_percent", "agent_yunet_ms", "agent_to_yunet")
    return {name: figures[name] for name in kept if name in figures}


def measure(folder: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Return all figures; none, and why, where this machine cannot play one without."""
    reason = why_not()
    if reason is not None:
        print(f"benchmarks.processors.without_dot_products: {reason}", file=sys.stderr)
        return {}
    prepare(folder)
    measured = measure_vision(folder, rounds) | measure_agent(folder, seconds)
    return {f"without_dot_{name}": round(value, 3) for name, value in measured.items()}


if __name__ == "__main__":
    seconds = (20.0, "how long the agent is watched")
    benchmark(__doc__, measure, rounds=(25, "as for vision"), seconds=seconds)
