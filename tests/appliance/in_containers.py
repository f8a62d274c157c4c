"""The containers of docs/containers.md, really run: ``make test-container``.

It needs podman and podman-compose (Debian: ``apt install podman podman-compose``), and builds the
images of this tree. The pictures are the demonstration's; the camera's device is one that stands in
for a camera's, with the rights of one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance.composition import ROOT, Composition, needs_podman
from tests.appliance.engine import build_words, engine_settings
from tests.support.broker import free_port, wait_until
from tests.support.home.supervisor import MOSQUITTO, TOKEN
from tools.build_release import save_images

NAME = "affect-edge-test"
PORT = free_port()
PARTS = ("broker", "agent", "dashboard")
VIDEO_GROUP = 4444
"""A group that nobody in the images is in."""
SETTINGS = {
    "AFFECT_EDGE_VIDEO_GROUP": str(VIDEO_GROUP),
    "AFFECT_EDGE_CAMERA__SOURCE": "demo",
    "AFFECT_EDGE_VITALS__SIMULATED__ENABLED": "true",
    "AFFECT_EDGE_PORT": str(PORT),
}
STOP_S = "300"
"""After so long podman kills, and the exit code is not 0."""
APP = f"{NAME}-app"
SUPERVISOR = f"{APP}-supervisor"
APP_IMAGE = "localhost/affect-edge-home-assistant:latest"
APP_PORT = free_port()
OPTIONS = {
    "device_name": "kitchen",
    "camera_source": "demo",
    "simulated_vitals": True,
    "home_assistant": True,
    "host_names": ["homeassistant.local"],
    "more": ["record.keep_days = 30"],
}
IS_UP = "import socket; socket.create_connection(('127.0.0.1', 80)); print('up')"
pytestmark = needs_podman
COMPOSITION = Composition(NAME, "container/compose.yaml", SETTINGS)
run, compose, container = COMPOSITION.run, COMPOSITION.compose, COMPOSITION.container
inside, about, is_healthy = COMPOSITION.inside, COMPOSITION.about, COMPOSITION.is_healthy


def wait_until_healthy() -> None:
    COMPOSITION.wait_until_healthy(*PARTS)


def rows() -> int:
    """Return how many rows of expressions there are, asked in the agent's container."""
    words = ["affect-edge", "sql", "SELECT count(*) AS n FROM expression", "--format", "json"]
    return int(json.loads(inside("agent", *words))[0]["n"])


@pytest.fixture(scope="module", autouse=True)
def composition(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The containers, built and up; afterwards nothing of them is left."""
    folder = tmp_path_factory.mktemp("engine")
    SETTINGS.update(engine_settings(folder))
    SETTINGS["AFFECT_EDGE_CAMERA"] = str(camera_device(folder))
    run("make", "container", f"ARGS={build_words(folder)}")
    compose("up", "--detach", "--no-build")
    try:
        yield
    finally:
        compose("down", "--volumes")


def camera_device(folder: Path) -> Path:
    """Make a device with the rights of a camera's, of which one reads nothing but zeros."""
    device = folder / "camera"
    os.mknod(device, stat.S_IFCHR | 0o660, os.makedev(1, 5))
    os.chown(device, 0, VIDEO_GROUP)
    device.chmod(0o660)
    return device


def test_every_part_becomes_healthy() -> None:
    wait_until_healthy()


@pytest.mark.parametrize("part", PARTS)
def test_nobody_is_root_and_the_program_cannot_be_written(part: str) -> None:
    assert inside(part, "id", "--user").strip() == "990"
    assert about(part, "HostConfig.ReadonlyRootfs") == "true"
    assert inside(part, "sh", "-c", "touch /opt/x 2>&1 || true").endswith("file system\n")


def test_only_the_agent_gets_the_camera_by_its_device_and_group() -> None:
    read = ("head", "--bytes", "4", "/dev/video0")
    assert inside("agent", *read) == "\0" * 4
    assert str(VIDEO_GROUP) in inside("agent", "id", "--groups").split()
    mine = container("agent")
    without = run("podman", "exec", "--user", "990:990", mine, *read, check=False)
    assert without == "", "the rights come from the group alone"
    assert inside("dashboard", "sh", "-c", "ls /dev/video0 2>/dev/null || true") == ""


def test_the_broker_lets_nobody_in_without_the_password_that_was_made_here() -> None:
    asked = ["mosquitto_sub", "-h", "127.0.0.1", "-E", "-t", "affect-edge/#"]
    refused = inside("broker", "env", "XDG_CONFIG_HOME=/nonexistent", *asked, check=False)
    assert refused == ""
    password = inside("agent", "cat", "/secrets/mqtt-password").strip()
    assert re.fullmatch(r"[0-9a-f]{32}", password)
    assert password not in inside("broker", "cat", "/secrets/accounts")


def test_summaries_reach_the_broker() -> None:
    found = inside("agent", "getent", "hosts", "broker", check=False)
    assert found, "containers do not find each other by name: docs/containers.md says what to do"
    words = ["mosquitto_sub", "-C", "1", "-W", "30", "-t", "affect-edge/affect-edge/summary"]
    summary = json.loads(inside("broker", *words))
    assert summary["simulated"] is True
    assert summary["frames"] > 0


def test_the_dashboard_takes_its_first_account_by_https() -> None:
    _, place = COMPOSITION.first_account(PORT)
    assert place.endswith("/first-steps")


def test_an_agent_that_is_killed_comes_back_and_goes_on() -> None:
    wait_until(lambda: rows() > 0, "rows")
    before = rows()
    os.kill(int(about("agent", "State.Pid")), signal.SIGKILL)  # podman would not start it again
    wait_until(lambda: about("agent", "RestartCount") == "1", "the agent again")
    wait_until(lambda: is_healthy("agent"), "a healthy agent")
    wait_until(lambda: rows() > before, "more rows")


def test_another_release_takes_over_data_and_password() -> None:
    before = rows()
    password = inside("agent", "cat", "/secrets/mqtt-password")
    for image in ("affect-edge", "affect-edge-broker"):
        run("podman", "tag", f"localhost/{image}:latest", f"localhost/{image}:newer")
    words = ("up", "--detach", "--no-build", "--force-recreate")
    compose(*words, version="newer")
    wait_until_healthy()
    assert about("agent", "ImageName") == "localhost/affect-edge:newer"
    assert rows() >= before
    assert inside("agent", "cat", "/secrets/mqtt-password") == password
    assert "Setup code" not in run("podman", "logs", container("dashboard"))


@pytest.mark.parametrize("part", ["agent", "dashboard"])
def test_who_is_asked_to_stop_ends_in_order(part: str) -> None:
    run("podman", "stop", "--time", STOP_S, container(part))
    assert about(part, "State.ExitCode") == "0"


def give(data: Path, options: dict[str, object]) -> None:
    """Write options as the Supervisor does: for root alone, in a folder of root's."""
    data.mkdir()
    file = data / "options.json"
    file.write_text(json.dumps(options), encoding="utf-8")
    file.chmod(0o600)


def in_app(*words: str) -> str:
    return run("podman", "exec", "--user", "990:990", APP, *words)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The app with the options, beside a stand-in for the Supervisor; its data folder."""
    folder = tmp_path_factory.mktemp("app")
    data = folder / "data"
    give(data, OPTIONS)
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost supervisor\n", encoding="ascii")
    server = ROOT / "tests/support/home/supervisor.py"
    beside = ("--publish", f"127.0.0.1:{APP_PORT}:8080", "--entrypoint", "python")
    placed = ("--volume", f"{server}:/supervisor.py:ro")
    mine = ("--network", f"container:{SUPERVISOR}", "--volume", f"{hosts}:/etc/hosts:ro")
    given = ("--volume", f"{data}:/data", "--env", f"SUPERVISOR_TOKEN={TOKEN}")
    start = ("podman", "run", "--detach", "--name")
    try:
        run(*start, SUPERVISOR, *beside, *placed, APP_IMAGE, "/supervisor.py")
        asked = ("podman", "exec", SUPERVISOR, "python", "-c", IS_UP)
        wait_until(lambda: "up" in run(*asked, check=False), "the stand-in")
        run(*start, APP, *mine, *given, APP_IMAGE)
        yield data
    finally:
        run("podman", "rm", "--force", "--time", "20", APP, SUPERVISOR, check=False)


def test_the_app_records_and_answers_where_home_assistant_asks(app: Path) -> None:
    def health() -> str:
        return run("podman", "exec", APP, "affect-edge", "health", check=False)

    wait_until(lambda: health() == "agent: answers\ndashboard: answers\n", "a healthy app")
    trusting = ssl._create_unverified_context()
    for page, wanted in (("healthz", '"ok"'), ("setup", "<form")):
        address = f"https://127.0.0.1:{APP_PORT}/{page}"
        with urllib.request.urlopen(address, context=trusting) as answer:
            assert wanted in answer.read().decode()
    assert "Setup code" in run("podman", "logs", APP)
    words = ("affect-edge", "sql", "SELECT count(*) AS n FROM expression", "--format", "json")
    wait_until(lambda: json.loads(in_app(*words))[0]["n"] > 0, "rows")


def test_the_app_gives_root_up_and_owns_its_data(app: Path) -> None:
    assert re.search(r"^Uid:(\s990){4}$", in_app("cat", "/proc/1/status"), re.MULTILINE)
    owners = {path.name: path.stat().st_uid for path in app.iterdir()}
    assert owners.pop("options.json") == 0
    assert set(owners.values()) == {990}
    config = in_app("cat", "/etc/affect-edge/affect-edge.toml")
    assert f'mqtt.host = "{MOSQUITTO["host"]}"' in config and "record.keep_days = 30" in config
    shown = ("stat", "--format", "%a %u %g", "/etc/affect-edge/affect-edge.toml")
    assert in_app(*shown).strip() == "640 0 990"


def test_the_app_ends_in_order(app: Path) -> None:
    run("podman", "stop", "--time", STOP_S, APP)
    assert run("podman", "inspect", APP, "--format", "{{.State.ExitCode}}").strip() == "0"


def test_the_app_with_a_wrong_option_says_which(tmp_path: Path) -> None:
    give(tmp_path / "data", {"camera_source": "film", "more": ["mqtt.host = 'broker.example'"]})
    wrong = ("podman", "run", "--rm", "--volume", f"{tmp_path / 'data'}:/data", APP_IMAGE)
    said = run("sh", "-c", '"$@" 2>&1; echo "exit $?"', "sh", *wrong)
    assert "camera.source = 'film'" in said
    assert said.endswith("exit 2\n")


def test_the_images_are_saved_as_archives_that_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    archives = save_images(tmp_path, "latest", "amd64")
    assert len(archives) == 3
    for archive in archives:
        name = archive.name.removesuffix("-latest-amd64.oci.tar")
        loaded = run("podman", "load", "--input", str(archive))
        assert f"localhost/{name}:latest" in loaded
