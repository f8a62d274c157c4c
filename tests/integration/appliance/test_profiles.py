"""A real agent gets a profile, is started again with it, and loses it when it dies of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_agent.appliance.profiles.applying import ProfileApplier
from edge_agent.appliance.profiles.fetching import fetch_profile
from edge_agent.appliance.profiles.index import profile_of
from edge_agent.appliance.profiles.place import ProfilePlace, read_state
from edge_agent.appliance.profiles.publishing import make_profile
from edge_agent.appliance.profiles.watching import service_watch
from edge_agent.appliance.running_checks import agent_health
from edge_agent.appliance.trust import read_key_file
from edge_agent.appliance.update import Place
from edge_agent.config import load_settings
from edge_agent.core.errors import UpdateError
from edge_agent.runtime.live_feed import SOCKET_NAME
from tests.support.broker import wait_until

CONFIG = """[camera]
source = "demo"
fps = 12.0

[mqtt]
enabled = false
"""
SYSTEMCTL = """#!/bin/sh
# The agent as systemd starts it; at 7 frames per second it dies soon.
case "$1" in
  show) cat TOP/pid; echo; echo 42 ;;
  restart)
    old=$(cat TOP/pid 2>/dev/null || true)
    if [ -n "$old" ]; then
      kill "$old" 2>/dev/null
      for i in $(seq 200); do kill -0 "$old" 2>/dev/null || break; sleep 0.1; done
    fi
    rm -f TOP/data/live.sock
    setsid PYTHON -m edge_agent run --config TOP/etc/edge.toml --data TOP/data \\
      >>TOP/log 2>&1 </dev/null &
    echo $! >TOP/pid
    # Type=notify: it has started when it is ready
    for i in $(seq 600); do [ -S TOP/data/live.sock ] && break; sleep 0.1; done
    if grep -q 'fps = 7' TOP/etc/edge.toml; then
      (sleep 3; kill -9 "$(cat TOP/pid)") >/dev/null 2>&1 &
    fi ;;
esac
"""


@dataclass
class Appliance:
    """An appliance whose agent runs."""

    top: Path
    place: ProfilePlace

    def give(self, fps: str, version: str) -> str:
        """Publish a profile and let the appliance take it, watched for some seconds."""
        profile = profile_of(
            number=int(version),
            name="frames",
            version=version,
            stage=1000,
            settings=f"[camera]\nfps = {fps}\n",
        )
        make_profile(self.top / "published", profile, (), self.top / "key")
        fetch_profile(self.place, str(self.top / "published"), "room-1", 1)
        watch = service_watch(self.place, seconds=6.0, look_seconds=0.5)
        return ProfileApplier(self.place, "room-1", watch, print).run()

    def pid(self) -> str:
        return (self.top / "pid").read_text()

    def is_well(self) -> bool:
        return agent_health(self.place.appliance.data / SOCKET_NAME) is not None


pytestmark = pytest.mark.deep


@pytest.fixture
def appliance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Appliance]:
    place = ProfilePlace(Place(tmp_path / "opt", tmp_path / "data", tmp_path / "etc/edge.toml"))
    for name in ("opt", "data", "etc", "bin"):
        (tmp_path / name).mkdir()
    place.appliance.config.write_text(CONFIG)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    place.trust.add(read_key_file(tmp_path / "key.pub"))
    tool = tmp_path / "bin/systemctl"
    tool.write_text(SYSTEMCTL.replace("TOP", str(tmp_path)).replace("PYTHON", sys.executable))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    subprocess.run([tool, "restart"], check=True)
    made = Appliance(tmp_path, place)
    try:
        wait_until(made.is_well, "the agent", 60)
        yield made
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(made.pid()), signal.SIGTERM)


def test_an_agent_runs_on_with_a_good_profile_and_loses_a_bad_one(appliance: Appliance) -> None:
    before = appliance.pid()
    assert appliance.give("8.0", "1") == "frames 1 is applied."
    second = appliance.pid()
    assert second != before and appliance.is_well()
    with pytest.raises(UpdateError, match=r"frames 2 was taken back\. The agent does not answer"):
        appliance.give("7.0", "2")
    assert load_settings(appliance.place.appliance.config).camera.fps == 8.0
    wait_until(appliance.is_well, "the agent with the profile of before", 60)
    assert appliance.pid() != second
    standing = read_state(appliance.place.state).standing
    assert standing is not None and (standing.version, standing.state) == ("2", "taken_back")
