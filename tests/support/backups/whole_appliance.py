"""An appliance with everything that a backup has to bring back."""

from __future__ import annotations

import os
import re
import signal
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.support.backups.killed import killed_at
from tests.support.studies import heart, make_study
from tests.support.timeline import query

PASSPHRASE = "five words nobody can guess"
CONFIG = """\
# An appliance.
[device]
name = "ward-3"

[data]
folder = "{data}"

[mqtt]
username = "ward"
password_file = "{settings}/mqtt-password"

[dashboard]
certificate = "{data}/tls/cert.pem"
key = "{data}/tls/key.pem"
protocols = "{settings}/protocols"
"""


@dataclass(frozen=True)
class WholeAppliance:
    """Its folders, and the commands that back it up and restore it."""

    data: Path
    settings: Path

    @property
    def database(self) -> Path:
        return self.data / DATABASE_NAME

    @property
    def config(self) -> Path:
        return self.settings / "affect-edge.toml"

    def run(self, command: str, *words: object) -> Result:
        arguments = [command, *map(str, words), "--config", str(self.config)]
        return CliRunner().invoke(cli, [*arguments, "--data", str(self.data)])

    def files(self) -> dict[str, bytes]:
        """Every file that it consists of, by the last part of its name."""
        found = [
            self.config,
            self.settings / "mqtt-password",
            *(self.settings / "protocols").rglob("*.*"),
            *(self.data / "tls").glob("*.pem"),
        ]
        kept = [file for file in found if not re.search(r"\.(replaced|backup)[.-]", file.name)]
        return {file.name: file.read_bytes() for file in kept}


def whole_appliance(folder: Path, people: int = 3) -> WholeAppliance:
    """Make an appliance with a study, a configuration, a certificate, a protocol and a password."""
    made = WholeAppliance(folder / "data", folder / "settings")
    make_study(
        made.data,
        {f"P{n:02}": heart(anger=80 + n, happiness=70, neutral=60) for n in range(people)},
    )
    (made.data / "tls").mkdir()
    (made.data / "tls" / "cert.pem").write_text("certificate\n")
    (made.data / "tls" / "key.pem").write_text("key\n")
    (made.data / "tls" / "key.pem").chmod(0o600)
    (made.settings / "protocols" / "media").mkdir(parents=True)
    (made.settings / "protocols" / "films.toml").write_text('title = "Films"\n')
    (made.settings / "protocols" / "media" / "film.mp4").write_bytes(bytes(range(256)) * 40)
    (made.settings / "mqtt-password").write_text("secret\n")
    made.config.write_text(CONFIG.format(data=made.data, settings=made.settings))
    return made


def open_to_others(folder: Path) -> None:
    """Let other users pass through the folders above, which pytest closes to them."""
    for outer in folder.parents:
        if outer.stat().st_mode & 0o001 == 0:
            outer.chmod(outer.stat().st_mode | 0o001)


def backed_up(appliance: WholeAppliance, file: Path, *words: object) -> Path:
    done = appliance.run("backup", file, *words)
    assert done.exit_code == 0, done.output
    return file


def state(*folders: Path) -> dict[Path, bytes]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if path.suffix != ".lock"}


def codes(database: Path) -> list[str]:
    return [code for (code,) in query(database, "SELECT code FROM participant ORDER BY code")]


def change(appliance: WholeAppliance) -> None:
    """Another participant, whose rows lie in the log only, and other files."""

    def record() -> None:
        with closing(connect(appliance.database, readonly=False)) as connection:
            connection.execute("INSERT INTO participant (code, created) VALUES ('LATER', 5)")
            os.kill(os.getpid(), signal.SIGKILL)

    assert killed_at(0, record)
    assert appliance.database.with_name("affect-edge.db-wal").stat().st_size > 0
    (appliance.settings / "mqtt-password").write_text("another secret\n")
    (appliance.settings / "protocols" / "films.toml").write_text('title = "Other films"\n')
    appliance.config.write_text(appliance.config.read_text().replace("ward-3", "ward-4"))
