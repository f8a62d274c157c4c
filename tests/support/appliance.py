"""The agent as the process that people run, with a configuration of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.broker import DEADLINE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]


def toml_of(settings: dict[str, dict[str, Any]]) -> str:
    """Return a TOML text of tables of plain values."""
    lines: list[str] = []
    for table, values in settings.items():
        lines.append(f"[{table}]")
        for key, value in values.items():
            lines.append(f"{key} = {json.dumps(value)}")
    text = "\n".join(lines) + "\n"
    tomllib.loads(text)
    return text


class Appliance:
    """One run of ``affect-edge``; leaving the context kills what still runs.

    Args:
        folder: for configuration, data and what it prints.
        settings: tables of the configuration.
        words: the command and its options, without ``--config`` and ``--data``.
        module: what is run instead of the program itself, with the same options.
        environment: variables on top of those of the test.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, dict[str, Any]],
        *words: str,
        module: str = "edge_agent",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "affect-edge.toml"
        self.config.write_text(toml_of(settings), encoding="utf-8")
        self.data = folder / "data"
        self.output = folder / "output.txt"
        self._words = [*(words or ("run",)), "--config", str(self.config), "--data", str(self.data)]
        self._module = module
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        return self.data / "affect-edge.db"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def start(self) -> Self:
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, *self._words],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        return self

    def wait_for(self, text: str, deadline_s: float = DEADLINE_S) -> None:
        """Return once it has printed ``text``."""
        wait_until(
            lambda: text in self.said or self.has_ended, f"{text!r} in what it prints", deadline_s
        )
        assert text in self.said, self.said

    @property
    def has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = DEADLINE_S) -> int:
        """Send a signal and return the exit code."""
        assert self._process is not None
        self.send(number)
        return self._process.wait(within_s)

    def wait(self, within_s: float = DEADLINE_S) -> int:
        """Wait until it ends by itself and return the exit code."""
        assert self._process is not None
        return self._process.wait(within_s)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)
