"""What somebody in the appliance's network may try.

Run there by `Machine.beside`, prints what came of it.

python -m tests.appliance.stranger mqtt HOST PORT TOPIC [USER PASSWORD]      what the broker says to
connect and publish
python -m tests.appliance.stranger setup ADDRESS CERTIFICATE CODE            statuses of: health,
setup twice, login
"""

from __future__ import annotations

import http.client
import ssl
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PASSWORD = "a long enough password"
PATIENCE_S = 10.0


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
    client.loop_stop()
    return ", ".join(answers) or "closed"


def set_up(address: str, certificate: Path, code: str) -> str:
    """Make the first account, try it again with the same code, log in; return the statuses."""
    target = urlsplit(address)
    context = ssl.create_default_context(cafile=str(certificate))

    def status(method: str, path: str, form: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPSConnection(
            target.hostname or "", target.port, context=context, timeout=20
        )
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


def main() -> None:
    """Do what the words say."""
    match sys.argv[1:]:
        case ["mqtt", host, port, topic, *account]:
            print(ask_broker(host, int(port), topic, account))
        case ["setup", address, certificate, code]:
            print(set_up(address, Path(certificate), code))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
