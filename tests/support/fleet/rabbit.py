"""A cluster of RabbitMQ on one machine, with its plugin for MQTT; nodes can be killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.broker import free_port, listens, wait_until

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
INSTALL = "RabbitMQ is not installed; on Debian: sudo apt install rabbitmq-server"
START_S = 240.0
"""Erlang takes minutes where others use the machine."""


class RabbitNode:
    """One node.

    Args:
        folder: of the cluster.
        number: of the node, from 1; it listens at 127.0.0.<number>.
        lines: of its configuration.
        environment: of its process.
        ports: that listen when it is up.
    """

    def __init__(
        self,
        folder: Path,
        number: int,
        lines: list[str],
        environment: dict[str, str],
        ports: tuple[int, ...],
    ) -> None:
        self.host = f"127.0.0.{number}"
        self._folder = folder / f"node-{number}"
        self._folder.mkdir()
        (self._folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (self._folder / "plugins").write_text("[rabbitmq_mqtt].\n", encoding="utf-8")
        self._environment = {
            **environment,
            "RABBITMQ_NODENAME": f"node{number}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder),
        }
        self._ports = ports
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; ``wait`` tells when it is up."""
        with (self._folder / "out.log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(PROGRAM)],
                stdout=output,
                stderr=output,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )

    def wait(self) -> None:
        process = self._process
        assert process is not None
        log = self._folder / "out.log"
        wait_until(
            lambda: process.poll() is not None or all(map(self._listens, self._ports)),
            f"RabbitMQ to listen; see {log}",
            START_S,
        )
        said = log.read_text(encoding="utf-8", errors="replace")
        assert process.poll() is None, said[-2000:]

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def _listens(self, port: int) -> bool:
        return listens(port, self.host)


class RabbitCluster:
    """Nodes that listen at 127.0.0.1, 127.0.0.2 … on the same ports.

    Args:
        folder: for their files.
        count: of nodes.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.amqp_port, self.mqtt_port = free_port(), free_port()
        names = [f"node{number}@localhost" for number in range(1, count + 1)]
        (folder / "home").mkdir()
        self._environment = {
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "HOME": str(folder / "home"),
        }
        common = [
            "mqtt.allow_anonymous = true",
            "loopback_users.guest = false",
            "disk_free_limit.absolute = 100MB",
            "cluster_formation.peer_discovery_backend = classic_config",
            *(
                f"cluster_formation.classic_config.nodes.{n} = {each}"
                for n, each in enumerate(names, 1)
            ),
        ]
        self.nodes = [
            RabbitNode(
                folder,
                number,
                [
                    f"listeners.tcp.default = 127.0.0.{number}:{self.amqp_port}",
                    f"mqtt.listeners.tcp.default = 127.0.0.{number}:{self.mqtt_port}",
                    *common,
                ],
                self._environment,
                (self.amqp_port, self.mqtt_port),
            )
            for number in range(1, count + 1)
        ]

    @property
    def hosts(self) -> list[str]:
        return [node.host for node in self.nodes]

    def consumes(self, name: str) -> bool:
        """Tell whether a client of this name is connected."""
        done = subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", "list_connections", "client_properties"],
            env={**os.environ, **self._environment, "RABBITMQ_NODENAME": "node1@localhost"},
            check=False,
            capture_output=True,
            text=True,
        )
        return f'"{name}"' in done.stdout

    def end(self) -> None:
        """End all nodes, and Erlang's server of names with them."""
        for node in self.nodes:
            node.kill()
        wait_until(lambda: end_names(self._environment), "epmd to end")


def end_names(environment: dict[str, str]) -> bool:
    """Ask Erlang's server of names to end, which it does when no node is left."""
    done = subprocess.run(
        ["epmd", "-kill"],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode == 0 or "Cannot connect" in done.stdout + done.stderr


def is_installed() -> bool:
    return PROGRAM.exists() and shutil.which("epmd") is not None


@contextmanager
def running_rabbit(folder: Path, count: int) -> Iterator[RabbitCluster]:
    """A cluster for the length of a ``with`` block."""
    folder.mkdir(exist_ok=True)
    cluster = RabbitCluster(folder, count)
    try:
        for node in cluster.nodes:  # one after the other: started together, they may not agree
            node.start()
            node.wait()
        yield cluster
    finally:
        cluster.end()
