"""A machine for `encrypt-data` without a device mapper: folders stand for opened containers.

The programs that need root and a kernel of their own are played by scripts in a folder of the PATH:
the passphrase is checked, mounting is a link, and what they were asked is written down. `FAIL`
names the beginning of a command that fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.appliance.encryption.places import Places

_HEAD = """#!/bin/bash
echo "$(basename "$0") $*" >>"TOP/calls"
case "$(basename "$0") $*" in $(cat "TOP/fail")*) echo "no luck today" >&2; exit 1 ;; esac
"""
_TOOLS = {
    "fallocate": 'truncate --size "$2" "$3"',
    "mkfs.ext4": 'mkdir -p "TOP/device/lost+found"',
    "chattr": "exit 1",
    "sync": "",
    "systemctl": '[ ! -L "TOP/lib/data" ] || echo "(mounted)" >>"TOP/calls"',
    "cryptsetup": """
words=("$@")
case $1 in
  luksFormat) cat >"TOP/passphrase" ;;
  open)
    [ "$(cat)" = "$(cat "TOP/passphrase")" ] || { echo "No key available" >&2; exit 2; }
    mkdir -p "TOP/device" && ln -s "TOP/device" "TOP/mapper/affect-edge-data" ;;
  close) rm "TOP/mapper/affect-edge-data" && rm -rf "TOP/device" ;;
esac""",
    "mount": """
if [ $# = 2 ]; then target=$2; else target=$1; grep -q " $1 ext4 " "TOP/etc/fstab" || exit 32; fi
mv "$target" "$target.under" && ln -s "TOP/device" "$target" """,
    "umount": '[ -L "$1" ] && rm "$1" && mv "$1.under" "$1"',
}


class PlayedMachine:
    """The machine: its places, and what its programs were asked."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top
        self.places = Places(
            data=top / "lib/data",
            container=top / "lib/data.luks",
            etc=top / "etc",
            units=top / "units",
            mapper=top / "mapper",
            work=top / "work",
            cryptsetup=(top / "bin/cryptsetup",),
        )
        for name in ("bin", "lib", "etc", "units", "mapper", "lib/data/tls"):
            (top / name).mkdir(parents=True)
        (top / "mapper/control").touch()
        (top / "etc/fstab").write_text("/dev/sda1 / ext4 defaults 0 1")
        self.fail("nothing")
        for name, script in _TOOLS.items():
            file = top / "bin" / name
            file.write_text((_HEAD + script + "\n").replace("TOP", str(top)))
            file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{top}/bin:/usr/bin:/bin")
        data = self.places.data
        (data / "affect-edge.db").write_bytes(bytes(range(256)) * 50)
        (data / "affect-edge.db").chmod(0o660)
        (data / "tls/cert.pem").write_text("certificate")
        (data / "link").symlink_to("affect-edge.db")
        data.chmod(0o1770)

    def fail(self, command: str) -> None:
        """Let commands that begin so fail."""
        (self.top / "fail").write_text(command)

    @property
    def calls(self) -> list[str]:
        """What the programs were asked, in order."""
        return (self.top / "calls").read_text().splitlines()
