"""The preview on its way from the agent to one browser: how it begins, and each way it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web import agent_feed
from dashboard.web.agent_feed import AWAY, BUSY, AgentPreview, Onlooker, Previews, refused
from dashboard.web.authentication import LOGIN_COOKIE
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import NewSession, Purpose
from edge_agent.live.preview import PreviewEnded, PreviewPart, read_part
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.integration.live.test_preview_server import Stand
from tests.support.dashboard import NAME, PASSWORD, client_of, consenting, services_of, set_up
from tests.support.timeline import query

PATIENCE_S = 60.0


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path) as made:
        yield made


@dataclass
class Account:
    """An administrator, and what the audit trail holds."""

    reason: PreviewEnded | None = None
    lines: list[tuple[str, str]] = field(default_factory=list)
    is_broken: bool = False

    def record(self, action: str, detail: str) -> None:
        if self.is_broken:
            raise StoreError("the disk is full")
        self.lines.append((action, detail))

    def onlooker(self, token: str = "login") -> Onlooker:
        return Onlooker("ada", token, lambda: self.reason, self.record)


async def end_of(preview: AgentPreview) -> str:
    """Take what comes until it ends; return why."""
    async with asyncio.timeout(PATIENCE_S):
        async for data in preview.parts():
            head = json.loads(data.split(b"\n", 1)[0])
            if head["ended"]:
                await preview.wait(PATIENCE_S)
                return str(head["ended"])
    raise AssertionError("no last part")


async def closed() -> None:
    """Let the loop close what was hung up, for which it needs some rounds."""
    for _ in range(10):
        await asyncio.sleep(0)


async def picture_of(preview: AgentPreview) -> bytes:
    parts = preview.parts()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            head, picture = (await anext(parts)).split(b"\n", 1)
            if picture:
                assert json.loads(head)["bytes"] == len(picture)
                return picture


def test_pictures_come_until_session_starts_and_both_ends_are_written_down(stand: Stand) -> None:
    account = Account()

    async def look() -> str:
        previews = Previews(stand.path, asyncio.Event())
        preview = await previews.start(account.onlooker())
        assert account.lines == [("preview_start", "")], "before the first picture"
        with pytest.raises(StudyError, match="already"):
            await previews.start(account.onlooker("another"))
        with pytest.raises(StudyError, match="has ended"):
            previews.prolong("another")
        previews.prolong("login")
        asyncio.get_running_loop().call_later(1.0, setattr, account, "reason", PreviewEnded.SESSION)
        why = await end_of(preview)
        assert preview.is_over
        await previews.close(PATIENCE_S)
        return why

    assert asyncio.run(look()) == PreviewEnded.SESSION
    action, detail = account.lines[-1]
    assert action == "preview_end"
    assert detail.startswith(f"{PreviewEnded.SESSION}; ")
    assert int(detail.split(", ")[1].split(" ")[0]) >= 1, "pictures were counted"


def test_a_browser_that_leaves_and_a_dashboard_that_ends_end_it(stand: Stand) -> None:
    account = Account()

    async def look() -> list[str]:
        stopping = asyncio.Event()
        previews = Previews(stand.path, stopping)
        first = await previews.start(account.onlooker())
        assert (await picture_of(first)).startswith(b"\xff\xd8")
        parts = first.parts()
        await anext(parts)
        await parts.aclose()
        second = await previews.start(account.onlooker())
        stopping.set()
        return [await end_of(second)]

    assert asyncio.run(look()) == [PreviewEnded.DASHBOARD]
    assert [
        detail.split(";")[0] for action, detail in account.lines if action == "preview_end"
    ] == [PreviewEnded.LEFT, PreviewEnded.DASHBOARD]


def test_an_agent_that_is_away_or_freezes_is_reported(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account()

    async def frozen() -> str:
        async def speak(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
            await incoming.readline()
            outgoing.write(PreviewPart(1, b"\xff\xd8").encode())
            await outgoing.drain()
            await incoming.read()  # until the reader hangs up
            outgoing.close()

        path = tmp_path / "frozen.sock"
        server = await asyncio.start_unix_server(speak, path)
        with pytest.raises(StudyError) as away:
            await Previews(tmp_path / "nobody.sock", asyncio.Event()).start(account.onlooker())
        assert str(away.value) == AWAY
        preview = await Previews(path, asyncio.Event()).start(account.onlooker())
        monkeypatch.setattr(agent_feed, "SILENT_S", 0.5)
        why = await end_of(preview)
        server.close()
        await closed()
        return why

    assert asyncio.run(frozen()) == PreviewEnded.AGENT


@pytest.mark.parametrize(
    "answer", [PreviewPart(ended=PreviewEnded.CAMERA).encode(), b"no part\n", b""]
)
def test_preview_that_cannot_begin_is_refused_and_audited(tmp_path: Path, answer: bytes) -> None:
    account = Account()

    async def ask() -> None:
        async def speak(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
            await incoming.readline()
            outgoing.write(answer)
            outgoing.close()

        server = await asyncio.start_unix_server(speak, tmp_path / "preview.sock")
        previews = Previews(tmp_path / "preview.sock", asyncio.Event())
        with pytest.raises(StudyError):
            await previews.start(account.onlooker())
        server.close()
        await closed()

    asyncio.run(ask())
    assert [action for action, _ in account.lines] == ["preview_start", "preview_end"]


def test_who_may_not_look_gets_nothing_and_a_full_disk_begins_none(stand: Stand) -> None:
    async def ask(account: Account) -> None:
        await Previews(stand.path, asyncio.Event()).start(account.onlooker())

    with pytest.raises(StudyError, match="session is open"):
        asyncio.run(ask(Account(reason=PreviewEnded.SESSION)))
    with pytest.raises(StoreError, match="disk is full"):
        asyncio.run(ask(Account(is_broken=True)))
    assert refused("something else") == AWAY
    assert refused(PreviewEnded.BUSY) == BUSY


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"no json\n", ValueError),
        (b'{"until":1,"bytes":999999999,"ended":""}\n', ValueError),
        (b'{"until":1,"bytes":5,"ended":""}\nab', EOFError),
    ],
)
def test_what_is_no_part_of_a_preview_is_refused(sent: bytes, error: type[Exception]) -> None:
    async def read() -> PreviewPart:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        return await read_part(reader)

    with pytest.raises(error):
        asyncio.run(read())


# Asking for the preview: who gets it, and what ends it


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path, preview=True) as client:
        yield set_up(client, tmp_path)


def start_session(client: TestClient, _: str) -> None:
    services_of(client).study.start_session(NewSession("P01", Purpose.RESEARCH))


def log_out(client: TestClient, token: str) -> None:
    services_of(client).accounts.log_out(token)


def lose_the_role(client: TestClient, _: str) -> None:
    members = services_of(client).members
    members.add_with_password("other", Role.ADMINISTRATOR, PASSWORD, NAME)  # one has to stay
    members.set_role(members.find(NAME).id, Role.VIEWER, NAME)


@pytest.mark.parametrize(
    ("end", "reason", "status", "detail"),
    [
        (start_session, PreviewEnded.SESSION, 409, "A session is open"),
        (log_out, PreviewEnded.LOGIN, 401, "Log in first"),
        (lose_the_role, PreviewEnded.ROLE, 403, "This needs the role administrator"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_preview_of_one_who_may_look_no_more_ends_and_is_refused(
    tmp_path: Path,
    ada: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[TestClient, str], None],
    reason: PreviewEnded,
    status: int,
    detail: str,
) -> None:
    consenting(tmp_path / DATABASE_NAME, "P01")
    parts = AgentPreview.parts
    ended: list[PreviewEnded] = []

    async def parts_until(preview: AgentPreview) -> AsyncIterator[bytes]:
        async for part in parts(preview):
            yield part
            if b"\xff\xd8" in part and not ended:
                ended.append(reason)
                end(ada, ada.cookies[LOGIN_COOKIE])

    monkeypatch.setattr(AgentPreview, "parts", parts_until)
    with Stand(tmp_path):
        answer = ada.post("/api/v1/preview")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert b"\xff\xd8" in answer.content, "a picture came"
        assert f'"ended":"{reason}"'.encode() in answer.content
        again = ada.post("/api/v1/preview")
        assert (again.status_code, detail in again.json()["detail"]) == (status, True)
    actions = [
        action
        for (action,) in query(tmp_path / DATABASE_NAME, "SELECT action FROM audit ORDER BY id")
    ]
    assert actions.count("preview_start") == actions.count("preview_end") == 1


def test_without_an_agent_there_is_nothing_to_see_and_nothing_to_prolong(ada: TestClient) -> None:
    away = ada.post("/api/v1/preview")
    assert away.status_code == 409
    assert "The agent shows no picture" in away.json()["detail"]
    assert ada.post("/api/v1/preview/more").status_code == 409


def test_where_it_is_switched_off_nobody_gets_it(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        answer = set_up(client, tmp_path).post("/api/v1/preview")
        assert answer.status_code == 409
        assert "The preview is off" in answer.json()["detail"]
