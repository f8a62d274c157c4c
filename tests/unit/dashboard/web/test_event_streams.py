"""How many event streams one log-in may hold: the others and health keep their places."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from types import SimpleNamespace

import pytest
from fastapi import HTTPException, Request
from starlette.testclient import TestClient
from starlette.types import Message

from dashboard.web.authentication import LOGIN_COOKIE
from dashboard.web.event_streams import AT_MOST, EventStream
from tests.support.dashboard import services_of


async def events(going: asyncio.Event) -> AsyncGenerator[str, None]:
    yield "retry: 2000\n\n"
    await going.wait()


def test_a_stream_holds_a_place_of_its_log_in_until_it_ends() -> None:
    open_streams: Counter[str] = Counter()
    shared = SimpleNamespace(event_streams=open_streams)
    app = SimpleNamespace(state=SimpleNamespace(services=shared))
    request = Request({"type": "http", "app": app, "headers": []})

    async def scene() -> None:
        going = asyncio.Event()

        async def receive() -> Message:
            await going.wait()
            return {"type": "http.disconnect"}

        async def send(_message: Message) -> None:
            return

        tasks = []
        for _ in range(AT_MOST):
            stream = EventStream(request, events(going), "one")
            tasks.append(asyncio.create_task(stream(request.scope, receive, send)))
            await asyncio.sleep(0)
        with pytest.raises(HTTPException, match="30 live pages") as refused:
            EventStream(request, events(going), "one")
        assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "30"})
        EventStream(request, events(going), "another")
        assert open_streams == {"one": AT_MOST}
        going.set()
        await asyncio.gather(*tasks)
        assert not open_streams
        EventStream(request, events(going), "one")

    asyncio.run(scene())


@pytest.mark.parametrize("path", ["/api/v1/live", "/api/v1/live?only=alerts"])
def test_one_stream_too_many_is_refused_and_pages_are_not(ada: TestClient, path: str) -> None:
    services = services_of(ada)
    token = next(cookie.value for cookie in ada.cookies.jar if cookie.name.endswith(LOGIN_COOKIE))
    services.event_streams[token or ""] = AT_MOST
    assert ada.get(path).status_code == 429
    assert ada.get("/healthz").status_code == 200
    assert ada.get("/live").status_code == 200
