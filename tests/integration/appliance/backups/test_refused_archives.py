"""Archives that are refused: damaged, cut short, forged. Nothing is changed then."""

from __future__ import annotations

import hashlib
import io
import json
import random
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.appliance.archive import SEAL_CHARACTERS, open_archive
from edge_agent.core.errors import BackupError
from tests.support.backups.whole_appliance import WholeAppliance, backed_up, state


def refused(appliance: WholeAppliance, file: Path, *said: str) -> None:
    before = state(appliance.data, appliance.settings)
    done = appliance.run("restore", file, "--yes")
    assert isinstance(done.exception, BackupError), done.output
    assert any(words in str(done.exception) for words in said), done.exception
    assert "Nothing was changed" in str(done.exception)
    assert state(appliance.data, appliance.settings) == before


def test_one_bit_that_changed_anywhere_is_seen(archive: Path) -> None:
    content = archive.read_bytes()
    chance = random.Random(7)
    places = [0, len(content) - 1, len(content) - SEAL_CHARACTERS - 1]
    for place in [*places, *(chance.randrange(len(content)) for _ in range(100))]:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        archive.write_bytes(changed)
        with pytest.raises(BackupError), open_archive(archive, str):
            pass


def test_a_truncated_empty_or_foreign_file_is_refused(
    appliance: WholeAppliance, archive: Path
) -> None:
    content = archive.read_bytes()
    for end in (0, 1, 63, 64, 65, 1000, len(content) // 2, len(content) - 1):
        archive.write_bytes(content[:end])
        refused(appliance, archive, "is damaged or not complete", "is no archive")
    archive.write_bytes(b"holiday pictures " * 1000)
    refused(appliance, archive, "is no archive that `affect-edge backup` made")


class Forger:
    """Changes an archive and seals it again, as somebody may who means harm."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with zipfile.ZipFile(file) as opened:
            self.members = {name: opened.read(name) for name in opened.namelist()}
        self.manifest: dict[str, Any] = json.loads(self.members.pop("manifest.json"))

    def put(self, path: str, content: bytes, listed: bool = True) -> None:
        self.members[path] = content
        if listed:
            self.manifest["files"] = [f for f in self.manifest["files"] if f["path"] != path]
            digest = hashlib.sha256(content).hexdigest()
            listed_file = {"path": path, "bytes": len(content), "sha256": digest, "private": False}
            self.manifest["files"].append(listed_file)

    def seal(self, compression: int = zipfile.ZIP_STORED, mode: int = 0) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", compression) as made:
            for name, content in self.members.items():
                member = zipfile.ZipInfo(name)
                member.compress_type = compression
                member.external_attr = mode << 16
                made.writestr(member, content)
            made.writestr("manifest.json", json.dumps(self.manifest))
            made.comment = b"0" * 64
        content = out.getvalue()[:-64]
        self.file.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def a_log(forger: Forger) -> None:
    forger.manifest["settings"][0]["path"] = "data/affect-edge.db-wal"
    forger.put("data/affect-edge.db-wal", b"evil")


def a_journal(forger: Forger) -> None:
    forger.manifest["settings"][0]["path"] = "data/affect-edge.db.replacing"
    forger.put("data/affect-edge.db.replacing", b"{}")


def trusted(name: str) -> Callable[[Forger], None]:
    """Let a setting name a file by which the machine knows whom to trust."""

    def forge(forger: Forger) -> None:
        setting = {"key": "mqtt.ca_file", "value": "/etc/ca.pem", "path": f"config/{name}"}
        forger.manifest["settings"].append(setting)
        forger.put(f"config/{name}", b"evil")

    return forge


KEY = "data/tls/key.pem"


def no_database(forger: Forger) -> None:
    forger.manifest["files"] = forger.manifest["files"][1:]


def damaged_database(forger: Forger) -> None:
    content = bytearray(forger.members["data/affect-edge.db"])
    content[8192:8256] = b"\x5a" * 64
    forger.put("data/affect-edge.db", bytes(content))


def swapped(forger: Forger) -> None:
    forger.members[KEY] = forger.members[KEY][::-1]


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda f: f.put("data/../../evil", b"evil"), "is no path below"),
        (lambda f: f.put("/tmp/evil", b"evil"), "is no path below"),
        (lambda f: f.put("data\\..\\evil", b"evil"), "is no path below"),
        (lambda f: f.put("data/tls/more.pem", b"evil", listed=False), "its list and its files"),
        (lambda f: f.put("config/cron.d/evil", b"evil"), "belongs to no setting"),
        (a_log, "belongs to no setting"),
        (trusted("release-signers"), "says whom a machine trusts"),
        (trusted("release-revoked"), "says whom a machine trusts"),
        (trusted("release-signers.d/one.pub"), "says whom a machine trusts"),
        (trusted("parts"), "says whom a machine trusts"),
        (trusted("affect-edge.toml.backup-restoring"), "says whom a machine trusts"),
        (a_journal, "belongs to no setting"),
        (lambda f: f.manifest["settings"][0].update(key="camera.device"), "settings.0.key"),
        (lambda f: f.members.update({KEY: b"0" * 1_000_000}), "is larger than its list says"),
        (swapped, "differs from the archive's list"),
        (lambda f: f.members.pop(KEY), "its list and its files differ"),
        (lambda f: f.manifest["files"][0].update(bytes=10**15), "MB are needed"),
        (no_database, "no data/affect-edge.db"),
        (
            lambda f: f.put("data/affect-edge.db", b"SQLite format 3\0" + bytes(5000)),
            "to be restored is damaged",
        ),
        (damaged_database, "to be restored is damaged"),
        (lambda f: f.manifest.update(format_version=2), "format_version"),
        (
            lambda f: f.put("config/affect-edge.toml", b"[camera]\nsource = 'mind'\n"),
            "is not one that this version understands",
        ),
        (lambda f: f.put("config/affect-edge.toml", b"\xff\xfe"), "is not UTF-8"),
    ],
)
def test_a_forged_archive_is_refused_and_nothing_is_changed(
    appliance: WholeAppliance, archive: Path, forge: Callable[[Forger], object], said: str
) -> None:
    forger = Forger(archive)
    forge(forger)
    forger.seal()
    refused(appliance, archive, said)
    assert not list(archive.parent.rglob("*evil*"))


def test_a_bomb_a_link_or_an_encrypted_member_is_refused(
    appliance: WholeAppliance, archive: Path
) -> None:
    forger = Forger(archive)
    forger.members["data/tls/key.pem"] = bytes(50_000_000)
    forger.seal(zipfile.ZIP_DEFLATED)
    refused(appliance, archive, "compressed, encrypted or no plain file")
    forger = Forger(backed_up(appliance, archive, "--overwrite"))
    forger.seal(mode=stat.S_IFLNK | 0o777)
    refused(appliance, archive, "compressed, encrypted or no plain file")


def test_many_files_of_one_name_are_refused(appliance: WholeAppliance, archive: Path) -> None:
    forger = Forger(archive)
    forger.manifest["files"].append(forger.manifest["files"][0])
    forger.seal()
    refused(appliance, archive, "lists a path twice")
