"""Start of the app in Home Assistant: options become settings, and agent and dashboard run.

Home Assistant starts an app as root, and lets root alone read the options and write the data
folder. Root therefore writes the configuration, hands over the folder, and becomes the user of the
other images before anything of the program runs.
"""

from __future__ import annotations

import http.client
import json
import os
import pwd
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.config.loading import SYSTEM_FILE, load_settings
from edge_agent.core.errors import ConfigError
from edge_agent.core.process import StopRequest, StopSignals

DATA = Path("/data")
OPTIONS = DATA / "options.json"
USER = "affect-edge"
SUPERVISOR = "supervisor"
ANSWER_S = 30.0
STOP_S = 12.0
"""Less than ``timeout`` in config.yaml, after which Home Assistant ends everything."""
KEYS = {
    "device_name": "device.name",
    "camera_source": "camera.source",
    "camera_device": "camera.device",
    "simulated_vitals": "vitals.simulated.enabled",
    "home_assistant": "mqtt.home_assistant",
    "host_names": "dashboard.names",
}
"""Key of the configuration for each option; the lines of ``MORE`` are keys and values."""
MORE = "more"
BROKER = {
    "host": "host",
    "port": "port",
    "username": "username",
    "password": "password",
    "ssl": "tls",
    "protocol": "protocol",
}
"""Key of ``[mqtt]`` for each value of Home Assistant's MQTT service."""
SERVED = {
    "dashboard.host": "0.0.0.0",  # noqa: S104 - Home Assistant publishes the port
    "dashboard.certificate": "/data/tls/cert.pem",
    "dashboard.key": "/data/tls/key.pem",
}
PARTS = (
    ("affect-edge", "run"),
    ("sh", "-c", "affect-edge certificate && exec affect-edge dashboard"),
    ("sh", "-c", "while sleep 86400; do affect-edge maintenance || true; done"),
)


def configuration(options: Mapping[str, Any], supervisor: str, token: str) -> str:
    """Return the configuration for the app's options.

    Args:
        options: what the user set in Home Assistant.
        supervisor: host of Home Assistant's API.
        token: what that API wants to see.

    Raises:
        ConfigError: an option is unknown, a line of ``more`` is no setting or set already, or the
            API does not answer.
    """
    if unknown := options.keys() - {*KEYS, MORE}:
        known = ", ".join((*KEYS, MORE))
        raise ConfigError(f"options {', '.join(sorted(unknown))}: unknown. Known: {known}.")
    given = {name: value for name, value in options.items() if value not in ("", None)}
    settings = dict(SERVED) | {key: given[name] for name, key in KEYS.items() if name in given}
    if "camera_device" in given and given.get("camera_source") == "auto":
        settings["camera.source"] = "opencv"  # which takes the device that was chosen
    more = given.get(MORE, [])
    if not any(line.replace(" ", "").startswith("mqtt.host=") for line in more):
        settings |= broker(supervisor, token)
    # A text, truth value, number or list in JSON is the same in TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    for line in more:
        lines.append(line)
        try:
            tomllib.loads("\n".join(lines))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f"option {MORE}, {line!r}: {error}. Write a key that no other option sets, "
                "such as: record.keep_days = 30"
            ) from error
    return "\n".join([*lines, ""])


def broker(supervisor: str, token: str) -> dict[str, Any]:
    """Return the settings of the broker that Home Assistant offers; off where it has none.

    Raises:
        ConfigError: the API does not answer, or refuses.
    """
    asked = f"http://{supervisor}/services/mqtt"
    connection = http.client.HTTPConnection(supervisor, timeout=ANSWER_S)
    try:
        connection.request("GET", "/services/mqtt", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        offered = said.get("data") or {}
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        raise ConfigError(f"{asked}: no answer ({error}). Start the app again.") from error
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.BAD_REQUEST:
        print(
            f"affect-edge: Home Assistant offers no MQTT broker ({said.get('message')}): nothing "
            'is published. Install the app "Mosquitto broker", then start this one again.',
            file=sys.stderr,
        )
        return {"mqtt.enabled": False}
    if answer.status != http.HTTPStatus.OK or "host" not in offered:
        why = said.get("message") or "it names no host"
        raise ConfigError(f"{asked}: {why} (status {answer.status}). Start the app again.")
    return {f"mqtt.{BROKER[name]}": offered[name] for name in BROKER if offered.get(name)}


def prepare(user: pwd.struct_passwd) -> None:
    """Write the configuration and hand over the data folder, as root.

    Raises:
        ConfigError: the options are wrong or cannot be read.
    """
    try:
        options = json.loads(OPTIONS.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{OPTIONS}: {error}. Home Assistant writes it; start the app there."
        ) from error
    text = configuration(options, SUPERVISOR, os.environ.get("SUPERVISOR_TOKEN", ""))
    SYSTEM_FILE.parent.mkdir(exist_ok=True)
    SYSTEM_FILE.touch(mode=0o640)  # it holds the broker's password
    os.chown(SYSTEM_FILE, 0, user.pw_gid)
    SYSTEM_FILE.write_text(text, encoding="utf-8")
    load_settings()
    # A backup that Home Assistant restored may belong to anybody.
    for path in (DATA, *DATA.rglob("*")):
        if path != OPTIONS:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    DATA.chmod(0o750)


def become(user: pwd.struct_passwd) -> None:
    """Give up root; of its rights only those of the cameras' groups stay."""
    os.setgroups(sorted({node.stat().st_gid for node in Path("/dev").glob("video*")}))
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def run(parts: Sequence[Sequence[str]], stop: StopRequest) -> int:
    """Run programs until one ends or a stop is requested, then end all.

    Returns:
        0 when the stop was requested, else 1: Home Assistant's watchdog starts the app again.
    """
    running: list[subprocess.Popen[bytes]] = []
    try:
        for words in parts:
            running.append(subprocess.Popen(words))
        while not stop.wait(1.0):
            for one in running:
                if one.poll() is not None:
                    print(f"affect-edge: {one.args!r} ended ({one.returncode})", file=sys.stderr)
                    return 1
        return 0
    finally:
        for one in running:
            one.terminate()  # all at once, for each takes seconds
        end_s = time.monotonic() + STOP_S
        for one in running:
            wait_or_kill(one, max(0.0, end_s - time.monotonic()))


def wait_or_kill(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the end of a program; kill it when it takes longer than so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main() -> int:
    """Start the app; return its exit code."""
    stop = StopRequest()
    StopSignals().call(stop.set)
    user = pwd.getpwnam(USER)
    try:
        prepare(user)
    except ConfigError as error:
        print(f"affect-edge: {error}", file=sys.stderr)
        return 2
    become(user)
    return run(PARTS, stop)


if __name__ == "__main__":
    sys.exit(main())
