"""The demonstration: agent and dashboard without a camera, a sensor or a broker."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from edge_agent.agent.loop import Agent
from edge_agent.appliance.running_checks import family_of
from edge_agent.config.loading import SYSTEM_FILE, load_settings
from edge_agent.config.section import at_home
from edge_agent.config.settings import Settings
from edge_agent.core.errors import ServerError
from edge_agent.core.owners import become_owner_of, rights_of_children
from edge_agent.core.process import StopSignals
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.study.example_study import seed_example_study, seed_example_weeks
from edge_agent.vitals.simulated import SimulatedPerson

log = logging.getLogger(__name__)

SEED = 2026  # of the example study
STOP_S = 5.0
GREETING = """
  {line}

  A demonstration camera, simulated vital signs, and an example study of made-up people.
  Ctrl-C ends it. The link works once: for another browser, press Enter here.
"""
_LINK = "/login?link="
PR_SET_PDEATHSIG = 1  # of prctl(2)
PREVIEW_VARIABLE = "AFFECT_EDGE_CAPTURE__PREVIEW"
CHANGES: dict[str, dict[str, Any]] = {
    "camera": {"source": "demo"},
    "vitals": {"simulated": {"enabled": True}},
}
FILE_NAME = "demo.toml"
_TEXT = """\
# The demonstration. Its camera and its vital signs are these, whatever stands here.
[camera]
source = "demo"

[vitals.simulated]
enabled = true
"""


def run_demo(
    config: Path | None, data: Path | None, seconds: float | None, port: int | None
) -> int:
    """Run the demonstration until Ctrl-C, or for ``seconds``.

    Args:
        config: configuration to start from; camera and vitals are always the demonstration's.
            ``None``: that of the system, else one of its own in the data folder.
        data: data folder; ``None`` is a temporary one that is removed at the end.
        seconds: how long; ``None`` is until Ctrl-C.
        port: of the dashboard; ``None`` takes the configured one, or a free one when that is taken.

    Returns:
        Exit code: 0 after an orderly end, 1 when agent or dashboard died.

    Raises:
        AffectEdgeError: it could not start.
    """
    settings = _settings(config)
    signals = StopSignals()
    with ExitStack() as stack:
        if data is None:
            data = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="affect-edge-demo-"))
            )
        folder = at_home(data)
        become_owner_of(folder)
        if config is None and not SYSTEM_FILE.exists():
            config = own_file(folder)
            settings = _settings(config)
        free_port = _free_port(settings, port)  # before the study is made, which takes seconds
        agent = Agent(settings, folder)  # has the database to itself from here on
        if seed_example_study(folder / DATABASE_NAME, SimulatedPerson, seed=SEED):
            seed_example_weeks(folder / DATABASE_NAME, SimulatedPerson, seed=SEED)
        preview = settings.capture.preview
        dashboard = Dashboard(config, folder, free_port, agent, {PREVIEW_VARIABLE: preview})
        stack.callback(dashboard.stop)
        signals.call(agent.stop)
        if seconds is not None:
            timer = threading.Timer(seconds, agent.stop)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        dashboard.start()
        code = agent.run()
        if dashboard.died:
            raise ServerError(
                f"The dashboard ended by itself (exit code {dashboard.exit_code}); its words stand "
                "above."
            )
        log.info("the demonstration has ended")
        return code


def own_file(folder: Path) -> Path:
    """Return the demonstration's own configuration in its data folder: rules of alerts are made in
    the browser, and stand in a file.
    """
    file = folder / FILE_NAME
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(_TEXT, encoding="utf-8")
    return file


def _settings(config: Path | None) -> Settings:
    return _with_preview(_without_unnamed_broker(load_settings(config, CHANGES)))


def _without_unnamed_broker(settings: Settings) -> Settings:
    """Return the settings with MQTT off where nobody named a broker: none is missed then."""
    if "mqtt" in settings.model_fields_set:
        return settings
    off = settings.mqtt.model_copy(update={"enabled": False})
    return settings.model_copy(update={"mqtt": off})


def _with_preview(settings: Settings) -> Settings:
    """Return the settings with the preview allowed where nobody forbade it.

    Its pictures show nobody but the two portraits; page Live shows them by itself.
    """
    if "preview" in settings.capture.model_fields_set:
        return settings
    shown = settings.capture.model_copy(update={"preview": "allowed"})
    return settings.model_copy(update={"capture": shown})


def _free_port(settings: Settings, port: int | None) -> int:
    """Return ``port``, else the configured one, or a free one when somebody
    else listens there.

    Raises:
        ServerError: the dashboard could not listen there.
    """
    host = settings.dashboard.host
    wanted = port or settings.dashboard.port
    try:
        with socket.create_server((host, wanted), family=family_of(host)):
            return wanted
    except OSError as error:
        if port is not None or error.errno != errno.EADDRINUSE:
            raise ServerError(
                f"The demonstration cannot listen on port {wanted} of dashboard.host = {host!r} "
                f"({error.strerror or error}). Choose another port with --port, or an address of "
                "this machine as dashboard.host."
            ) from error
    with socket.create_server((host, 0), family=family_of(host)) as probe:
        log.warning("port %d is taken; the dashboard listens on another", wanted)
        return int(probe.getsockname()[1])


class Dashboard:
    """The dashboard as the process that it is; when it ends by itself, the agent is stopped.

    Args:
        config: the configuration file; ``None``: the defaults.
        data: the data folder.
        port: to listen on.
        agent: which is stopped with it.
        variables: of the environment, in which it differs from the configuration file.
    """

    def __init__(
        self, config: Path | None, data: Path, port: int, agent: Agent, variables: Mapping[str, str]
    ) -> None:
        options = ["--data", str(data), "--port", str(port), "--login-link"]
        options += ["--config", str(config)] if config else []
        self._command = [sys.executable, "-P", "-m", "dashboard", *options]
        self._agent = agent
        self._environment = os.environ | variables
        self._stopping = False
        self._database = data / DATABASE_NAME
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process; ``None`` while it runs."""
        if self._process:
            return self._process.returncode
        return None

    @property
    def died(self) -> bool:
        """Return whether it ended by itself."""
        return self.exit_code is not None and not self._stopping

    def start(self) -> None:
        """Start the process, and print its output; its address gets a greeting around it."""
        prctl = ctypes.CDLL(None).prctl
        # A group of its own keeps Ctrl-C from reaching it before the agent: it is stopped in order.
        # And the kernel ends it when this process is killed, which could not do it any more.
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            **(rights_of_children() or {"process_group": 0}),
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 - one system call, no locks
        )
        threading.Thread(target=self._watch, name="dashboard", daemon=True).start()
        if sys.stdin is not None and sys.stdin.isatty():
            threading.Thread(target=self.give_links, args=(sys.stdin,), daemon=True).start()

    def give_links(self, keys: Iterable[str]) -> None:
        """Print another link for each line that somebody enters.

        Args:
            keys: the lines.
        """
        from dashboard.accounts.accounts import create_login_link

        for _ in keys:
            if self.address:
                click.echo(f"  {self.address}{create_login_link(self._database)}")

    def stop(self) -> None:
        """End the process."""
        if self._process is None or self._process.poll() is not None:
            return
        self._stopping = True
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _watch(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        with self._process.stdout as lines:
            for line in lines:
                before, has_link, _ = line.partition(_LINK)
                if has_link:
                    self.address = before.rpartition(" ")[2]
                click.echo(GREETING.format(line=line.strip()) if has_link else line.rstrip())
        self._process.wait()
        self._agent.stop()
