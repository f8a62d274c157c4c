"""Certificates by ACME (RFC 8555): certbot and lego of Debian get one from Pebble, the test server
of Let's Encrypt, and hand it to ``affect-edge certificate install``; the dashboard takes it.

Not part of ``make test``, which does not install them: ``make test-acme``.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dashboard.web.options import DashboardOptions
from dashboard.web.server import DashboardServer, listen, make_server
from edge_agent.appliance.certificates import CERTIFICATE, KEY, keep_certificate
from tests.support.broker import free_port, wait_until
from tests.support.security.authority import Authority

pytestmark = pytest.mark.timeout(300)
NAME = "pi.clinic.test"
INSTALL = f"{sys.executable} -m edge_agent certificate install"


class Pebble:
    """An authority by ACME on free ports, with a name server that answers what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("acme", "manage", "dns", "tell", "http")}
        self.trusted = folder / "acme-root.pem"
        authority = Authority()
        authority.write_root(self.trusted)
        certificate, key = authority.pair(folder / "served", names=("localhost", "127.0.0.1"))
        self._configuration = {
            "listenAddress": f"127.0.0.1:{self.ports['acme']}",
            "managementListenAddress": f"127.0.0.1:{self.ports['manage']}",
            "certificate": str(certificate),
            "privateKey": str(key),
            "httpPort": self.ports["http"],
            "tlsPort": free_port(),
        }

    @property
    def directory(self) -> str:
        return f"https://localhost:{self.ports['acme']}/dir"

    @property
    def tell_dns(self) -> str:
        return f"http://127.0.0.1:{self.ports['tell']}"

    def start(self, until: ExitStack) -> None:
        file = self.folder / "pebble.json"
        file.write_text(json.dumps({"pebble": self._configuration}), encoding="utf-8")
        log = until.enter_context((self.folder / "pebble.log").open("wb"))
        dns, tell = (f"127.0.0.1:{self.ports[name]}" for name in ("dns", "tell"))
        for words in (
            f"pebble-challtestsrv -defaultIPv4 127.0.0.1 -defaultIPv6= -http01= -https01= "
            f"-tlsalpn01= -dns01 {dns} -management {tell}".split(),
            ["pebble", "-config", str(file), "-dnsserver", dns],
        ):
            quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
            process = subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | quick)
            until.callback(process.wait, 10)
            until.callback(process.kill)
        for port in ("acme", "manage", "tell"):
            wait_until(partial(listens, self.ports[port]), f"{port} of Pebble")

    def root(self) -> str:
        """Return the authority that signs, as a device would have to trust it."""
        context = ssl.create_default_context(cafile=self.trusted)
        place = f"https://localhost:{self.ports['manage']}/roots/0"
        with urllib.request.urlopen(place, context=context) as answer:
            text: str = answer.read().decode()
        return text


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def pebble(tmp_path: Path) -> Iterator[Pebble]:
    folder = tmp_path / "pebble"
    folder.mkdir()
    server = Pebble(folder)
    with ExitStack() as until:
        server.start(until)
        yield server


class Served:
    """A dashboard that serves the certificate that the appliance made itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options = DashboardOptions(
            data=folder, certificate=folder / "tls" / CERTIFICATE, key=folder / "tls" / KEY
        )
        self.config = folder / "affect-edge.toml"
        self.server: DashboardServer
        self.port = 0

    def start(self, until: ExitStack) -> None:
        keep_certificate(self.folder / "tls")
        self.config.write_text(
            f'[data]\nfolder = "{self.folder}"\n[dashboard]\n'
            f'certificate = "{self.options.certificate}"\nkey = "{self.options.key}"\n',
            encoding="utf-8",
        )
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.server = make_server(self.options)
        thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]})
        thread.start()
        until.callback(self.server.services.close)
        until.callback(thread.join, 10)
        until.callback(self.server.handle_exit, signal.SIGTERM, None)
        wait_until(lambda: self.server.started, "the dashboard starts")

    def look_at_the_file(self) -> None:
        asyncio.run(self.server.on_tick(0))

    def connection(self, root: str) -> http.client.HTTPSConnection:
        """Return a connection of a browser that trusts an authority and asks for the name."""
        context = ssl.create_default_context(cadata=root)
        made = http.client.HTTPSConnection(NAME, self.port, context=context, timeout=60)
        made.sock = context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port)), server_hostname=NAME
        )
        return made


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with ExitStack() as until:
        dashboard = Served(tmp_path / "data")
        dashboard.start(until)
        yield dashboard


def serial(connection: http.client.HTTPSConnection) -> str:
    shown: Any = connection.sock.getpeercert()
    return str(shown["serialNumber"])


def answers(connection: http.client.HTTPSConnection) -> bool:
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


def run(words: list[str], **surroundings: str) -> str:
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])} | surroundings,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_certbot_certificate_renewed_is_used_while_pages_stay_open(
    pebble: Pebble, served: Served, tmp_path: Path
) -> None:
    hook = tmp_path / "dns-hook"
    hook.write_text(
        '#!/bin/sh\ncurl -s -d "{\\"host\\": \\"_acme-challenge.$CERTBOT_DOMAIN.\\", '
        f'\\"value\\": \\"$CERTBOT_VALIDATION\\"}}" {pebble.tell_dns}/set-txt\n',
        encoding="utf-8",
    )
    hook.chmod(0o755)
    places: list[str] = []
    for name in ("config", "work", "logs"):
        places += [f"--{name}-dir", str(tmp_path / "certbot" / name)]
    surroundings = {"REQUESTS_CA_BUNDLE": str(pebble.trusted), "PYTHONWARNINGS": "ignore"}
    words = [
        "certbot",
        "certonly",
        "--non-interactive",
        "--agree-tos",
        "-m",
        "ada@clinic.test",
        "--manual",
    ]
    words += ["--server", pebble.directory, "--preferred-challenges", "dns", *places, "-d", NAME]
    words += ["--manual-auth-hook", str(hook)]
    words += ["--deploy-hook", f"{INSTALL} --config {served.config}"]
    run(words, **surroundings)
    served.look_at_the_file()
    root = pebble.root()
    renewal = ["certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew", *places]
    said = run(renewal, **surroundings)
    before = served.connection(root)
    served.look_at_the_file()
    after = served.connection(root)
    assert serial(after) != serial(before), said
    assert answers(after) and answers(before), "what was open stays open"
    before.close()
    after.close()


def test_lego_gets_one_by_http_and_hands_it_over(
    pebble: Pebble, served: Served, tmp_path: Path
) -> None:
    words = ["lego", "--accept-tos", "--email", "ada@clinic.test", "--http", "--domains"]
    words += [NAME, "--http.port", f"127.0.0.1:{pebble.ports['http']}"]
    words += ["--server", pebble.directory, "--path", str(tmp_path / "lego")]
    words += ["run", "--run-hook", f"{INSTALL} --config {served.config}"]
    run(words, LEGO_CA_CERTIFICATES=str(pebble.trusted))
    served.look_at_the_file()
    connection = served.connection(pebble.root())
    assert answers(connection)
    connection.close()
