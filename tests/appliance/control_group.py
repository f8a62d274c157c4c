"""A control group for each machine: systemd follows the processes of a service by theirs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_TREES = Path("/sys/fs/cgroup")
_ENTER = 'for folder in $0; do echo $$ >"$folder/cgroup.procs" || exit 1; done; exec "$@"'


class ControlGroup:
    """A control group that nobody else is in, in each tree by which systemd follows processes.

    ``systemd-nspawn --keep-unit`` puts a machine below the group that it is started in. Two
    machines in one share the groups of all units: one waits for the processes of the other.

    Args:
        name: of the group, below the one that this process is in.

    Example:
        >>> group = ControlGroup("machine-1")
        >>> subprocess.run(group.words("systemd-nspawn", "--boot", "--keep-unit"))
        >>> group.remove()
    """

    def __init__(self, name: str) -> None:
        self._folders = [folder / name for folder in _own_groups()]
        for folder in self._folders:
            folder.mkdir()

    def words(self, *command: str) -> Sequence[str]:
        """Return the words that run a command within it, as the process that they start."""
        return ["sh", "-c", _ENTER, " ".join(map(str, self._folders)), *command]

    def holds(self, process: int) -> bool:
        """Tell whether a process is in it or below, in every tree."""
        trees = Path(f"/proc/{process}/cgroup").read_text(encoding="utf-8").splitlines()
        paths = [line.split(":", 2)[2] for line in trees]
        return all(
            any(f"/{folder.name}/" in f"{path}/" for path in paths) for folder in self._folders
        )

    def remove(self) -> None:
        """Remove it, with the groups that systemd made in it; what still runs keeps its own."""
        for folder in self._folders:
            for group in sorted(folder.rglob("*/"), reverse=True):
                with suppress(OSError):
                    group.rmdir()
            with suppress(OSError):
                folder.rmdir()


def _own_groups() -> list[Path]:
    """Return the folders of the groups that this process is in, of the trees that systemd uses."""
    found = []
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "name=systemd":
            trees = [_TREES / "systemd"]
        elif not controllers:
            trees = [_TREES / "unified", _TREES]
        else:
            continue
        places = [tree / path.lstrip("/") for tree in trees]
        found += [place for place in places if (place / "cgroup.procs").exists()][:1]
    return found
