"""One account asks without end, and others are answered all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from dashboard.web.authentication import LOGIN_COOKIE
from dashboard.web.guards.fair_share import OF_ACCOUNT, OF_ADDRESS, FairShare, KnownSecrets
from tests.support.dashboard import services_of


class Asked:
    """An application that answers nobody until it may, and who asks it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_answer = asyncio.Event()
        self.known = KnownSecrets()
        self.guard = FairShare(
            self.answer,
            lambda request: request.headers.get("secret", ""),
            lambda request: request.headers["from"],
            self.known,
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        self.begun.append(request.headers.get("secret") or request.headers["from"])
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()  # a stream without end

    async def ask(self, secret: str = "", address: str = "192.0.2.7", path: str = "/") -> None:
        headers = [(b"secret", secret.encode()), (b"from", address.encode())]

        async def send(message: Message) -> None:
            del message

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        await self.guard({"type": "http", "path": path, "headers": headers}, receive, send)


class Uploads:
    """An application that reads the bodies that it is sent.

    Attributes:
        read: the body of each request that was read to its end.
        refused: the status of each that was not.
    """

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.refused: list[int] = []
        self.guard = FairShare(self.answer, lambda _: "", lambda _: "192.0.2.7", KnownSecrets())

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        del send
        try:
            self.read.append(await Request(scope, receive).body())
        except HTTPException as error:
            self.refused.append(error.status_code)
        else:
            await asyncio.Event().wait()  # a page that computes

    async def post(self, path: str, *parts: bytes, is_whole: bool = True) -> None:
        """Send a body, which never ends unless it is whole."""
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if is_whole:
            messages[-1]["more_body"] = False

        async def receive() -> Message:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop(0)

        async def send(message: Message) -> None:
            del message

        headers = [(b"content-length", b"1000")]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        await self.guard(scope, receive, send)


async def let_others_run() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


def test_account_with_many_logins_leaves_threads_for_others() -> None:
    async def scene() -> None:
        asked = Asked()
        for number in range(50):
            asked.known.add(f"eve {number}", "eve")
        asked.known.add("ada", "ada")
        tasks = [asyncio.create_task(asked.ask(f"eve {number % 50}")) for number in range(200)]
        tasks += [asyncio.create_task(asked.ask("ada"))]
        await let_others_run()
        assert len(asked.begun) == OF_ACCOUNT + 1 and asked.begun[-1] == "ada"
        # an answer that has begun holds no place: the next ones come, until all are answered
        asked.may_answer.set()
        for _ in range(100):
            await let_others_run()
        assert len(asked.begun) == 201
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scene())


def test_secrets_that_nobody_has_are_counted_by_their_address() -> None:
    async def scene() -> None:
        asked = Asked()
        tasks = [asyncio.create_task(asked.ask(f"made up {number}")) for number in range(100)]
        tasks += [asyncio.create_task(asked.ask("", "192.0.2.9"))]
        tasks += [asyncio.create_task(asked.ask("", "192.0.2.7", "/healthz"))]
        await let_others_run()
        assert len(asked.begun) == OF_ADDRESS + 2
        assert asked.begun[-2:] == ["192.0.2.9", "192.0.2.7"]
        # who leaves while waiting takes no place along
        for task in tasks[OF_ADDRESS:100]:
            task.cancel()
        asked.may_answer.set()
        await let_others_run()
        tasks.append(asyncio.create_task(asked.ask("late")))
        await let_others_run()
        assert asked.begun[-1] == "late"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scene())


def test_login_of_the_dashboard_is_known_after_its_first_request(
    ada: TestClient, tmp_path: Path
) -> None:
    del tmp_path
    secret = ada.cookies.get(LOGIN_COOKIE) or ""
    known = services_of(ada).known_secrets
    assert secret and known.account_of(secret) is None
    assert ada.get("/account").status_code == 200
    assert known.account_of(secret) == "ada"


@pytest.mark.parametrize("path", ["/login", "/readings/import"])
def test_slow_bodies_hold_no_place_and_the_oldest_gives_way(path: str) -> None:
    async def scene() -> None:
        uploads = Uploads()
        slow = [
            asyncio.create_task(uploads.post(path, b"name=", is_whole=False))
            for _ in range(OF_ADDRESS)
        ]
        await let_others_run()
        whole = [asyncio.create_task(uploads.post(path, b"name=a", b"da"))]
        await let_others_run()
        assert uploads.read == [b"name=ada"]
        assert uploads.refused == [408] and slow[0].done() and not slow[1].done()
        # bodies that are complete wait for a place as any request
        for _ in range(OF_ADDRESS):
            whole.append(asyncio.create_task(uploads.post(path, b"name=eve")))
            await let_others_run()
        assert len(uploads.read) == OF_ADDRESS
        whole.pop(0).cancel()
        await let_others_run()
        assert len(uploads.read) == OF_ADDRESS + 1
        for task in (*slow, *whole):
            task.cancel()
        await asyncio.gather(*slow, *whole, return_exceptions=True)

    asyncio.run(scene())
