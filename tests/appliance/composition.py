"""Containers of a compose file, as podman-compose starts them."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.support.broker import wait_until

ROOT = Path(__file__).resolve().parents[2]
needs_podman = pytest.mark.skipif(
    not (shutil.which("podman") and shutil.which("podman-compose")),
    reason="podman and podman-compose are not installed (apt install podman podman-compose)",
)


class Composition:
    """The services of a file, under a name of their own.

    Args:
        name: of the project.
        file: from the root of the project.
        settings: variables of the file, and of podman.
    """

    def __init__(self, name: str, file: str, settings: dict[str, str]) -> None:
        self.name = name
        self._file = file
        self._settings = settings

    def run(self, *words: str, check: bool = True, version: str = "latest") -> str:
        """Run a command with the settings of the composition; return what it prints."""
        done = subprocess.run(
            words,
            cwd=ROOT,
            env={**os.environ, **self._settings, "AFFECT_EDGE_VERSION": version},
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def compose(self, *words: str, version: str = "latest") -> None:
        self.run("podman-compose", "-p", self.name, "-f", self._file, *words, version=version)

    def container(self, part: str) -> str:
        """Return the name of the container of a service."""
        return f"{self.name}_{part}_1"

    def inside(self, part: str, *words: str, check: bool = True) -> str:
        """Run a command in the container of a part."""
        return self.run("podman", "exec", self.container(part), *words, check=check)

    def about(self, part: str, what: str) -> str:
        asked = ("podman", "inspect", self.container(part), "--format", f"{{{{.{what}}}}}")
        return self.run(*asked).strip()

    def first_account(self, port: int) -> tuple[urllib.request.OpenerDirector, str]:
        """Make it with the code that the dashboard prints; return a browser, and where it is."""
        log = self.log("dashboard")
        code = re.search(r"Setup code: (\S+)", log)
        assert code, log
        form = {"code": code[1], "name": "somebody", "password": "three words of a song"}
        context = ssl._create_unverified_context()
        browser = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor()
        )
        sent = urllib.parse.urlencode(form).encode()
        with browser.open(f"https://127.0.0.1:{port}/setup", sent) as answer:
            return browser, answer.url

    def log(self, part: str) -> str:
        return self.run("podman", "logs", self.container(part))

    def is_healthy(self, part: str) -> bool:
        """Ask by the health check; without systemd, podman does not do it by itself."""
        words = ["podman", "healthcheck", "run", self.container(part)]
        environment = {**os.environ, **self._settings}
        done = subprocess.run(words, capture_output=True, check=False, env=environment)
        return done.returncode == 0

    def wait_until_healthy(self, *parts: str) -> None:
        """Wait until each of some services says so."""
        for part in parts:
            wait_until(lambda part=part: self.is_healthy(part), f"{part} healthy")  # type: ignore[misc]
