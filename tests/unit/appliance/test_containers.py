"""The files of docs/containers.md say what they must; ``make test-container`` runs them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.config.environment import ENV_DELIMITER, ENV_PREFIX
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.live.feed import SOCKET_NAME, LiveServer
from tools.pin_requirements import MACHINES, ROOT

CONTAINERFILE = (ROOT / "container/Containerfile").read_text(encoding="utf-8")
FILES = ("container/compose.yaml", "container/fleet/compose.yaml")
COMPOSED: dict[str, Any] = {
    file: yaml.safe_load((ROOT / file).read_text(encoding="utf-8")) for file in FILES
}
COMPOSE, FLEET = COMPOSED.values()
SERVICES: dict[str, Any] = COMPOSE["services"]
ALL_SERVICES = [
    pytest.param(service, id=f"{name} of {Path(file).parent.name}")
    for file, composition in COMPOSED.items()
    for name, service in composition["services"].items()
]
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def instructions(name: str) -> list[str]:
    """Return the words of each instruction of a kind, with continued lines joined."""
    joined = CONTAINERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_what_is_copied_exists_and_is_let_through() -> None:
    for words in instructions("COPY"):
        *sources, _ = [word for word in words.split() if not word.startswith("--")]
        if "--from=" in words:
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source.rstrip('/').split('/')[0]}" in IGNORED, source


def test_the_packages_are_those_that_are_pinned_for_both_processors() -> None:
    (file,) = re.findall(r'"/source/(requirements/[^"]*)"', CONTAINERFILE)
    for machine in MACHINES:
        assert (ROOT / file.replace("$(uname -m)", machine)).exists()
    install = next(words for words in instructions("RUN") if "requirements/" in words)
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(install.split())


def test_every_image_runs_as_somebody_who_is_not_root_and_say_how_they_are() -> None:
    stages = CONTAINERFILE.split("\nFROM ")[1:]
    images = [stage for stage in stages if re.search(r" AS (program|broker|database)\n", stage)]
    assert len(images) == 3
    for stage in images:
        assert "\nUSER 990:990\n" in stage
        assert "\nHEALTHCHECK " in stage
        how = "INT" if " AS database\n" in stage else "TERM"  # PostgreSQL waits for all after TERM
        assert f"\nSTOPSIGNAL SIG{how}\n" in stage
        assert stage.index("\nUSER") > stage.rindex("\nRUN") if "\nRUN" in stage else True


def test_broker_of_an_oci_archive_which_holds_no_check_is_checked_all_same() -> None:
    broker = CONTAINERFILE.split(" AS broker\n")[1].split("\nFROM ")[0]
    said = re.search(r"HEALTHCHECK (.*) CMD (.*)", broker)
    assert said
    check = SERVICES["broker"]["healthcheck"]
    assert check["test"] == ["CMD", *json.loads(said[2])]
    options = ("interval", "timeout", "start_period")
    assert said[1] == " ".join(f"--{one.replace('_', '-')}={check[one]}" for one in options)


def test_the_app_of_home_assistant_adds_its_start_to_the_program() -> None:
    stage = CONTAINERFILE.split(" AS home-assistant\n")[1]
    assert "\nFROM program AS home-assistant\n" in CONTAINERFILE
    (copied,) = re.findall(r"COPY --chmod=0644 (\S+) (\S+)", stage)
    assert json.loads(re.findall(r"ENTRYPOINT (.*)", stage)[0]) == ["python", "-P", copied[1]]
    assert "USER 0:0" in stage, "its start gives root up, which make test-container sees"


def test_camera_of_a_container_is_reached_by_its_first_group() -> None:
    assert re.fullmatch(r"990:\$\{AFFECT_EDGE_VIDEO_GROUP:-\d+\}", SERVICES["agent"]["user"])
    assert not any("group_add" in service for service in SERVICES.values())


@pytest.mark.parametrize("service", ALL_SERVICES)
def test_a_service_may_no_more_than_it_needs(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service
    assert not re.search(r"password['\"]?\s*[:=]\s*\S", str(service), re.IGNORECASE)


def test_only_what_must_be_is_reached_and_a_dashboard_from_here_by_default() -> None:
    dashboard = ["${AFFECT_EDGE_ADDRESS:-127.0.0.1}:${AFFECT_EDGE_PORT:-8080}:8080"]
    broker = ["${AFFECT_EDGE_BROKER_ADDRESS:-0.0.0.0}:${AFFECT_EDGE_BROKER_PORT:-8883}:8883"]
    for composition, wanted in (
        (COMPOSE, {"dashboard": dashboard}),
        (FLEET, {"broker": broker, "dashboard": dashboard}),
    ):
        services = composition["services"].items()
        assert {name: one["ports"] for name, one in services if "ports" in one} == wanted


def test_every_setting_of_a_composition_is_one_of_the_configuration() -> None:
    known = Settings.model_fields
    for name in (*COMPOSE["x-settings"], *FLEET["services"]["dashboard"]["environment"]):
        section, key = name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER.lower(), 1)
        fields = known[section].annotation.model_fields  # type: ignore[union-attr]
        assert key.split(ENV_DELIMITER)[0] in fields, name


@pytest.mark.parametrize("file", FILES)
def test_every_image_is_a_stage_and_every_volume_declared(file: str) -> None:
    services = COMPOSED[file]["services"].values()
    for build in (service["build"] for service in services):
        folder = (ROOT / file).parent / build["context"]
        assert (folder / build["dockerfile"]).samefile(ROOT / "container/Containerfile")
        assert f" AS {build['target']}\n" in CONTAINERFILE
    volumes = (volume for service in services for volume in service.get("volumes", []))
    assert {volume.split(":")[0] for volume in volumes} == set(COMPOSED[file]["volumes"])


def test_what_is_started_and_asked_are_commands_of_ours() -> None:
    said = [CONTAINERFILE, *(str(service) for service in SERVICES.values())]
    named = {word for text in said for word in re.findall(r"affect-edge ([a-z]+)\b", text)}
    named |= set(re.findall(r'"affect-edge", "([a-z]+)"', CONTAINERFILE))
    named |= {service["command"][0] for service in SERVICES.values() if service.get("command")}
    assert {"run", "dashboard", "health", "maintenance", "certificate"} <= named
    assert named <= set(cli.commands)


def test_health_says_which_part_does_not_answer(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["health", "agent", "--data", str(tmp_path)])
    assert (done.exit_code, done.output) == (1, "agent: does not answer\n"), done.exception


def test_health_says_since_when_an_agent_that_answers_stores_nothing(tmp_path: Path) -> None:
    server = LiveServer(tmp_path / SOCKET_NAME)
    server.start()
    try:
        for unstored, code, said in (
            ({"unstored_since": None, "reason": None}, 0, "answers"),
            (
                {"unstored_since": 1_790_000_000_000, "reason": "The disk is full."},
                1,
                "answers, but has stored nothing since 2026-09-21T14:13:20.000Z: The disk is full.",
            ),
        ):
            server.publish({"type": "state", "at": clock.now().wall_ms, "recorder": unstored})
            done = CliRunner().invoke(cli, ["health", "agent", "--data", str(tmp_path)])
            assert (done.exit_code, done.output) == (code, f"agent: {said}\n"), done.exception
    finally:
        server.stop()
        assert server.join(60)


def test_the_version_of_python_is_the_one_of_the_base() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert "BASE=debian:trixie-slim" in instructions("ARG")
    assert "-py3.13.txt" in CONTAINERFILE
