"""What podman needs to be told on this machine so that it can run containers, and build them."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

BASE = "localhost/affect-edge-base"
"""A Debian 13 made here, where no registry of images can be reached."""
_HYBRID = Path("/sys/fs/cgroup/unified")
_PROCESSES = 4096


def engine_settings(folder: Path) -> dict[str, str]:
    """Return variables with which podman starts containers here.

    podman asks for more open files than the root of some machines may give (there crun says
    ``setrlimit: Operation not permitted``), and crun starts none where both versions of cgroups are
    mounted, which runc does. Whoever has set ``CONTAINERS_CONF`` knows better.

    Args:
        folder: where podman's configuration is written.
    """
    if "CONTAINERS_CONF" in os.environ:
        return {}
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = _PROCESSES if most == resource.RLIM_INFINITY else min(_PROCESSES, most)
    lines = [
        "[containers]",
        f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]',
    ]
    if _HYBRID.exists() and shutil.which("runc"):
        lines += ["[engine]", 'runtime = "runc"']
    file = folder / "containers.conf"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"CONTAINERS_CONF": str(file)}


def build_words(folder: Path, architecture: str = "") -> str:
    """Return the words for ``make container ARGS=…`` with which a build succeeds on this machine.

    Where a proxy has an authority of its own, that pip here is told to trust (``PIP_CERT``), pip
    in the build is told, too. Where no registry can be reached, Debian 13 is made by debootstrap.

    Args:
        folder: for what is made on the way.
        architecture: by Debian's name, such as arm64; left out: this machine's.
    """
    platform = [f"--platform=linux/{architecture}"] if architecture else []
    words = [*platform]
    trusted = os.environ.get("PIP_CERT")
    if trusted:
        settings = folder / "pip.conf"
        settings.write_text("[global]\ncert = /run/authorities.pem\n", encoding="utf-8")
        words += [f"--volume {trusted}:/run/authorities.pem:ro"]
        words += [f"--volume {settings}:/etc/pip.conf:ro"]
    debian = "docker.io/library/debian:trixie-slim"
    if not _succeeds("podman", "pull", "--quiet", *platform, debian):
        base = f"{BASE}-{architecture}" if architecture else BASE
        if not _succeeds("podman", "image", "exists", base):
            _make_base(folder / "debian", base, architecture)
        words += [f"--build-arg BASE={base}"]
    return " ".join(words)


def _make_base(root: Path, name: str, architecture: str) -> None:
    """Make an image of a minimal Debian 13 with the newest packages."""
    chosen = [f"--arch={architecture}"] if architecture else []
    made = ["debootstrap", "--variant=minbase", *chosen, "trixie", str(root)]
    subprocess.run(made, check=True, capture_output=True, timeout=3000)
    described = [f"--arch={architecture}", "--os=linux"] if architecture else []
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(["podman", "import", *described, "-", name], stdin=packed.stdout, check=True)
    shutil.rmtree(root)


def _succeeds(*words: str) -> bool:
    done = subprocess.run(words, capture_output=True, check=False, timeout=600)
    return done.returncode == 0
