"""The command that collects the timelines of many appliances; a program of its own."""

from __future__ import annotations

import os
import sys

import click

from edge_agent.cli.fleet.options import collect_options


@click.command(context_settings={"auto_envvar_prefix": "AFFECT_EDGE_COLLECT"})
@collect_options
def collect(**options: object) -> None:
    """Take the timelines of many appliances from a broker into PostgreSQL, until stopped."""
    words = []
    for name, value in options.items():
        word = f"--{name.replace('_', '-')}"
        if isinstance(value, tuple):
            words += [part for host in value for part in ("--host", str(host))]
        elif value is True:
            words.append(word)
        elif value not in (None, False):
            words += [word, str(value)]
    os.execv(sys.executable, [sys.executable, "-P", "-m", "collector", *words])
