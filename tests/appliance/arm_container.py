"""The image of docs/containers.md for 64-bit ARM, on x86-64: `make test-container-arm`.

qemu plays the processor of a Raspberry Pi 5, for the build too, so it takes a quarter of an hour
and needs root. It says nothing of speed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.appliance.arm import PI_5, QEMU, arm_programs
from tests.appliance.composition import ROOT, needs_podman
from tests.appliance.engine import build_words, engine_settings
from tests.support.broker import wait_until

IMAGE = "localhost/affect-edge-arm64"
NAME = f"affect-edge-arm64-{os.getpid()}"
BUILD_S = 3000.0
SOON_S = 300.0
SETTINGS = {
    "QEMU_CPU": PI_5.name,
    "AFFECT_EDGE_CAMERA__SOURCE": "demo",
    "AFFECT_EDGE_MQTT__ENABLED": "false",
    "AFFECT_EDGE_VITALS__SIMULATED__ENABLED": "true",
}
ROWS = "SELECT count(*) AS rows, group_concat(DISTINCT emotion) AS emotions FROM expression"
pytestmark = [
    needs_podman,
    pytest.mark.timeout(BUILD_S + SOON_S),
    pytest.mark.skipif(os.geteuid() != 0, reason="it tells the kernel who runs ARM programs"),
    pytest.mark.skipif(
        platform.machine() != "x86_64", reason="this machine is none: make test-container"
    ),
    pytest.mark.skipif(shutil.which(QEMU) is None, reason="apt install qemu-user-static"),
]


class Engine:
    """podman, told what it needs on this machine and what processor qemu shows.

    Args:
        folder: for its configuration, and for what is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self._settings = engine_settings(folder)
        described = folder / "cpuinfo"
        described.write_text(PI_5.described(), encoding="ascii")
        self.as_pi = f"--volume={described}:/proc/cpuinfo:ro"

    def done(self, *words: str, within_s: float = SOON_S) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["podman", *words],
            cwd=ROOT,
            env=os.environ | self._settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )

    def run(self, *words: str, within_s: float = SOON_S) -> str:
        """Run a command of podman, which must succeed; return what it prints."""
        done = self.done(*words, within_s=within_s)
        assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """podman with the image built and an agent running in it; afterwards only the image is left."""
    folder = tmp_path_factory.mktemp("engine")
    with ExitStack() as stack:
        stack.enter_context(arm_programs(folder / "binfmt"))
        podman = Engine(folder)
        file = ("--format", "docker", "--file", "container/Containerfile", "--target", "program")
        words = build_words(folder, "arm64").split()
        podman.run("build", *file, "--tag", IMAGE, *words, podman.as_pi, ".", within_s=BUILD_S)
        given = [word for name, value in SETTINGS.items() for word in ("--env", f"{name}={value}")]
        hardened = ("--read-only", "--tmpfs", "/tmp", "--volume", f"{NAME}:/data", podman.as_pi)
        stack.callback(podman.done, "volume", "rm", NAME)
        stack.callback(podman.done, "rm", "--force", NAME)
        platform_words = ("--platform", "linux/arm64")
        podman.run("run", "--detach", "--name", NAME, *platform_words, *hardened, *given, IMAGE)
        yield podman


def inside(engine: Engine, *words: str) -> str:
    return engine.run("exec", NAME, *words)


def test_the_image_is_one_for_arm_whose_program_is_nobody_special(engine: Engine) -> None:
    assert engine.run("image", "inspect", "--format", "{{.Architecture}}", IMAGE) == "arm64"
    assert inside(engine, "uname", "-m") == "aarch64"
    assert inside(engine, "id", "--user") == "990"
    assert inside(engine, "sh", "-c", "touch /opt/x 2>&1 || true").endswith("file system")


def test_it_reads_faces_and_says_that_it_is_healthy(engine: Engine) -> None:
    def healthy() -> bool:
        return engine.done("exec", NAME, "affect-edge", "health", "agent").returncode == 0

    def recorded() -> dict[str, object]:
        said = inside(engine, "affect-edge", "sql", ROWS, "--format", "json")
        return dict(json.loads(said)[0])

    wait_until(healthy, "a healthy agent", SOON_S)
    wait_until(lambda: "happiness" in str(recorded()["emotions"]), "a smile", SOON_S)
    print(f"\n{engine.run('logs', NAME)[-400:]}\n{recorded()}")


def test_asked_to_stop_it_ends_in_order(engine: Engine) -> None:
    engine.run("stop", "--time", "60", NAME)
    assert engine.run("inspect", NAME, "--format", "{{.State.ExitCode}}") == "0"
