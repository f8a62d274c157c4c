"""Every command as a user without rights in the data folder, and as root in that of a user.

``python -m tests.support.security.unprivileged`` prints as JSON how each ended: its exit
code, nothing where it works on, or a traceback. What a command loads is loaded before: Python may
be installed for root alone.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from affect_edge import cli
from affect_edge.options import LateCommand
from edge_agent.core.errors import AffectEdgeError
from edge_agent.timeline.database.dashboard_file import write_dashboard
from tests.support.studies import heart, make_study

NOBODY = 65534
OWNER = 61001
_PATIENCE_S = 2
_WORDS = {
    "code": "P01",
    "number": "1",
    "marker": "1",
    "session": "1",
    "name": "films",
    "kind": "note",
    "what": "ferplus",
    "role": "viewer",
    "condition": "anger",
    "query": "SELECT count(*) FROM vital",
}
"""Values of arguments and options by their names; others get that of a file, or a word."""
_BACKUP = "backup"
_OPTIONS = {
    "--purpose": "research",
    "--text": "1",
    "--confirm": "P01",
    "--at": "2026-01-02T03:04:05Z",
    "--start": "2026-01-02T03:04:05Z",
    "--end": "2026-01-02T03:05:05Z",
    "--given": "2026-01-02T03:04:05Z",
    "--reason": "why",
    "--scope": "read",
    "--account": "ada",
    "--role": "viewer",
    "--event": "anger",
    "--vital": "heart_rate",
    "--out": "{folder}/out",
}
_APART = frozenset({"collect", "demo", "mqtt-user", "update", "rollback", "protocol", "plan-study"})
"""Commands that work in no data folder, or in one of their own."""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield each command that works in a data folder, with the words that call it."""

    def below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, LateCommand):
            command = command.loaded()
        if any("--data" in one.opts for one in command.params):
            yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from below(f"{path} {name}", inner)

    for name, command in cli.commands.items():
        if name not in _APART:
            yield from below(name, command)


def words_for(path: str, command: click.Command, folder: Path) -> list[str]:
    """Return a call of a command: with what it requires, in a data folder."""
    words = path.split()
    for one in command.params:
        if isinstance(one, click.Argument) and (one.required or one.name == "code"):
            given = _WORDS.get(str(one.name), str(folder.parent / "file.csv"))
            if isinstance(one.type, click.Choice):
                given = str(one.type.choices[0])
            words.append(given)
        elif isinstance(one, click.Option) and one.required:
            name = one.opts[0]
            given = _OPTIONS.get(name, "1").format(folder=folder)
            if isinstance(one.type, click.Choice):
                given = str(one.type.choices[0])
            words += [name, given]
    if any("--confirm" in one.opts for one in command.params):
        words += ["--confirm", "P01"]
    if path == _BACKUP:
        words.append(str(folder.parent / "out/backup.zip"))
    # Not by --data, which Click looks at first.
    return [*words, "--config", str(folder.with_suffix(".toml"))]


def called(words: list[str], user: int) -> tuple[str, list[str]]:
    """Call a command in a process of its own; return how it ended, and what it has loaded."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _call(words, user, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        text = said.read()
    os.waitpid(child, 0)
    ended, modules = json.loads(text)
    return ended, modules


def _call(words: list[str], user: int, writing: int) -> None:
    ended = ""

    def tell(*_: object) -> None:
        with os.fdopen(writing, "w", encoding="utf-8") as out:
            json.dump([ended, list(sys.modules)], out)
        os._exit(0)

    signal.signal(signal.SIGALRM, tell)
    signal.alarm(_PATIENCE_S)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.execv = _in_place  # type: ignore[assignment]
    later: list[str] = []
    sys.unraisablehook = lambda one: later.append(f"{one.exc_value!r} in {one.object!r}")
    try:
        cli.main(words, prog_name="affect-edge", standalone_mode=False)
        ended = "0"
    except SystemExit as ending:
        ended = str(ending.code or 0)
    except (AffectEdgeError, PermissionError, click.ClickException, click.Abort) as error:
        ended = str(getattr(error, "exit_code", 1))
    except BaseException:  # noqa: BLE001 - a fork must not go on as a second one
        ended = traceback.format_exc()
    # What Python says behind the sentence, once it forgets what was left open.
    gc.collect()
    ended = later[0] if later else ended
    tell()


def _in_place(program: str, words: list[str]) -> None:
    """Do what ``python -m dashboard`` does, without starting Python anew."""
    from dashboard.__main__ import main

    sys.exit(main(words[4:]))


def faults() -> Iterator[dict[str, str]]:
    """Yield each call that ended neither well nor with a sentence."""
    with TemporaryDirectory(dir="/var/tmp") as name:
        base = Path(name)
        base.chmod(0o755)
        (base / "file.csv").write_text("time,heart_rate\n2026-01-02T03:04:05Z,60\n")
        for kind, mode in (("good", 0o777), ("closed", 0o700), ("read", 0o755)):
            data = base / kind / "data"
            data.parent.mkdir()
            (data.parent / "out").mkdir()
            (data.parent / "out").chmod(0o777)
            data.with_suffix(".toml").write_text(f'[data]\nfolder = "{data}"\n')
            make_study(data, {"P01": heart(anger=80, happiness=70, neutral=60)})
            with write_dashboard(data / "affect-edge.db") as connection:
                connection.execute("SELECT 1")
            for file in (data, *data.rglob("*")):
                if kind != "good":
                    os.chown(file, OWNER, OWNER)
                file.chmod(mode if file.is_dir() else mode & 0o666)
            (data.parent / "file.csv").write_text((base / "file.csv").read_text())
        "".encode("unicode_escape")  # loaded when it is used
        for path, command in commands():
            _, modules = called(words_for(path, command, base / "good/data"), 0)
            for module in modules:
                if module not in sys.modules:
                    with suppress(Exception):
                        import_module(module)
            for kind in ("closed", "read"):
                words = words_for(path, command, base / kind / "data")
                for user in (NOBODY, 0):
                    ended, _ = called(words, user)
                    yield {"command": path, "folder": kind, "user": str(user), "ended": ended}


if __name__ == "__main__":
    print(json.dumps(list(faults())))
