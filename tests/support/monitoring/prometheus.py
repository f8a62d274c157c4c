"""Prometheus as Debian packs it: the installed one, or its package unpacked into a folder."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.broker import free_port
from tests.support.timeline import wait_for

_DOWNLOAD_S = 120
_START_S = 60.0
_REASON = "Debian's package prometheus is not installed, and apt-get does not bring it"


def prometheus_program(name: str) -> Path:
    """Return ``prometheus`` or ``promtool``; a test is skipped where neither way brings it."""
    installed = shutil.which(name)
    if installed:
        return Path(installed)
    folder = _unpacked()
    if folder is None:
        pytest.skip(_REASON)
    program = folder / "usr/bin" / name
    if not program.exists():
        pytest.skip(f"Debian's package prometheus brings no {name} here")
    return program


@cache
def _unpacked() -> Path | None:
    """Unpack the package into a folder that ends with the tests; ``None``: it cannot be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    folder = Path(mkdtemp(prefix="prometheus-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        subprocess.run(
            ["apt-get", "download", "-qq", "prometheus"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=_DOWNLOAD_S,
        )
        (package,) = folder.glob("prometheus_*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True, capture_output=True)
        package.unlink()
    except (subprocess.SubprocessError, ValueError):
        return None
    return folder


class Prometheus:
    """A running Prometheus; see ``prometheus``."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, path: str) -> Any:
        """Return what its API answers, such as to ``targets`` or ``query?query=up``."""
        with urllib.request.urlopen(f"{self._address}/api/v1/{path}", timeout=60) as answer:
            return json.load(answer)["data"]

    def value(self, query: str) -> float | None:
        """Return the value of the only series that a query finds, ``None`` where it finds none."""
        found = self.ask(f"query?query={quote(query)}")["result"]
        return float(found[0]["value"][1]) if found else None

    def target(self) -> dict[str, Any]:
        """Return how the only thing that it collects from is doing; ``unknown`` before it began."""
        targets = self.ask("targets")["activeTargets"]
        return dict(targets[0]) if targets else {"health": "unknown"}


@contextmanager
def prometheus(folder: Path, config: Path) -> Iterator[Prometheus]:
    """Run Prometheus with a configuration until the end of the block; its data lie in a folder."""
    port = free_port()
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            [
                prometheus_program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'metrics'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        found = Prometheus(f"http://127.0.0.1:{port}")
        wait_for(lambda: running.poll() is not None or _answers(found), _START_S)
        assert running.poll() is None, log.read_text(encoding="utf-8")
        yield found
    finally:
        running.terminate()
        running.wait(60)


def _answers(running: Prometheus) -> bool:
    try:
        running.ask("query?query=1")
    except OSError:  # it does not listen yet, or is not ready
        return False
    return True
