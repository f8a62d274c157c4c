"""The Ansible playbook of docs/fleet.md: valid YAML whose commands and keys exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.config.keys import key_named
from tests.docs.pages import ROOT
from tests.docs.shell import fault_in_use

FOLDER = ROOT / "docs/ansible"
PLAYS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "playbook.yml").read_text(encoding="utf-8"))
INVENTORY: dict[str, Any] = yaml.safe_load((FOLDER / "inventory.yml").read_text(encoding="utf-8"))
OF_A_TASK = {
    *("name", "when", "loop", "vars", "register", "notify", "until", "retries", "delay"),
    *("delegate_to", "become", "no_log", "changed_when", "check_mode", "block", "always"),
}


def tasks_in(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, list):
        for one in part:
            yield from tasks_in(one)
    elif isinstance(part, dict):
        if any(key.startswith("ansible.") for key in part):
            yield part
        for name in ("tasks", "handlers", "block", "always"):
            yield from tasks_in(part.get(name))


TASKS = list(tasks_in(PLAYS))


def commands() -> Iterator[str]:
    """Yield each command of affect-edge as it is typed, with a word for each value."""
    for task in TASKS:
        asked = task.get("ansible.builtin.command", "")
        if isinstance(asked, dict):
            argv = asked["argv"]
            words = re.findall(r"'([\w-]+)'", argv) if isinstance(argv, str) else argv
            asked = " ".join([*words, "camera.fps=10"] if "config" in words else words)
        if asked.startswith("affect-edge"):
            yield re.sub(r"\{\{.*?\}\}", "WORD", asked)


def settings() -> list[str]:
    own = [one for task in TASKS for one in task.get("vars", {}).get("own", [])]
    return [*own, *INVENTORY["appliances"]["vars"]["settings"]]


def test_its_tasks_use_modules_of_ansible_itself_alone() -> None:
    for task in TASKS:
        modules = task.keys() - OF_A_TASK
        assert len(modules) == 1, task
        assert next(iter(modules)).startswith("ansible.builtin."), task


@pytest.mark.parametrize("command", list(commands()))
def test_its_commands_exist(command: str) -> None:
    assert not fault_in_use(command)


def test_its_keys_exist() -> None:
    assert [one for one in settings() if key_named(one.partition("=")[0]) is None] == []
    assert len(settings()) > 5


def test_the_password_is_found_in_what_the_command_says() -> None:
    source = Path(ROOT / "affect_edge/access.py").read_text(encoding="utf-8")
    assert "kept nowhere): {password}" in source
    (pattern,) = re.findall(r"regex_search\('(kept.*?)',", str(PLAYS).replace("\\\\", "\\"))
    assert re.search(pattern.replace("\\\\", "\\"), "Password (kept nowhere): 12ab\n")


def test_services_start_again_only_when_something_changed() -> None:
    (handler,) = [one for play in PLAYS for one in play.get("handlers", [])]
    assert {one["notify"] for one in TASKS if "notify" in one} == {handler["name"]}
