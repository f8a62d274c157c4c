"""A small appliance in a folder, whose releases only move links."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.appliance.trust import NAMESPACE
from edge_agent.appliance.update import Installation, update
from edge_agent.core import clock
from edge_agent.timeline.database.upgrade import migrate
from tests.support.clocks.simulated_time import Seconds

INSTALL = """#!/usr/bin/env bash
# The two verbs that updates use of the real install.sh, on links alone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
case "$1" in
  --build)
    [ ! -e "$here/unbuildable" ] || { echo "no space left" >&2; exit 1; }
    folder=PROGRAM/releases/$(cat "$here/VERSION")
    cp -r "$here" "$folder"; touch "$folder/.complete"
    echo "building"; echo "$folder" ;;
  --activate)
    before=$(readlink PROGRAM/current)
    [ "$before" = "$here" ] || ln -sfn "$before" PROGRAM/previous
    ln -sfn "$here" PROGRAM/current
    [ ! -e "$here/migrates" ] || \
      python3 -c 'import sqlite3 as s; s.connect("DATABASE").execute("PRAGMA user_version = 999")'
    [ ! -e "$here/unstartable" ] || { echo "the agent did not start" >&2; exit 1; } ;;
esac
"""
SYSTEMCTL = """#!/usr/bin/env bash
# Two services that run as long as the current release is well; one that restarts has another
# process each time, and one that is unstoppable does not end.
echo "$*" >> CALLS
[ "$1" != stop ] || [ ! -e PROGRAM/current/unstoppable ] || { echo "timed out" >&2; exit 1; }
[ "$1" = show ] || exit 0
if [ -e PROGRAM/current/restarts ]; then echo "$RANDOM"; else echo 41; fi
echo; echo 42
"""


def make_key(file: Path) -> Path:
    words = ["-q", "-t", "ed25519", "-N", "", "-f", str(file)]
    subprocess.run(["ssh-keygen", *words], check=True)
    return file


@dataclass
class Appliance:
    """A small appliance in a folder."""

    place: Installation
    folder: Path
    key: Path
    said: list[str]

    def release(self, version: str, *traits: str) -> Path:
        top = self.folder / "made" / f"affect-edge-{version}"
        shutil.rmtree(top, ignore_errors=True)
        fill(top, self, version, *traits)
        archive = self.folder / f"{version}.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(top, top.name)
        archive.with_name(f"{archive.name}.sig").unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", self.key, "-n", NAMESPACE, archive], check=True
        )
        return archive

    def update(self, archive: Path) -> str:
        return update(self.place, str(archive), self.said.append)

    def runs(self) -> str:
        return (self.place.current() / "VERSION").read_text().strip()

    def releases(self) -> list[str]:
        return sorted(folder.name for folder in (self.place.program / "releases").iterdir())

    def is_untouched(self) -> bool:
        """Tell whether nothing was built, and no service was stopped."""
        return self.releases() == ["1.0.0"] and not (self.folder / "calls").exists()


def fill(top: Path, appliance: Appliance, version: str, *traits: str) -> None:
    (top / "venv/bin").mkdir(parents=True)
    (top / "config").mkdir()
    (top / "VERSION").write_text(f"{version}\n")
    script = INSTALL.replace("PROGRAM", str(appliance.place.program))
    script = script.replace("DATABASE", str(appliance.place.database))
    public = appliance.key.with_suffix(".pub").read_text()
    (top / "config/release-signers").write_text(f'release namespaces="{NAMESPACE}" {public}')
    check = "exit 1" if "picky" in traits else "exit 0"
    for file, text in (
        (top / "install.sh", script),
        (top / "venv/bin/affect-edge", f"#!/bin/sh\n{check}\n"),
    ):
        file.write_text(text)
        file.chmod(0o755)
    for trait in traits:
        (top / trait).touch()


class _Healthz(http.server.BaseHTTPRequestHandler):
    answer = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer if self.path == "/healthz" else b"")

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def web_server(answer: bytes) -> Iterator[int]:
    """A web server that gives an answer to ``/healthz``; gives its port."""
    handler = type("Handler", (_Healthz,), {"answer": answer})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join(60)


@pytest.fixture
def port() -> Iterator[int]:
    """Where something answers as the dashboard does."""
    with web_server(b'{"status": "ok"}') as port:
        yield port


@pytest.fixture
def appliance(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> Appliance:
    """An appliance with release 1.0.0 and a database, on which a minute passes at once."""
    seconds = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    monkeypatch.setattr(clock, "sleep", seconds.wait)
    place = Installation(tmp_path / "opt", tmp_path / "data", tmp_path / "affect-edge.toml")
    key = make_key(tmp_path / "key")
    made = Appliance(place, tmp_path, key, [])
    place.config.write_text(f"[dashboard]\nport = {port}\n")
    fill(place.program / "releases/1.0.0", made, "1.0.0", ".complete")
    (place.program / "current").symlink_to(place.program / "releases/1.0.0")
    migrate(place.database)
    tools = tmp_path / "bin"
    tools.mkdir()
    text = SYSTEMCTL.replace("PROGRAM", str(place.program))
    text = text.replace("CALLS", str(tmp_path / "calls"))
    (tools / "systemctl").write_text(text)
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return made
