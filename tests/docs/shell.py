"""Commands of the documentation: found in its blocks, looked up among those that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import click

from affect_edge import cli
from affect_edge.options import LateCommand
from tests.docs.pages import Block, blocks_of, pages
from training.commands.main import app

PROGRAMS = {
    *("./install.sh", "./rpi-image-gen", ".venv/bin/affect-edge", ".venv/bin/pip"),
    *("python3", ".venv-training/bin/pip"),
    *(".venv/bin/python", "affect-edge", "ansible-playbook", "bluetoothctl", "cd", "curl"),
    *("git", "journalctl", "make", "mosquitto_pub", "mosquitto_sub", "pipx", "podman"),
    *("podman-compose", "printf", "python", "sed", "ssh", "ssh-keygen", "sudo"),
}
"""With one of these a block of commands begins."""
COMMENT = re.compile(r"\s+#\s.*$")


@dataclass(frozen=True, slots=True)
class Documented:
    """A command as it stands in a page, continued lines joined, its comment taken away."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Return number and text of each line; one that ends in a backslash is joined with the next."""
    whole = ""
    start = 0
    for number, line in enumerate(text.splitlines()):
        if not whole:
            start = number
        if line.endswith("\\"):
            whole += line[:-1]
            continue
        joined = COMMENT.sub("", whole + line).strip()
        whole = ""
        if joined and not joined.startswith("#"):
            yield start, joined


def holds_commands(block: Block) -> bool:
    """Tell whether a block holds commands: it names no language and begins with a program."""
    if block.kind:
        return False
    for _, line in logical_lines(block.text):
        return line.split(" ")[0] in PROGRAMS
    return False


def documented_commands() -> list[Documented]:
    """Return every command that stands in a block of its own; those of the tutorial are apart."""
    found = []
    for page in pages():
        for block in blocks_of(page):
            if holds_commands(block):
                lines = logical_lines(block.text)
                found += [Documented(page, block.line + number, text) for number, text in lines]
    return found


def fault_in_use(text: str) -> str:
    """Say what is wrong with the words of an `affect-edge` or `python -m training` command.

    Returns:
        An empty text when command and options exist. Brackets mean that something may be left
        out, `a|b` that there are both.
    """
    for word in words_of(text):
        if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word):
            faults = [fault_in_use(text.replace(word, one)) for one in word.split("|")]
            return " ".join(filter(None, faults))
    words = words_of(text)
    if words[:3] == ["python", "-m", "training"]:
        return _walk(app, words[3:])
    if words[0].endswith("affect-edge"):
        return _walk(cli, words[1:])
    return f"{words[0]} is none of our commands"


def words_of(text: str) -> list[str]:
    """Return the words of a command, without the brackets of what may be left out."""
    plain = re.sub(r"[\[\]]", " ", text.replace("\\|", "|"))
    try:
        return shlex.split(plain)
    except ValueError:
        return plain.split()


def _walk(group: click.Command, words: list[str]) -> str:
    command = group
    rest = list(words)
    while isinstance(command, click.Group):
        name = rest.pop(0) if rest else ""
        if name.startswith("-"):
            return _unknown_options(command, [name, *rest])
        if not name and command.invoke_without_command:
            return ""
        found = command.commands.get(name)
        if found is None:
            return f"there is no command {name!r} in {command.name}"
        command = found.loaded() if isinstance(found, LateCommand) else found
    return _unknown_options(command, rest)


def _unknown_options(command: click.Command, words: list[str]) -> str:
    known = {"--help", "-h", "--version"}
    for parameter in command.params:
        known |= set(parameter.opts) | set(parameter.secondary_opts)
    unknown = [word for word in words if word.startswith("-") and word.split("=")[0] not in known]
    return f"{command.name} has no option {', '.join(unknown)}" if unknown else ""
