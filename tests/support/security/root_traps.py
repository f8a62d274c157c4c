"""What less trusted users can lay into the folders of an appliance, and what root's commands do.

``python -m tests.support.security.root_traps COMMAND`` runs a command of root for each trap, in
a process of its own, over an appliance of an agent's and a dashboard's user, and prints as JSON
which of root's files changed. Everything is loaded before: Python may be installed for root alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from affect_edge import cli
from edge_agent.appliance import update
from edge_agent.core.errors import AffectEdgeError
from edge_agent.timeline.database.dashboard_file import write_dashboard
from tests.support.security.two_users import stand_in
from tests.support.studies import heart, make_study

AGENT, WEB = 61001, 61002
GROUP = AGENT
_PATIENCE_S = 30
_OLD = "0.0.9"
_MARK = bytes.fromhex("d9d505f920a163d7")  # of a journal of SQLite
_CONFIG = """\
[data]
folder = "{data}"
[dashboard]
certificate = "{data}/tls/cert.pem"
key = "{data}/tls/key.pem"
[mqtt]
enabled = false
"""
DB = "affect-edge.db"
ACCOUNTS = "dashboard/dashboard.db"
PREPARED = (
    f"{DB}.copies.json.part",
    f"{DB}.replacing.part",
    f"{DB}.backup-restoring",
    f"{DB}.backup-restoring.part",
    f"{DB}.backup-new",
    f"{DB}.backup-new.part",
    f"{DB}.backup-for-archive",
    f"{DB}.backup-for-archive.part",
    f"{DB}.before-update-of-{_OLD}.part",
    f"{ACCOUNTS}.backup-restoring",
    f"{ACCOUNTS}.before-update-of-{_OLD}.part",
    "tls/cert.pem.new",
    "tls/key.pem.new",
    "tls/cert.pem.backup-restoring",
    "tls/key.pem.backup-restoring",
)
"""Names under which something is written before it takes its place."""
LOCKS = ("affect-edge.lock", "affect-edge.dashboard.lock", "affect-edge.copies.lock")
BESIDE = (f"{DB}-wal", f"{DB}-shm", f"{ACCOUNTS}-wal", f"{ACCOUNTS}-shm")
Plant = Callable[["Appliance"], None]


class Appliance:
    """The folders of an appliance, and beside them what is root's alone.

    Args:
        base: a folder that everybody may enter.
    """

    def __init__(self, base: Path) -> None:
        self.data = base / "data"
        self.config = base / "etc/affect-edge.toml"
        self.own = base / "own"
        self.out = base / "out"
        self.program = base / "opt"
        self._template = base / "template"

    @property
    def database(self) -> Path:
        return self.data / DB

    @property
    def archive(self) -> Path:
        return self.out / "archive.zip"

    def make(self) -> None:
        """Make it as root's own, so that every command can be loaded and used once."""
        self.own.mkdir(mode=0o700)
        self.config.parent.mkdir()
        self.out.mkdir(mode=0o700)
        self.config.write_text(_CONFIG.format(data=self.data))
        (self.program / "releases" / _OLD).mkdir(parents=True)
        (self.program / "releases" / _OLD / "VERSION").write_text(_OLD)
        make_study(self.data, {"P01": heart(anger=80, happiness=70, neutral=60)})
        (self.data / "dashboard/exports").mkdir(parents=True)
        (self.data / "models").mkdir()
        (self.data / "exports").mkdir()
        with write_dashboard(self.database) as connection:
            connection.execute("SELECT 1")
        run(self, "certificate")
        run(self, "backup")
        run(self, "backup", str(self.archive))
        for file in (self.database, self.data / ACCOUNTS):
            old = file.with_name(f"{file.name}.before-update-of-{_OLD}")
            shutil.copy(file, old)
            with closing(sqlite3.connect(old)) as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                connection.execute(f"PRAGMA user_version={version - 1}")

    def give_away(self) -> None:
        """Give it to its users, as the installer does, and keep it as the state before a trap."""
        for path in (self.data, *self.data.rglob("*")):
            is_web = (self.data / "dashboard") in (path, *path.parents)
            os.chown(path, WEB if is_web else AGENT, GROUP)
            path.chmod(0o750 if path.is_dir() else 0o640)
        (self.data / "tls").chmod(0o770)
        (self.data / "dashboard/exports").chmod(0o770)
        for lock in LOCKS:
            (self.data / lock).unlink(missing_ok=True)
        self.data.rename(self._template)

    def restore_state(self) -> None:
        """Bring everything back to the state before a trap."""
        for folder in (self.data, self.own):
            shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "-a", self._template, self.data], check=True)
        self.config.write_text(_CONFIG.format(data=self.data))
        self.own.mkdir(mode=0o700)
        (self.own / "file").write_text("of root")
        (self.own / "file").chmod(0o600)
        os.mknod(self.own / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        for name in ("folder", "folder/exports"):
            (self.own / name).mkdir(mode=0o700)
        for name in ("cert.pem", "key.pem", "dashboard.db", DB, "exports/one"):
            (self.own / "folder" / name).write_text("of root")

    def state(self) -> dict[str, tuple[object, ...]]:
        """Return content, owner, mode and number of each thing that is root's alone."""
        told: dict[str, tuple[object, ...]] = {}
        # Accounts that the agent's user could read or replace are as if it had changed root's.
        theirs = [self.data / "dashboard.db", *(self.data / "dashboard").glob("dashboard.db*")]
        for path in theirs:
            if path.exists() and path.parent.stat().st_uid == AGENT and not path.is_symlink():
                told[f"accounts given away: {path.name}"] = ()
        for path in sorted((self.own, *self.own.rglob("*"))):
            there = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(there.st_mode) else b""
            told[str(path.relative_to(self.own))] = (
                there.st_ino,
                there.st_mode,
                there.st_uid,
                there.st_gid,
                content.decode("latin-1"),
            )
        return told


def run(appliance: Appliance, *words: str) -> None:
    cli.main([*words, "--config", str(appliance.config)], standalone_mode=False)


def _at(appliance: Appliance, name: str) -> Path:
    """Return a place that is free for a trap."""
    place = appliance.data / name
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    return place


def _given(place: Path) -> None:
    user = WEB if place.parent.name in {"dashboard", "exports"} else AGENT
    os.chown(place, user, GROUP, follow_symlinks=False)


def links(target: str, *names: str) -> Plant:
    """Lay links to something of root's."""

    def plant(appliance: Appliance) -> None:
        for name in names:
            place = _at(appliance, name)
            place.symlink_to(appliance.own / target)
            _given(place)

    return plant


def hard(*names: str) -> Plant:
    """Give a file of root's other names, as a kernel without protection lets others do."""

    def plant(appliance: Appliance) -> None:
        for name in names:
            os.link(appliance.own / "file", _at(appliance, name))

    return plant


def pipes(*names: str) -> Plant:
    """Lay pipes, at which a reader waits for ever."""

    def plant(appliance: Appliance) -> None:
        for name in names:
            place = _at(appliance, name)
            os.mkfifo(place, 0o660)
            _given(place)

    return plant


def journal(name: str) -> Plant:
    """Lay a journal that has SQLite delete a file of root's while it plays it back."""

    def plant(appliance: Appliance) -> None:
        file = appliance.data / name
        named = os.fsencode(appliance.own / "file")
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            pages, size = (
                connection.execute(f"PRAGMA {what}").fetchone()[0]
                for what in ("page_count", "page_size")
            )
        head = struct.pack(">8s5I", _MARK, 0, 0, pages, 512, size).ljust(512, b"\0")
        end = struct.pack(">II8s", len(named), sum(named), _MARK)
        beside = file.with_name(f"{file.name}-journal")
        beside.write_bytes(head + struct.pack(">I", 2**30 // size + 1) + named + end)
        for one in (file, beside):
            _given(one)

    return plant


def _newest_copy(appliance: Appliance) -> None:
    (copy,) = appliance.data.glob(f"{DB}.backup-2*")
    journal(copy.name)(appliance)


def _own_folder(appliance: Appliance) -> None:
    """Lay a folder of the agent's own, open to all, where the dashboard's has to be."""
    folder = appliance.data / "dashboard"
    folder.rename(appliance.data / "away")
    folder.mkdir()
    for one in (folder, folder / "exports"):
        one.mkdir(exist_ok=True)
        os.chown(one, AGENT, GROUP)
        one.chmod(0o777)


def _no_folder(appliance: Appliance) -> None:
    (appliance.data / "dashboard").rename(appliance.data / "away")


def _planned_journal(appliance: Appliance) -> None:
    """Lay the journal of a restore that moves a file of root's."""
    (appliance.own / "file.backup-restoring").write_text("of another")
    place = appliance.data / f"{DB}.replacing"
    place.write_text(json.dumps({"targets": [str(appliance.own / "file")], "stamp": "x"}))
    _given(place)


TRAPS: dict[str, Plant] = {
    "links at all prepared names": links("file", *PREPARED),
    "links into the void at all prepared names": links("absent", *PREPARED),
    "folders of root at all prepared names": links("folder", *PREPARED),
    "pipes at all prepared names": pipes(*PREPARED),
    "hard links at all prepared names": hard(*PREPARED),
    **{f"link at {name}": links("file", name) for name in LOCKS},
    "links into the void at all locks": links("absent", *LOCKS),
    "devices at all locks": links("device", *LOCKS),
    "pipes at all locks": pipes(*LOCKS),
    "hard links at all locks": hard(*LOCKS),
    "link at the database": links("file", DB),
    "link into the void at the database": links("absent", DB),
    "link at the database to another": links(f"folder/{DB}", DB),
    "hard link at the database": hard(DB),
    "pipe at the database": pipes(DB),
    "device at the database": links("device", DB),
    "links beside the databases": links("file", *BESIDE),
    "links into the void beside the databases": links("absent", *BESIDE),
    "pipes beside the databases": pipes(*BESIDE),
    "journal of the database": journal(DB),
    "journal of the accounts": journal(ACCOUNTS),
    "journal of a copy": _newest_copy,
    "journal of a restore": _planned_journal,
    "links at the reports": links("file", f"{DB}.copies.json", f"{DB}.replacing", "capture.json"),
    "pipes at the reports": pipes(f"{DB}.copies.json", f"{DB}.replacing", "capture.json"),
    "link at the accounts": links("file", ACCOUNTS),
    "link into the void at the accounts": links("absent", ACCOUNTS),
    "pipe at the accounts": pipes(ACCOUNTS),
    "link at the folder of the dashboard": links("folder", "dashboard"),
    "folder of the agent's where the dashboard's has to be": _own_folder,
    "no folder of the dashboard": _no_folder,
    "link at the folder of the certificate": links("folder", "tls"),
    "links at the certificate": links("file", "tls/cert.pem", "tls/key.pem"),
    "links into the void at the certificate": links("absent", "tls/cert.pem", "tls/key.pem"),
    "pipes at the certificate": pipes("tls/cert.pem", "tls/key.pem"),
    "links at the exports": links("folder/exports", "exports", "dashboard/exports"),
    "link at the models": links("folder", "models"),
}


def _update(appliance: Appliance) -> None:
    place = update.Installation(appliance.program, appliance.data, appliance.config)
    update._copy_database(place, _OLD)


def _rollback(appliance: Appliance) -> None:
    place = update.Installation(appliance.program, appliance.data, appliance.config)
    update._put_back(place, appliance.program / "releases" / _OLD, lambda sentence: None)


# The users of the tests stand for those that the installer makes.
STAND_INS = f"""chown() {{
  local words=() word
  for word; do
    case "$word" in
      affect-edge:affect-edge) word={AGENT}:{GROUP} ;;
      affect-edge-dashboard:affect-edge) word={WEB}:{GROUP} ;;
    esac
    words+=("$word")
  done
  command chown "${{words[@]}}"
}}
id() {{
  case "$*" in
    "-u affect-edge-dashboard") echo {WEB} ;;
    "-u affect-edge") echo {AGENT} ;;
    *) command id "$@" ;;
  esac
}}"""


def _install(appliance: Appliance) -> None:
    from tests.appliance.installer import run as run_installer

    run_installer(appliance.config.parent, f"data={appliance.data}", STAND_INS, "share_files")


def _of(*words: str) -> Callable[[Appliance], None]:
    return lambda appliance: run(appliance, *(word.format(own=appliance) for word in words))


COMMANDS: dict[str, Callable[[Appliance], None]] = {
    "maintenance": _of("maintenance", "--clock-is-right"),
    "participant add": _of("participant", "add", "P77"),
    "participant erase": _of("participant", "erase", "P01", "--confirm", "P01"),
    "imports": _of("imports"),
    "export": _of("export", "--out", "{own.data}/exports/one"),
    "sql": _of("sql", "SELECT count(*) FROM vital"),
    "backup": _of("backup"),
    "backup FILE": _of("backup", "{own.archive}", "--overwrite"),
    "restore": _of("restore"),
    "restore FILE": _of("restore", "{own.archive}", "--yes"),
    "restore COPY": _of("restore", "{own.data}/affect-edge.db.before-update-of-0.0.9", "--yes"),
    "backup FILE there": _of("backup", "{own.data}/exports/b.zip", "--overwrite"),
    "doctor": _of("doctor", "--bundle", "{own.out}/bundle.zip"),
    "certificate": _of("certificate"),
    "certificate install": _of(
        *("certificate", "install", "--cert", "{own.out}/cert.pem", "--key", "{own.out}/key.pem")
    ),
    "account list": _of("account", "list"),
    "analyse": _of("analyse"),
    "model list": _of("model", "list"),
    "doctor --report": _of("doctor", "--report", "{own.out}/report.json"),
    "update": _update,
    "rollback": _rollback,
    "install.sh": _install,
}
"""Commands that are documented for root, or that somebody types with sudo all the same."""


def _end(appliance: Appliance, command: str) -> str:
    """Run a command in a process of its own; return how it ended."""
    child = os.fork()
    if not child:
        signal.alarm(_PATIENCE_S)
        said = os.fdopen(os.dup(2), "w")
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        code = 70
        try:
            COMMANDS[command](appliance)
            code = 0
        except SystemExit as ending:
            code = int(ending.code or 0)
        except click.ClickException:
            code = 2
        except (AffectEdgeError, OSError) as error:  # of which `main` makes a sentence
            code = int(getattr(error, "exit_code", 1))
        except BaseException:  # noqa: BLE001 - a fork must not go on as a second one
            traceback.print_exc(file=said)
            said.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return "hangs" if os.WIFSIGNALED(status) else str(os.WEXITSTATUS(status))


def holes(command: str, base: Path) -> Iterator[dict[str, object]]:
    """Yield for each trap how the command ended, and which things of root's changed."""
    stand_in(AGENT, WEB, GROUP)
    appliance = Appliance(base)
    appliance.make()
    for name in ("cert.pem", "key.pem"):
        shutil.copy(appliance.data / "tls" / name, appliance.out / name)
    shutil.copytree(appliance.data, base / "before", symlinks=True)
    update.systemctl = lambda *words: ""
    with suppress(SystemExit):  # everything that it loads is loaded now
        COMMANDS[command](appliance)
    assert os.getresuid() == (0, 0, 0)
    shutil.rmtree(appliance.data)
    (base / "before").rename(appliance.data)
    appliance.give_away()
    for trap, plant in {"none": lambda one: None, **TRAPS}.items():
        appliance.restore_state()
        plant(appliance)
        before = appliance.state()
        ended = _end(appliance, command)
        after = appliance.state()
        changed = [name for name in before | after if before.get(name) != after.get(name)]
        yield {"trap": trap, "ended": ended, "changed": changed}


if __name__ == "__main__":
    with TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        told = list(holes(sys.argv[1], Path(folder)))
    print(json.dumps(told), file=sys.stdout)
