"""The command that collects the timelines of many appliances; a program of its own."""

from __future__ import annotations

import os
import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def collect(words: tuple[str, ...]) -> None:
    """Take the timelines of many appliances from a broker into PostgreSQL."""
    os.execv(sys.executable, [sys.executable, "-m", "collector", *words])
