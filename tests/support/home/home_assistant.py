"""The real Home Assistant as a process: its core with the MQTT integration.

Its environment is made once, outside of the tree, and kept:
``~/.cache/affect-edge/home-assistant-VERSION``. It is 540 MB large.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.broker import free_port
from tools.cannot_run import write_reason

VERSION = "2025.1.4"
PAHO = "paho-mqtt==1.6.1"
"""What the MQTT integration of this version asks for."""
CORE = Path(__file__).with_name("core.py")


def environment() -> Path:
    """Return the Python of Home Assistant's environment; make it where it is missing.

    Raises:
        FileNotFoundError: there is no Python 3.12, which this version needs.
        subprocess.CalledProcessError: it could not be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "affect-edge" / f"home-assistant-{VERSION}"
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    if stamp.exists():
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([_python_3_12(), "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "-q", "--disable-pip-version-check"]
    wheels = folder / "wheels"
    subprocess.run(
        [*pip, "download", "--no-deps", "-d", str(wheels), f"homeassistant=={VERSION}"], check=True
    )
    wheel = next(wheels.glob("homeassistant-*.whl"))
    # without its own list of versions pip tries hundreds
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("homeassistant/package_constraints.txt", wheels)
    constraints = wheels / "homeassistant" / "package_constraints.txt"
    subprocess.run(
        [*pip, "install", "--prefer-binary", "-c", str(constraints), str(wheel), PAHO], check=True
    )
    shutil.rmtree(wheels)
    stamp.write_text(VERSION, encoding="ascii")
    return python


def _python_3_12() -> str:
    """Return a Python 3.12."""
    candidates = [
        sys.executable,
        shutil.which("python3.12"),  # of pyenv, it may be there and not run
        *(str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.12*/bin/python"))),
    ]
    for candidate in filter(None, candidates):
        told = subprocess.run([candidate, "-V"], capture_output=True, text=True, check=False)
        if told.stdout.startswith("Python 3.12."):
            return candidate
    reason = f"Home Assistant {VERSION} needs Python 3.12, and there is none."
    write_reason(reason)
    raise FileNotFoundError(reason)


@dataclass(frozen=True, slots=True)
class Change:
    """What Home Assistant showed from a moment on.

    Attributes:
        at_ms: UTC milliseconds.
        entity: without the name of the device, such as ``sensor.heart_rate``.
        state: as it is shown.
        attributes: what stands beside it.
    """

    at_ms: float
    entity: str
    state: str
    attributes: dict[str, Any]


class HomeAssistant:
    """A running core, asked over its standard input.

    Args:
        folder: its configuration.
        broker_port: of the broker.
        user, password: its account there.
        automations: as a person would write them, read from YAML.
    """

    def __init__(
        self,
        folder: Path,
        broker_port: int,
        user: str,
        password: str,
        automations: Sequence[object] = (),
    ) -> None:
        folder.mkdir(parents=True)
        if automations:
            text = json.dumps(automations)
            (folder / "automations.json").write_text(text, encoding="utf-8")
        self._log = (folder / "log").open("w+", encoding="utf-8")
        where = [str(folder), str(broker_port), str(free_port()), user, password]
        self._process = subprocess.Popen(
            [str(environment()), str(CORE), *where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log()
        return json.loads(line)

    def ask(self, *question: str) -> Any:
        """Return the answer to a question, as core.py lists them."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def states(self, device: str) -> dict[str, dict[str, Any]]:
        """Return the entities of a device: ``sensor.heart_rate`` → state and attributes."""
        return {
            entity.replace(f".{device}_", ".", 1): state
            for entity, state in self.ask("states").items()
            if entity.partition(".")[2].startswith(f"{device}_")
        }

    def changes(self, device: str) -> list[Change]:
        """Return every change of an entity of a device since this was last asked."""
        return [
            Change(at_ms, entity.replace(f".{device}_", ".", 1), state, attributes)
            for at_ms, entity, state, attributes in self.ask("changes")
            if entity.partition(".")[2].startswith(f"{device}_")
        ]

    def log(self) -> str:
        """Return what it has logged: warnings and errors."""
        self._log.flush()
        self._log.seek(0)
        return self._log.read()

    def __enter__(self) -> Self:
        assert self._read() == "started"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()


def values(states: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Return entity and state of each."""
    return ((entity, state["state"]) for entity, state in states.items())
