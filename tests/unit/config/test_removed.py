"""Commands and options that are gone are refused with what to do instead."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from edge_agent.config.removed import add_removed, removed_option
from edge_agent.core.errors import ConfigError


@click.group()
def root() -> None:
    """A program."""


@root.group()
def model() -> None:
    """Models."""


@root.command()
@removed_option("--check", "Give a file.")
def update() -> None:
    """Install a release."""
    click.echo("installed")


add_removed(root, {"model undo": "Give `model install NAME`.", "enrol": "Use mqtt-user."})


def said(*words: str) -> str:
    result = CliRunner().invoke(root, words)
    assert isinstance(result.exception, ConfigError)
    return str(result.exception)


def test_a_removed_command_says_what_to_do_instead() -> None:
    assert said("enrol", "--code", "x") == "enrol: this command was removed. Use mqtt-user."
    assert said("model", "undo", "3").endswith("removed. Give `model install NAME`.")


def test_no_help_lists_a_removed_command() -> None:
    assert "enrol" not in CliRunner().invoke(root, ["--help"]).output
    assert "undo" not in CliRunner().invoke(root, ["model", "--help"]).output


@pytest.mark.parametrize("words", [["--check"], ["--check", "now"]])
def test_a_removed_option_says_what_to_do_instead(words: list[str]) -> None:
    assert said("update", *words) == "--check: this option was removed. Give a file."
    assert CliRunner().invoke(root, ["update"]).output == "installed\n"
