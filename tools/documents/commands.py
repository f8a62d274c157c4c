"""Every command, from the commands themselves: a table, and their options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click

from affect_edge import cli
from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS
from tools.documents.write_manual import NAME, context_of, walk
from training.commands.main import app as training

GUIDES = {
    "account": "dashboard.md#accounts-and-roles",
    "account token": "api.md#tokens",
    "alerts": "alerts.md",
    "analyse": "statistics.md",
    "analyse-video": "#recorded-videos",
    "backup": "backup.md",
    "certificate": "install.md#a-certificate-of-your-own",
    "classify": "#what-the-json-looks-like",
    "collect": "fleet.md",
    "dashboard": "dashboard.md",
    "database-gate": "security.md#the-gate-to-the-database",
    "demo": "tutorial.md",
    "doctor": "troubleshooting.md",
    "export": "export.md",
    "import-faces": "movements.md#tables-of-other-programs",
    "import-markers": "study-guide.md#a-study-that-has-taken-place",
    "import-study": "importing.md#importing-a-study",
    "import-vitals": "importing.md#importing-readings",
    "imports": "importing.md#importing-readings",
    "lsl": "export.md#lab-streaming-layer",
    "maintenance": "install.md#maintenance",
    "model": "../training/README.md#train-on-your-own-faces",
    "mqtt-user": "install.md#the-mqtt-broker",
    "participant": "study-guide.md#2-participant-and-consent",
    "plan-study": "statistics.md#before-the-study",
    "protocol": "protocols.md",
    "restore": "backup.md",
    "rollback": "install.md#updating-and-going-back",
    "session": "study-guide.md#5-sessions-without-a-protocol",
    "sql": "data.md#asking-in-sql",
    "update": "install.md#updating-and-going-back",
    "vitals": "sensors.md",
}
"""Command, or the words before it → where a page is about it."""
Called = tuple[click.Context, click.Command]


def table() -> str:
    """Return the table of commands in Markdown."""
    of_questions = {one.command_name: one.documented for one in QUESTIONS if one.has(Way.COMMAND)}
    lines = ["| command | what it does | guide |", "|---|---|---|"]
    for context, command in _every():
        words = context.command_path.removeprefix(f"{NAME} ")
        documented = of_questions.get(words)
        about = (documented.answers or documented.shows) if documented else _first(command)
        link = f"[`{context.command_path}`](#{context.command_path.replace(' ', '-')})"
        lines.append(f"| {link} | {about} | {_guide(words)} |")
    return "\n".join(lines)


def manual() -> str:
    """Return a section for each command: how it is called, what it does, its options."""
    return _sections(_every())


def manual_of_training() -> str:
    """Return the same of the commands of training."""
    return _sections(walk(training, context_of(training, "python -m training")))


def _sections(commands: Iterator[Called]) -> str:
    return "\n\n".join(part for called in commands for part in _section(*called))


def _every() -> Iterator[Called]:
    return walk(cli, context_of(cli, NAME))


def _guide(words: str) -> str:
    parts = words.split()
    keys = (" ".join(parts[:n]) for n in range(len(parts), 0, -1))
    place = next((GUIDES[key] for key in keys if key in GUIDES), "")
    name = place.rpartition("/")[2].partition("#")[0].removesuffix(".md") or "below"
    return f"[{name.lower()}]({place})" if place else ""


def _section(context: click.Context, command: click.Command) -> Iterator[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"### `{context.command_path}`"
    yield f"`{usage}`"
    yield from (_plain(part) for part in re.split(r"\n\s*\n", cleandoc(command.help or "")))
    options = [
        f"| `{_cell(record[0])}` | {_cell(_plain(record[1]))} |"
        for one in command.params
        if isinstance(one, click.Option) and (record := one.get_help_record(context))
    ]
    if options:
        yield "\n".join(["| option | |", "|---|---|", *options])


def _first(command: click.Command) -> str:
    return _cell(_plain(re.split(r"\n\s*\n", cleandoc(command.help or ""))[0]))


def _plain(text: str) -> str:
    """Return a help text in one line, whose signs mean nothing in Markdown."""
    line = " ".join(text.replace("\b", "").replace("``", "`").split())
    return re.sub(r"(?<!`)([<*\[])", r"\\\1", line)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
