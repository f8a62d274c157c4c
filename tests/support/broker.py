"""A real mosquitto on a free port, a subscriber to wait for, and a relay that can fail."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

DEADLINE_S = 240.0
"""The one deadline of whatever is waited for, below the 300 s of a test."""


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return once ``condition`` holds; fail naming ``what`` when it does not in time.

    It is asked for less and less often, after a twentieth of what has passed: what is waited for
    needs the processor, too.
    """
    begun = time.monotonic()
    while not condition():
        passed = time.monotonic() - begun
        assert passed < deadline_s, f"waited {deadline_s:.0f} s in vain: {what}"
        time.sleep(min(max(0.01, passed / 20), 0.25))


_numbers = itertools.count()
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = (20_000 + _WORKER % 40 * 300 + number % 300 for number in itertools.count(os.getpid()))
"""Below those that the system gives to connections, and other ones for each process that runs
tests.
"""


def free_port() -> int:
    """Return a port that nobody listens on and that is given to nobody else before its use.

    Some virtual machines keep a port for themselves: a server may listen on it, and every
    connection to it is refused.
    """
    for port in itertools.islice(_ports, 300):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(("127.0.0.1", port))
            probe.listen()
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return port
    raise AssertionError("no port from 20000 to 32000 is free")


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether somebody takes connections on a port of this machine."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


@dataclass(frozen=True)
class Certificates:
    """A certificate authority and a broker certificate that it signed for one name."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str) -> Certificates:
        """Make both with openssl, the certificate for ``name``, such as ``DNS:localhost``."""
        folder.mkdir(parents=True)

        def openssl(words: str) -> None:
            command = ["openssl", *shlex.split(words)]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)

        extensions = f"subjectAltName={name}\nauthorityKeyIdentifier=keyid\n"
        (folder / "extensions").write_text(extensions, encoding="ascii")
        ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        # Python 3.13 trusts no authority without that usage
        usage = "-addext keyUsage=critical,keyCertSign,cRLSign"
        openssl(f"req -x509 {ec} -keyout ca.key -out ca.pem -subj '/CN=test authority' {usage}")
        openssl(f"req {ec} -keyout broker.key -out broker.csr -subj /CN=broker")
        signing = "-CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions"
        openssl(f"x509 -req -in broker.csr {signing} -out broker.pem -days 2")
        return cls(folder / "ca.pem", folder / "broker.pem", folder / "broker.key")


class Mosquitto:
    """Debian's mosquitto with a configuration of its own.

    It keeps retained messages and sessions over a kill.

    Args:
        folder: where its files go.
        users: user → password; without any, everybody may enter.
        acl: text of its access file.
        certificates: makes it speak TLS.
        limits: settings such as ``max_packet_size``, and others that take a value.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: dict[str, str] | None = None,
        acl: str | None = None,
        certificates: Certificates | None = None,
        limits: Mapping[str, object] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.users = users or {}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"user": pwd.getpwuid(os.getuid()).pw_name, **(limits or {})}
        lines = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 0",
            f"allow_anonymous {'false' if users else 'true'}",
            *(f"{name} {value}" for name, value in settings.items()),
        ]
        if users:
            lines.append(f"password_file {self._passwords()}")
        if acl is not None:
            lines.append(f"acl_file {self._rules(acl)}")
        if certificates is not None:
            lines += [f"certfile {certificates.certificate}", f"keyfile {certificates.key}"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _passwords(self) -> Path:
        file = self.folder / "passwords"
        file.touch(mode=0o600)
        for user, password in self.users.items():
            command = ["mosquitto_passwd", "-b", str(file), user, password]
            subprocess.run(command, check=True, capture_output=True)
        return file

    def _rules(self, text: str) -> Path:
        file = self.folder / "acl"
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        return file

    def change_rules(self, acl: str) -> None:
        """Put other access rules into force."""
        self._rules(acl)
        self.reload()

    def reload(self) -> bool:
        """Make it read its files of accounts again."""
        assert self._process is not None
        # It listens before it minds signals: until then this one would end it.
        wait_until(self._minds_hangups, "the broker to mind signals")
        self._process.send_signal(signal.SIGHUP)
        return True

    def _minds_hangups(self) -> bool:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)

    def change_password(self, user: str, password: str) -> None:
        """Give ``user`` another password; holds for connections from now on."""
        self.users[user] = password
        self._passwords()
        self.reload()

    def start(self) -> None:
        """Start it, always on the same port, and wait until it listens."""
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program, "mosquitto is not installed; on Debian: apt install mosquitto"
        log = self.folder / "mosquitto.log"
        with log.open("ab") as output:
            command = [program, "-c", str(self.folder / "mosquitto.conf")]
            self._process = process = subprocess.Popen(command, stdout=output, stderr=output)

        def is_up() -> bool:
            assert process.poll() is None, log.read_text(encoding="utf-8", errors="replace")
            return listens(self.port)

        try:
            wait_until(is_up, "mosquitto to listen")
        except BaseException as error:
            # The folder is gone when somebody reads this.
            with contextlib.suppress(OSError):
                error.add_note(log.read_text(encoding="utf-8", errors="replace"))
                error.add_note(Path("/proc/net/tcp").read_text(encoding="utf-8"))
                try:
                    socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                except OSError as refused:
                    error.add_note(f"port {self.port} ({self.port:X}): {refused!r}")
            self.kill()  # `with` does not leave what it could not enter
            raise

    def save(self) -> None:
        """Make the broker write its state to disk, so that a kill does not lose its subscribers."""
        assert self._process is not None
        database = self.folder / "mosquitto.db"
        database.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        wait_until(database.exists, "the broker to save")

    def freeze(self) -> None:
        """Stop it without ending it: the system goes on to take what is sent to it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@dataclass(frozen=True)
class Received:
    """A message as a subscriber got it; an empty payload is an empty dictionary."""

    topic: str
    payload: dict[str, Any]
    retained: bool
    qos: int


class Subscriber:
    """Collects what is published under ``affect-edge/#``, over restarts of the broker too."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        self.messages: list[Received] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"reader-{next(_numbers)}",
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._client.reconnect_delay_set(1, 1)
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_connect = lambda client, *_: client.subscribe("affect-edge/#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(DEADLINE_S), "the broker did not take the subscription"

    def _take(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        payload = json.loads(message.payload or b"{}")
        self.messages.append(Received(message.topic, payload, message.retain, message.qos))

    def on(self, suffix: str) -> list[Received]:
        """Return the messages whose topic ends with ``/suffix``."""
        return [m for m in list(self.messages) if m.topic.endswith(f"/{suffix}")]

    def wait_for(
        self, suffix: str, condition: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> Received:
        """Wait for a message on ``suffix`` that meets ``condition``, and return the first."""
        wait_until(
            lambda: any(condition(m.payload) for m in self.on(suffix)),
            f"a message on {suffix}; got {self.messages}",
        )
        return next(m for m in self.on(suffix) if condition(m.payload))

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def subscribed(
    port: int, user: str | None = None, password: str | None = None
) -> Iterator[Subscriber]:
    """A subscriber for the length of a ``with`` block."""
    subscriber = Subscriber(port, user, password)
    try:
        yield subscriber
    finally:
        subscriber.close()


class Relay:
    """A line between client and broker that can be cut, frozen, or made deaf in one direction."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.connections = 0
        self.delay_s = 0.0
        """How long each piece of data takes on its way."""
        self._forward, self._backward = threading.Event(), threading.Event()
        self._forward.set()
        self._backward.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def _spawn(self, run: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target_port))
                except OSError:  # the broker is down: so is what leads to it
                    near.close()
                    continue
                self.connections += 1
                self._pairs.append((near, far))
                self._spawn(self._copy, near, far, self._forward)
                self._spawn(self._copy, far, near, self._backward)

    def _copy(self, source: socket.socket, sink: socket.socket, passing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if passing.is_set():
                    time.sleep(self.delay_s)
                    sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def swallow_answers(self) -> None:
        """From now on nothing that the broker says arrives."""
        self._backward.clear()

    def swallow_everything(self) -> None:
        """From now on the line is dead without being closed, as when a network cable is pulled."""
        self._backward.clear()
        self._forward.clear()

    def half_close(self) -> None:
        """Tell the broker that the client is done, and let the client believe that it is heard."""
        for _, far in self._pairs:
            with contextlib.suppress(OSError):
                far.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """Close every connection; later ones work again in both directions."""
        self._backward.set()
        self._forward.set()
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the relay."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in list(self._threads):
            thread.join(60)
        for pair in self._pairs:
            for end in pair:
                end.close()
