"""Every command: its help, its refusal of wrong use, its row in the documentation, the manual page
and the completion made from it, and what a removed one says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from affect_edge import cli
from affect_edge.app import LATE
from edge_agent.config.removed import COMMANDS as REMOVED
from edge_agent.config.removed import RemovedCommand
from edge_agent.core.errors import ConfigError
from tests.docs.pages import text_of
from tests.golden.project import COMMANDS as PROGRAMS
from tools.documents.commands import GUIDES
from tools.documents.write_manual import written

PAGE = "docs/commands.md"
ROWS = set(re.findall(r"^\| \[`(affect-edge [^`]+)`\]", text_of(PAGE), re.MULTILINE))


def below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all commands below it, each with the words that call it."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        if not isinstance(inner, RemovedCommand):
            yield from below(f"{path} {name}", inner)


def of_product(place: str) -> click.Command:
    """Return a command of another product as it stands there."""
    module, _, name = place.partition(":")
    found = getattr(import_module(module), name)
    assert isinstance(found, click.Command)
    return found


OF_PRODUCTS = {f"affect-edge {name}": of_product(place) for name, (place, _) in LATE.items()}
"""Commands of other products, which `affect-edge` loads only when they are called."""
ROOTS = PROGRAMS | OF_PRODUCTS
EVERY = {
    path: command
    for root in ROOTS
    for path, command in below(root, ROOTS[root])
    if root in OF_PRODUCTS or path not in OF_PRODUCTS
}


def called(path: str, *words: str) -> tuple[int, str]:
    """Call a command in this process; return its exit code, and all that it printed."""
    root = max((one for one in ROOTS if f"{path} ".startswith(f"{one} ")), key=len)
    inner = path.removeprefix(root).split()
    done = CliRunner().invoke(ROOTS[root], [*inner, *words], terminal_width=100)
    return done.exit_code, done.output


def test_command_registry_holds_all_of_both_programs() -> None:
    assert set(LATE) <= set(cli.commands)
    assert len(EVERY) > 100


@pytest.mark.parametrize("path", EVERY)
def test_command_asked_for_help_says_what_it_does_and_takes(path: str) -> None:
    code, said = called(path, "--help")
    assert code == 0, said
    assert said.startswith("Usage: ")
    command = EVERY[path]
    assert command.get_short_help_str(200), "a command needs a docstring"
    context = click.Context(command, info_name=path)
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    for option in options:
        assert option.opts[0] in said
        option.get_help_record(context)  # some write their help when they are asked for it
        assert option.help, f"{path} {option.opts[0]} has no help"


@pytest.mark.parametrize("path", EVERY)
def test_command_given_an_unknown_option_is_refused_with_its_name(path: str) -> None:
    code, said = called(path, "--no-such-option")
    assert code == 2, said
    assert "No such option" in said and "--no-such-option" in said


@pytest.mark.parametrize(
    "path", [path for path, command in EVERY.items() if isinstance(command, click.Group)]
)
def test_command_group_given_an_unknown_command_is_refused_with_its_name(path: str) -> None:
    code, said = called(path, "no-such-command")
    assert code == 2, said
    assert "No such command" in said and "no-such-command" in said


def test_commands_of_the_appliance_stand_in_the_table_of_commands() -> None:
    done = {
        path
        for path, command in EVERY.items()
        if path.startswith("affect-edge ") and not isinstance(command, click.Group)
    }
    assert done == ROWS
    assert all(any(f"{path} ".startswith(f"affect-edge {one} ") for path in done) for one in GUIDES)


@pytest.mark.parametrize("file", written(), ids=lambda file: file.name)
def test_command_manual_and_completions_are_what_the_commands_say(file: Path) -> None:
    now = written()[file]
    assert file.read_text(encoding="utf-8") == now, "run: python -m tools.documents.write_manual"


@pytest.mark.parametrize("path", [path for path in EVERY if path.startswith("affect-edge ")])
def test_command_options_are_offered_to_the_shell(path: str) -> None:
    complete = ShellComplete(cli, {}, "affect-edge", "_AFFECT_EDGE_COMPLETE")
    offered = {one.value for one in complete.get_completions(path.split()[1:], "--")}
    wanted = {
        name
        for option in EVERY[path].params
        if isinstance(option, click.Option) and not option.hidden
        for name in option.opts
        if name.startswith("--")
    }
    assert wanted | {"--help"} <= offered


@pytest.mark.parametrize("path", REMOVED)
def test_command_that_was_removed_says_what_to_do_instead(path: str) -> None:
    done = CliRunner().invoke(cli, [*path.split(), "--any", "word"])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == f"{path}: this command was removed. {REMOVED[path]}"
    *group, name = path.split()
    assert not re.search(rf"^  {name}\b", called(" ".join(["affect-edge", *group]), "--help")[1])


def repeated(path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each option of a command that has one value, with the words that give it two."""
    for option in EVERY[path].params:
        if not isinstance(option, click.Option) or option.multiple or option.count:
            continue
        name = max(option.opts, key=len)
        if not option.is_flag:
            yield name, [name, *["1"] * option.nargs, name, *["2"] * option.nargs]
        elif option.secondary_opts:
            yield name, [name, option.secondary_opts[0]]


@pytest.mark.parametrize("path", EVERY)
def test_command_given_an_option_twice_refuses_it(path: str) -> None:
    for name, words in repeated(path):
        code, said = called(path, *words)
        assert code == 2, said
        assert f"{name} was given 2 times" in said
