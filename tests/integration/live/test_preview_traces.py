"""The preview by an agent and a dashboard as people run them leaves no byte of a picture on a
disk; `test_preview_relay` says who may look and when it ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dashboard.accounts.accounts import Accounts
from dashboard.accounts.members import Members
from dashboard.accounts.roles import Role
from dashboard.web.authentication import LOGIN_COOKIE, cookie_name
from dashboard.web.options import PORT, DashboardOptions
from edge_agent.live.preview import jpeg_of
from edge_agent.timeline.study.sessions import Study
from tests.support.appliance import Appliance
from tests.support.broker import wait_until
from tests.support.dashboard import DashboardProcess
from tests.support.timeline import query
from tests.support.vision.portraits import smiling
from tests.support.vision.still_camera import StillCamera

PATIENCE_S = 60.0
NEEDLE = 48
"""Bytes that no other file has by chance."""


class Stand:
    """A camera, an agent that may show it, a dashboard, and log-ins."""

    def __init__(self, folder: Path, camera: StillCamera, agent: Appliance) -> None:
        self.folder = folder
        self.camera = camera
        self.agent = agent
        self.address = ""
        self.dashboard_pid = 0
        self.study = Study(agent.database)
        self._made = 0

    def log_in(self, role: Role) -> httpx2.Client:
        """Return a client that is logged in with an account of its own."""
        self._made += 1
        name = f"{role.value}-{self._made}"
        Members(self.agent.database).add_with_link(name, role, "test")
        accounts = Accounts(self.agent.database, 1)
        token = accounts.log_in(accounts.named_by_proxy(name))
        port = httpx2.URL(self.address).port or PORT
        options = DashboardOptions(self.agent.database.parent, port=port)
        cookies = {cookie_name(LOGIN_COOKIE, options): token}
        return httpx2.Client(base_url=self.address, cookies=cookies, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("preview")
    (folder / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch, StillCamera(smiling()) as camera:
        patch.setenv("TMPDIR", str(folder / "temporary"))
        settings: dict[str, dict[str, Any]] = {
            "camera": {"source": "snapshot", "device": camera.address, "snapshot_seconds": 0.1},
            "capture": {"preview": "allowed"},
            "mqtt": {"enabled": False},
            "record": {"interval": 0.0, "batch_rows": 1},
        }
        with Appliance(folder / "agent", settings) as agent:
            agent.wait_for("the agent runs")
            with DashboardProcess(agent.data, "--config", str(agent.config)) as dashboard:
                made = Stand(folder, camera, agent)
                made.address = dashboard.address
                made.dashboard_pid = dashboard.pid
                made.study.create_participant("P-01")
                made.study.give_consent("P-01", "3")
                yield made


class Looking:
    """A preview that is open."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._bytes = answer.iter_bytes()
        self._held = b""

    def part(self) -> tuple[dict[str, Any], bytes]:
        """Return the next part: what it says, and its picture."""
        while b"\n" not in self._held:
            self._held += next(self._bytes)
        line, _, self._held = self._held.partition(b"\n")
        head = json.loads(line)
        while len(self._held) < head["bytes"]:
            self._held += next(self._bytes)
        picture = self._held[: head["bytes"]]
        self._held = self._held[head["bytes"] :]
        return head, picture

    def picture(self) -> bytes:
        """Return the next picture."""
        while True:
            head, picture = self.part()
            assert not head["ended"], head
            if picture:
                return picture

    def end(self) -> str:
        """Take what comes until it ends; return why."""
        while True:
            head, _ = self.part()
            if head["ended"]:
                return str(head["ended"])


@contextmanager
def looking(client: httpx2.Client) -> Iterator[Looking]:
    with client.stream("POST", "/api/v1/preview") as answer:
        if answer.status_code != 200:
            answer.read()
        assert answer.status_code == 200, answer.text
        yield Looking(answer)


def test_no_byte_of_a_picture_lies_on_a_disk(stand: Stand) -> None:
    began = time.time()
    with stand.log_in(Role.ADMINISTRATOR) as client, looking(client) as preview:
        shown = [preview.picture() for _ in range(11)]
        assert not picture_files(stand, began, shown)
    ends = "SELECT detail FROM audit WHERE action = 'preview_end' ORDER BY id"
    wait_until(
        lambda: any(detail.startswith("left") for (detail,) in query(stand.agent.database, ends)),
        "its end",
    )
    assert not picture_files(stand, began, shown)
    (stand.folder / "temporary" / "kept").write_bytes(shown[-1][100:])
    assert len(picture_files(stand, began, shown)) == 1, "a file with a picture would be found"
    (stand.folder / "temporary" / "kept").unlink()


def picture_files(stand: Stand, since: float, shown: list[bytes]) -> list[Path]:
    """Return every file that holds a part of a picture: as it was sent, seen or received.

    Looked at are the folders of agent and dashboard, what was written below /tmp and /dev/shm
    meanwhile, and what both processes hold open, files without a name included.
    """
    seen = smiling()
    row = seen[seen.shape[0] // 2].tobytes()
    needles = [row[len(row) // 2 : len(row) // 2 + NEEDLE]]
    for data in [*shown, *list(stand.camera.sent)]:
        middle = len(data) // 2
        needles += [data[middle : middle + NEEDLE], data[middle // 2 : middle // 2 + NEEDLE]]
    assert jpeg_of(seen) != b""
    files = [one for one in stand.folder.rglob("*") if one.is_file()]
    for folder in (Path("/tmp"), Path("/dev/shm"), Path("/var/tmp")):
        files += [one for one in folder.glob("*") if one.is_file() and written(one) >= since]
    for pid in (stand.agent.pid, stand.dashboard_pid):
        files += [one for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_file()]
    return [one for one in files if any(needle in read(one) for needle in needles)]


def written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # gone since, or a pipe
        return b""
