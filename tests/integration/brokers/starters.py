"""Brokers of others, each with a door for every transport and kind of encryption."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.broker import Certificates, free_port, listens, wait_until
from tests.support.fleet.rabbit import end_names

Door = tuple[str, str]
"""Transport (``tcp``, ``websockets``) and encryption (``plain``, ``tls``, ``mutual``)."""
DOORS: tuple[Door, ...] = tuple(
    (transport, kind) for transport in ("tcp", "websockets") for kind in ("plain", "tls", "mutual")
)
HERE = Path(__file__).parent
_START_S = 240.0
"""Erlang takes minutes where others use the machine."""


@contextmanager
def _process(
    command: list[str], log: Path, ports: Mapping[Door, int], **environment: str
) -> Iterator[None]:
    """Run a program until the end of the block; wait first until all its ports listen."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        wait_until(
            lambda: running.poll() is not None or all(map(listens, ports.values())),
            f"{command[0]} to listen; see {log}",
            _START_S,
        )
        assert running.poll() is None, log.read_text(encoding="utf-8", errors="replace")[-2000:]
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait(60)


@contextmanager
def mosquitto(folder: Path, certificates: Certificates) -> Iterator[dict[Door, int]]:
    """Debian's; some of its builds have no WebSockets: those doors are left out then."""
    for doors in (DOORS, tuple(door for door in DOORS if door[0] == "tcp")):
        ports = {door: free_port() for door in doors}
        file = folder / "mosquitto.conf"
        lines = [f"user {pwd.getpwuid(os.getuid()).pw_name}", "per_listener_settings true"]
        for (transport, kind), port in ports.items():
            lines += [f"listener {port} 127.0.0.1", "allow_anonymous true"]
            if transport == "websockets":
                lines.append("protocol websockets")
            if kind != "plain":
                lines += [f"certfile {certificates.certificate}", f"keyfile {certificates.key}"]
            if kind == "mutual":
                lines += [f"cafile {certificates.ca}", "require_certificate true"]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "mosquitto is not installed"
        with ExitStack() as stack:
            try:
                log = folder / "mosquitto.log"
                stack.enter_context(_process([program, "-c", str(file)], log, ports))
            except AssertionError:
                if doors is not DOORS:
                    raise
                continue
            yield ports
            return


@contextmanager
def rabbitmq(folder: Path, certificates: Certificates) -> Iterator[dict[Door, int]]:
    """Its plugins for MQTT and for MQTT over WebSockets; one node for each kind of encryption.

    A node has one rule for client certificates.
    """
    ports: dict[Door, int] = {}
    # Erlang's server of names goes on by itself, and a crash writes a dump into the working folder.
    names = {"ERL_EPMD_PORT": str(free_port()), "ERL_CRASH_DUMP_SECONDS": "0"}
    with ExitStack() as stack:
        stack.callback(wait_until, lambda: end_names(names), "epmd to end")
        for kind in ("tls", "mutual"):
            here = folder / kind
            here.mkdir()
            own = {door: free_port() for door in DOORS if door[1] in {kind, "plain"}}
            lines = [
                "listeners.tcp = none",
                "mqtt.allow_anonymous = true",
                f"mqtt.listeners.tcp.default = 127.0.0.1:{own['tcp', 'plain']}",
                f"mqtt.listeners.ssl.default = 127.0.0.1:{own['tcp', kind]}",
                "web_mqtt.tcp.ip = 127.0.0.1",
                f"web_mqtt.tcp.port = {own['websockets', 'plain']}",
                "web_mqtt.ws_path = /mqtt",
                f"ssl_options.cacertfile = {certificates.ca}",
                f"ssl_options.certfile = {certificates.certificate}",
                f"ssl_options.keyfile = {certificates.key}",
            ]
            web = (
                f'{{ip, "127.0.0.1"}}, {{port, {own["websockets", kind]}}}, '
                f'{{cacertfile, "{certificates.ca}"}}, '
                f'{{certfile, "{certificates.certificate}"}}, {{keyfile, "{certificates.key}"}}'
            )
            if kind == "mutual":
                lines += ["ssl_options.verify = verify_peer"]
                lines += ["ssl_options.fail_if_no_peer_cert = true"]
                web += ", {verify, verify_peer}, {fail_if_no_peer_cert, true}"
            advanced = f"[{{rabbitmq_web_mqtt, [{{ssl_config, [{web}]}}]}}].\n"
            (here / "advanced.config").write_text(advanced, encoding="utf-8")
            (here / "rabbitmq.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
            (here / "plugins").write_text("[rabbitmq_mqtt,rabbitmq_web_mqtt].\n", encoding="utf-8")
            environment = {
                "RABBITMQ_NODENAME": f"{kind}-{own['tcp', 'plain']}@localhost",
                "RABBITMQ_DIST_PORT": str(free_port()),
                "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
                "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "plugins"),
                "RABBITMQ_MNESIA_BASE": str(here / "data"),
                "RABBITMQ_LOG_BASE": str(here),
                "HOME": str(here),
                **names,
            }
            program = "/usr/lib/rabbitmq/bin/rabbitmq-server"
            stack.enter_context(_process([program], here / "out.log", own, **environment))
            ports |= own
        yield ports


@contextmanager
def nats(folder: Path, certificates: Certificates) -> Iterator[dict[Door, int]]:
    """One server for each kind of encryption; MQTT over WebSockets comes at ``/mqtt``."""
    ports: dict[Door, int] = {}
    tls = f"cert_file: '{certificates.certificate}', key_file: '{certificates.key}'"
    encryption = {
        "plain": "",
        "tls": f"tls: {{ {tls} }}",
        "mutual": f"tls: {{ {tls}, ca_file: '{certificates.ca}', verify: true }}",
    }
    with ExitStack() as stack:
        for kind, how in encryption.items():
            own = {door: free_port() for door in DOORS if door[1] == kind}
            file = folder / f"{kind}.conf"
            file.write_text(
                f"server_name: {kind}\nhost: 127.0.0.1\nport: {free_port()}\n"
                f"jetstream {{ store_dir: '{folder / kind}' }}\n"
                f"mqtt {{ host: 127.0.0.1, port: {own['tcp', kind]}\n{how} }}\n"
                f"websocket {{ host: 127.0.0.1, port: {own['websockets', kind]}\n"
                f"{how or 'no_tls: true'} }}\n",
                encoding="utf-8",
            )
            program = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
            assert program, "nats-server is not installed"
            log = folder / f"{kind}.log"
            stack.enter_context(_process([program, "-c", str(file)], log, own))
            ports |= own
        yield ports


@contextmanager
def aedes(folder: Path, certificates: Certificates) -> Iterator[dict[Door, int]]:
    """The broker of Node-RED's users, from npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node, "node is not installed"
    assert npm, "npm is not installed"
    subprocess.run(
        [npm, "install", "--silent", "--prefix", str(folder), "aedes@0.51", "ws@8"],
        check=True,
        timeout=300,
    )
    shutil.copy(HERE / "aedes_doors.cjs", folder)
    ports = {door: free_port() for door in DOORS}
    doors = [f"{transport}:{kind}:{port}" for (transport, kind), port in ports.items()]
    files = [str(certificates.ca), str(certificates.certificate), str(certificates.key)]
    command = [node, str(folder / "aedes_doors.cjs"), *files, *doors]
    with _process(command, folder / "aedes.log", ports):
        yield ports
