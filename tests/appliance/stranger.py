"""What somebody in the appliance's network may try.

Run there by `Machine.beside`, prints what came of it.

python -m tests.appliance.stranger mqtt HOST PORT TOPIC [USER PASSWORD]      what the broker says to
connect and publish
python -m tests.appliance.stranger setup ADDRESS CERTIFICATE CODE            statuses of: health,
setup twice, login
python -m tests.appliance.stranger analysis ADDRESS CERTIFICATE              status of the page
Analysis, how many tests it is made of
python -m tests.appliance.stranger idle ADDRESS CERTIFICATE SECONDS          connections that were
opened, slowest sign of life in ms, failures
"""

from __future__ import annotations

import contextlib
import http.client
import json
import resource
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PASSWORD = "a long enough password"
PATIENCE_S = 10.0
IDLE = 1100
"""Connections from one address that say nothing."""
FILES = 8192


def ask_broker(host: str, port: int, topic: str, account: list[str]) -> str:
    """Connect and publish; return each answer of the broker, or `closed` if there is none."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    answers: list[str] = []
    done = threading.Event()

    def connected(
        _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        answers.append(str(reason))
        if reason.is_failure:
            done.set()
        else:
            client.publish(topic, b"{}", qos=1)

    def published(
        _client: mqtt.Client, _data: Any, _number: int, reason: Any, _properties: Any
    ) -> None:
        answers.append(str(reason))
        done.set()

    client.on_connect = connected
    client.on_publish = published
    if account:
        client.username_pw_set(*account)
    try:
        client.connect(host, port, keepalive=10)
    except OSError:
        return "closed"
    client.loop_start()
    done.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    return ", ".join(answers) or "closed"


def connected_to(address: str, certificate: Path, within_s: float) -> http.client.HTTPSConnection:
    """Return a connection that takes no other certificate."""
    target = urlsplit(address)
    context = ssl.create_default_context(cafile=str(certificate))
    return http.client.HTTPSConnection(
        target.hostname or "", target.port, context=context, timeout=within_s
    )


def set_up(address: str, certificate: Path, code: str) -> str:
    """Make the first account, try it again with the same code, log in; return the statuses."""

    def status(method: str, path: str, form: dict[str, str] | None = None) -> int:
        connection = connected_to(address, certificate, 20)
        head = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request(method, path, urlencode(form) if form else None, head)
        return connection.getresponse().status

    account = {"name": "ada", "password": PASSWORD}
    statuses = [
        status("GET", "/healthz"),
        status("GET", "/live"),
        status("POST", "/setup", {"code": "AAAA-AAAA-AAAA", **account}),
        status("POST", "/setup", {"code": code, **account}),
        status("POST", "/setup", {"code": code, **account, "name": "eve"}),
        status("POST", "/login", account),
        status("POST", "/login", {**account, "password": "another password"}),
    ]
    return " ".join(map(str, statuses))


def analyse(address: str, certificate: Path) -> str:
    """Log in; return the status of the page Analysis, and how many tests of heart rates it has."""
    connection = connected_to(address, certificate, 60)
    form = urlencode({"name": "ada", "password": PASSWORD})
    connection.request(
        "POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"}
    )
    answer = connection.getresponse()
    answer.read()
    cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]
    connection.request("GET", "/analysis", headers={"Cookie": cookie})
    page = connection.getresponse()
    page.read()
    connection.request("GET", "/api/v1/analysis", headers={"Cookie": cookie})
    answer = json.loads(connection.getresponse().read())
    tests = sum(one["vital"] == "heart_rate" for one in answer["comparisons"])
    return f"{page.status} {tests}"


def stay_idle(address: str, certificate: Path, seconds: float) -> str:
    """Open many connections that say nothing, from one address, and ask from another how it is."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, most), most))
    port = urlsplit(address).port
    slowest = 0.0
    failures = 0
    opened = 0
    with contextlib.ExitStack() as all_of_them:
        for _ in range(IDLE):
            with contextlib.suppress(OSError):
                connection = all_of_them.enter_context(socket.socket())
                connection.settimeout(1)
                connection.bind(("127.0.7.1", 0))
                connection.connect(("127.0.0.1", port))
                opened += 1
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.monotonic()
            asking = connected_to(address, certificate, PATIENCE_S)
            try:
                asking.request("GET", "/healthz")
                failures += asking.getresponse().status != 200
            except OSError:
                failures += 1
            finally:
                asking.close()
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.2)
    return f"{opened} {slowest * 1000:.0f} {failures}"


def main() -> None:
    match sys.argv[1:]:
        case ["mqtt", host, port, topic, *account]:
            print(ask_broker(host, int(port), topic, account))
        case ["setup", address, certificate, code]:
            print(set_up(address, Path(certificate), code))
        case ["analysis", address, certificate]:
            print(analyse(address, Path(certificate)))
        case ["idle", address, certificate, seconds]:
            print(stay_idle(address, Path(certificate), float(seconds)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
