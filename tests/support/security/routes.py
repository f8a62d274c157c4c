"""Every route of the dashboard, tried as somebody and from somewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from fastapi.routing import APIRoute
from httpx2 import Response
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from dashboard.accounts.roles import MAY, Permission, Role
from dashboard.web import routes as pages
from dashboard.web.guards.permissions import is_for_programs, permission_of
from dashboard.web.rendering import find_pages
from tests.support.dashboard import log_in_as

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
FROM_ELSEWHERE: tuple[Mapping[str, str], ...] = (
    {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"referer": "https://evil.example/form"},
)
BODIES: Mapping[str, bytes] = {
    "application/x-www-form-urlencoded": b"code=P-01&name=%ff&n=1&n=2",
    "multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="file"',
    "multipart/form-data": b"--x--",
    "text/plain": b'{"code": "P-01"}',
    "application/json": b'[{"code": null}]',
    "application/json; charset=utf-16": b"\xff\xfe{\x00",
    "application/xml": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "nothing": b"\x00\xff",
}
NUMBERS = (str(2**63), str(-(2**63) - 1))
"""Beyond the whole numbers of SQLite, on both sides."""

ABSENT = ("987654", "x!")
"""What is not there as a number and as a code, and what is neither."""

WRONG_BODIES = ([None], {"no-such-field": 1})

UNREADABLE = frozenset({"multipart/form-data", "application/json; charset=utf-16"})


@dataclass(slots=True)
class Tried:
    """What came of many requests.

    Attributes:
        requests: how many were made.
        wrong: the answers that should have been others.
    """

    requests: int = 0
    wrong: list[tuple[object, ...]] = field(default_factory=list)

    def note(self, is_right: bool, *what: object) -> None:
        """Count a request, and keep what was asked where the answer is wrong."""
        self.requests += 1
        if not is_right:
            self.wrong.append(what)


class Visitor:
    """Somebody of a role, who logs in again after a request that has ended the log-in.

    Args:
        ada: the administrator, beside whom the visitor is.
        role: of the visitor.
    """

    def __init__(self, ada: TestClient, role: Role) -> None:
        self._ada = ada
        self._role = role
        self._client = log_in_as(ada, role)

    def request(self, method: str, path: str, **parts: Any) -> Response:
        """Return the answer to somebody who is logged in."""
        answer = self._client.request(method, path, **parts)
        if is_logged_out(answer):
            self._client = log_in_as(self._ada, self._role)
            answer = self._client.request(method, path, **parts)
        return answer


def is_logged_out(answer: Response) -> bool:
    """Tell whether an answer asks for a login."""
    target = answer.headers.get("location", "")
    return answer.status_code == 401 or (answer.status_code == 303 and target.startswith("/login"))


def declared() -> dict[tuple[str, str], Permission]:
    """Method and address of every route of every page, and what it declares."""
    permissions: dict[tuple[str, str], Permission] = {}
    for page in find_pages(pages):
        for route in page.router.routes:
            assert isinstance(route, APIRoute)
            permission = permission_of(route)
            assert permission is not None, route.path
            permissions |= {(method, route.path): permission for method in route.methods or ()}
    return permissions


def path_of(template: str, value: str = "1") -> str:
    """Return an address of a route, with a value for each parameter."""
    return re.sub(r"\{\w+(:\w+)?\}", value, template)


def is_refused_by_role(answer_status: int, text: str) -> bool:
    """Tell whether an answer says that the role may not."""
    return answer_status == 403 and "This needs the role" in text


def try_roles(ada: TestClient, role: Role) -> Tried:
    """Ask every route that is not open, with each of its methods, as a role."""
    tried = Tried()
    visitor = Visitor(ada, role)
    for (method, template), permission in declared().items():
        if permission is Permission.OPEN:
            continue
        answer = visitor.request(method, path_of(template))
        is_refused = is_refused_by_role(answer.status_code, answer.text)
        is_right = answer.status_code < 500 and is_refused != (permission in MAY[role])
        tried.note(is_right, method, template, permission, answer.status_code)
    return tried


def try_strangers(stranger: TestClient) -> Tried:
    """Ask every route that is not open, with each of its methods, without a login."""
    tried = Tried()
    for (method, template), permission in declared().items():
        if permission is Permission.OPEN:
            continue
        answer = stranger.request(method, path_of(template), follow_redirects=False)
        tried.note(is_logged_out(answer), method, template, answer.status_code)
    return tried


def try_methods(ada: TestClient) -> Tried:
    """Ask every address with the methods that it does not have, as an administrator."""
    tried = Tried()
    visitor = Visitor(ada, Role.ADMINISTRATOR)
    have: dict[str, set[str]] = {}
    for method, template in declared():
        have.setdefault(path_of(template), set()).add(method)
    for path, methods in have.items():
        for method in (*METHODS, "BREW"):
            if method in methods or (method == "HEAD" and "GET" in methods):
                continue
            answer = visitor.request(method, path)
            tried.note(answer.status_code in {403, 404, 405, 422}, method, path, answer.status_code)
    return tried


def try_other_sites(
    ada: TestClient,
    origins: Sequence[Mapping[str, str]] = FROM_ELSEWHERE,
    bodies: Mapping[str, bytes] = BODIES,
) -> Tried:
    """Ask each route that changes something as pages of other sites would, with each body."""
    tried = Tried()
    visitor = Visitor(ada, Role.ADMINISTRATOR)
    for method, template in declared():
        if method not in UNSAFE:
            continue
        for headers in origins:
            for kind, body in bodies.items():
                answer = visitor.request(
                    method,
                    path_of(template),
                    content=body,
                    headers={**headers, "content-type": kind},
                )
                # what cannot be read is refused before it is asked where it comes from
                refusals = {400, 403, 422} if kind in UNREADABLE else {403}
                is_refused = answer.status_code in refusals
                tried.note(is_refused, method, template, headers, kind)
    return tried


def try_bodies(ada: TestClient) -> Tried:
    """Give whatever changes something each kind of body, as an administrator."""
    tried = Tried()
    visitor = Visitor(ada, Role.ADMINISTRATOR)
    for method, template in declared():
        if method not in UNSAFE:
            continue
        for kind, body in BODIES.items():
            answer = visitor.request(
                method, path_of(template), content=body, headers={"content-type": kind}
            )
            tried.note(answer.status_code < 500, method, template, kind, answer.status_code)
    return tried


def try_cut(ada: TestClient) -> Tried:
    """Begin to send whatever changes something each kind of body, and go away in the middle."""
    tried = Tried()

    async def cut(scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[Message] = [{"type": "http.disconnect"}]
        parts.insert(0, {"type": "http.request", "body": b"--x\r\n", "more_body": True})

        async def receive_less() -> Message:
            return parts.pop(0) if len(parts) > 1 else parts[0]

        await ada.app(scope, receive_less if scope["type"] == "http" else receive, send)

    def arrive() -> TestClient:
        cookies = log_in_as(ada, Role.ADMINISTRATOR).cookies
        base = str(ada.base_url)
        return TestClient(
            cut, base, cookies=cookies, follow_redirects=False, raise_server_exceptions=False
        )

    client = arrive()
    for method, template in declared():
        if method not in UNSAFE:
            continue
        for kind in BODIES:
            answer = client.request(method, path_of(template), headers={"content-type": kind})
            tried.note(answer.status_code < 500, method, template, kind, answer.status_code)
            if is_logged_out(answer):
                client = arrive()
    return tried


def try_numbers(ada: TestClient) -> Tried:
    """Ask for rows by numbers that none can have, as an administrator."""
    tried = Tried()
    client = log_in_as(ada, Role.ADMINISTRATOR)
    for method, template in declared():
        if path_of(template) == template:
            continue
        for number in NUMBERS:
            answer = client.request(method, path_of(template, number))
            tried.note(answer.status_code < 500, method, template, number, answer.status_code)
    return tried


def try_shapes(ada: TestClient) -> Tried:
    """Ask each route, as an administrator, for what is not there and with what it cannot read.

    A program gets a problem in JSON that names its status, a person a whole page.
    """
    tried = Tried()
    visitor = Visitor(ada, Role.ADMINISTRATOR)
    for method, template in declared():
        bodies = WRONG_BODIES if method in UNSAFE else (None,)
        values = ABSENT if path_of(template) != template else ("",)
        for value, body in product(values, bodies):
            answer = visitor.request(method, path_of(template, value), json=body)
            is_told = answer.status_code < 400 or is_whole(template, answer)
            tried.note(
                is_told, method, template, value, body, answer.status_code, answer.text[:200]
            )
    return tried


def is_whole(path: str, answer: Response) -> bool:
    """Tell whether a refusal has the shape that its reader understands."""
    if is_for_programs(path):
        told = answer.json()
        shape = {"type", "title", "status", "detail", "instance"}
        is_problem = answer.headers["content-type"] == "application/problem+json"
        return is_problem and shape <= set(told) and told["status"] == answer.status_code
    is_page = answer.headers["content-type"].startswith("text/html")
    return is_page and "<title>" in answer.text and "</html>" in answer.text
