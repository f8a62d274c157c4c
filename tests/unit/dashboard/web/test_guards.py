"""What stands in front of every route: headers, the size of a body, where a change comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from fastapi import HTTPException, Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from dashboard.languages.current import speaking
from dashboard.web.guards.login_throttle import too_many
from dashboard.web.guards.security import BodyLimit, SecurityHeaders, require_same_origin

MIB = 1024 * 1024
Headers = dict[str, str]


def scope_of(path: str = "/", headers: Headers | None = None, method: str = "POST") -> Scope:
    encoded = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return {"type": "http", "method": method, "path": path, "headers": encoded}


class Reading:
    """An application that reads a whole body, and what it was sent."""

    def __init__(self) -> None:
        self.size = 0
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            self.size += len(message.get("body", b""))
            more = message.get("more_body", False)

    def take(self, scope: Scope, sizes: Iterable[int]) -> None:
        """Send it bodies of these sizes, one after the other."""
        parts = [{"type": "http.request", "body": bytes(size), "more_body": True} for size in sizes]
        parts.append({"type": "http.request"})

        async def receive() -> Message:
            self.asked += 1
            return parts.pop(0)

        async def send(_message: Message) -> None:
            raise AssertionError("nothing is answered here")

        asyncio.run(BodyLimit(self)(scope, receive, send))


@pytest.mark.parametrize("declared", [{}, {"content-length": str(MIB)}, {"content-length": "many"}])
def test_a_body_of_one_mebibyte_is_read_whole(declared: Headers) -> None:
    app = Reading()
    app.take(scope_of(headers=declared), [MIB // 2, MIB // 2])
    assert app.size == MIB


def test_larger_body_is_refused_when_it_says_size_before_any_of_it_is_read() -> None:
    for declared in (str(MIB + 1), "9" * 5000):
        app = Reading()
        with pytest.raises(HTTPException, match="larger than 1024 KiB. Send less") as refused:
            app.take(scope_of(headers={"content-length": declared}), [1])
        assert refused.value.status_code == 413
        assert app.asked == 0


def test_a_larger_body_is_refused_as_soon_as_it_has_grown_too_large() -> None:
    app = Reading()
    with pytest.raises(HTTPException) as refused:
        app.take(scope_of(), [MIB, 1, 1])
    assert refused.value.status_code == 413
    assert (app.size, app.asked) == (MIB, 2)


def test_a_file_of_readings_may_be_larger() -> None:
    app = Reading()
    app.take(scope_of("/readings/import"), [21 * MIB])
    assert app.size == 21 * MIB
    with pytest.raises(HTTPException, match="larger than 21504 KiB"):
        app.take(scope_of("/readings/import"), [21 * MIB, 1])


def headers_after(response: PlainTextResponse) -> Headers:
    """The headers that a browser gets with a response."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    asyncio.run(SecurityHeaders(response)(scope_of(), receive, send))
    assert sent[1]["body"] == b"well"
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_every_answer_gets_the_guarding_headers_and_keeps_its_own() -> None:
    found = headers_after(PlainTextResponse("well", headers={"x-frame-options": "SAMEORIGIN"}))
    del found["content-length"]
    del found["content-type"]
    assert found == {
        "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
    own = headers_after(PlainTextResponse("well", headers={"cache-control": "max-age=9"}))
    assert own["cache-control"] == "max-age=9"
    assert own["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"sec-fetch-site": "cross-site"}),
        ("HEAD", {"sec-fetch-site": "cross-site"}),
        ("OPTIONS", {"sec-fetch-site": "cross-site"}),
        ("POST", {"sec-fetch-site": "same-origin"}),
        ("POST", {"sec-fetch-site": "none"}),
        ("POST", {}),
        ("POST", {"origin": "http://pi:8080", "host": "pi:8080"}),
        ("POST", {"origin": "null", "sec-fetch-site": "same-origin"}),
        ("POST", {"referer": "http://pi:8080/study?x=1", "host": "pi:8080"}),
        ("POST", {"authorization": "Bearer t", "host": "pi:8080"}),
        ("POST", {"sec-fetch-site": "same-origin", "referer": "https://evil.example/"}),
    ],
)
def test_reading_and_changes_from_our_own_pages_are_let_through(
    method: str, headers: Headers
) -> None:
    require_same_origin(Request(scope_of("/study", headers, method)))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://pi:8080", "host": "pi:8080"},
        {"origin": "http://pi:9090", "host": "pi:8080"},
        {"origin": "null", "host": "pi:8080"},
        {"origin": "http://evil.example"},
        {"origin": "http://[", "host": "pi:8080"},
        {"referer": "https://evil.example/form", "host": "pi:8080"},
        {"referer": "https://evil.example/http://pi:8080/", "host": "pi:8080"},
        {"referer": "http://pi:8080@evil.example/", "host": "pi:8080"},
        {"referer": "http://[", "host": "pi:8080"},
        {"referer": "", "host": "pi:8080"},
        {"origin": "null", "referer": "http://pi:8080/", "host": "pi:8080"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_changes_that_another_page_asks_for_are_refused(method: str, headers: Headers) -> None:
    with pytest.raises(HTTPException, match="from another page, so nothing was changed") as refused:
        require_same_origin(Request(scope_of("/study", headers, method)))
    assert refused.value.status_code == 403


@pytest.mark.parametrize(
    "path", ["/export/download", "/api/v1/export", "/api/v1/exports/abc/file", "/api/v1/exports/a"]
)
def test_an_export_is_not_prepared_or_spent_by_another_page(path: str) -> None:
    for site in ("cross-site", "same-site"):
        with pytest.raises(HTTPException, match="nothing was changed or sent"):
            require_same_origin(Request(scope_of(path, {"sec-fetch-site": site}, "GET")))
    for headers in ({"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {}):
        require_same_origin(Request(scope_of(path, headers, "GET")))


def test_people_are_told_seconds_or_minutes_and_programs_seconds() -> None:
    assert "address. Wait 89 seconds, then" in too_many(89)
    assert "Wait 2 minutes" in too_many(90)
    assert "Wait 5 minutes" in too_many(300)
    assert "Wait 1 second, then" in too_many(1)
    with speaking("de"):
        assert "1 Sekunde" in too_many(1) and "5 Minuten" in too_many(300)
    with speaking("es"):
        assert "30 segundos" in too_many(30)
