"""Who may what: every route with every method and every role, compared with the one table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.accounts.roles import MAY, Permission, Role, roles_with, who_may
from dashboard.web import routes as pages
from dashboard.web.guards.permissions import check_declared, needs, permission_of
from dashboard.web.login_guard import is_public
from dashboard.web.pages import find_pages
from tests.golden.project import routes
from tests.support.dashboard import client_of, log_in_as, set_up
from tests.support.timeline import query

VIEWER, OPERATOR, RESEARCHER, ADMINISTRATOR = Role


def declared() -> dict[tuple[str, str], Permission]:
    """Method and address of every route of every page, and what it declares."""
    found: dict[tuple[str, str], Permission] = {}
    for page in find_pages(pages):
        for route in page.router.routes:
            assert isinstance(route, APIRoute)
            permission = permission_of(route)
            assert permission is not None, route.path
            found |= {(method, route.path): permission for method in route.methods or ()}
    return found


def is_refused_by_role(answer_status: int, text: str) -> bool:
    return answer_status == 403 and "This needs the role" in text


@pytest.fixture
def ada(tmp_path: Path) -> TestClient:
    client = set_up(client_of(tmp_path), tmp_path)
    # event streams end at once
    cast("FastAPI", client.app).state.services.stopping.set()
    return client


def test_every_served_route_declares_what_it_needs(tmp_path: Path) -> None:
    served = routes(cast("FastAPI", client_of(tmp_path).app))
    assert {one for one in served if one[0] != "folder"} == set(declared())


@pytest.mark.parametrize("role", Role)
def test_each_role_may_what_the_table_says_and_nothing_else(ada: TestClient, role: Role) -> None:
    wrong = []
    counted = 0
    for (method, template), permission in declared().items():
        if permission is Permission.OPEN:
            continue
        path = re.sub(r"\{\w+\}", "1", template)
        client = log_in_as(ada, role)
        answer = client.request(method, path)
        assert answer.status_code < 500, (method, path, answer.text)
        refused = is_refused_by_role(answer.status_code, answer.text)
        if refused == (permission in MAY[role]):
            wrong.append((method, path, permission, answer.status_code))
        counted += 1
    assert not wrong
    assert counted > 90


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/live", VIEWER),
        ("GET", "/api/v1/live/recent", VIEWER),
        ("POST", "/account/password", VIEWER),
        ("GET", "/study", OPERATOR),
        ("POST", "/api/v1/session", OPERATOR),
        ("POST", "/api/v1/session/markers", OPERATOR),
        ("POST", "/readings/by-hand", OPERATOR),
        ("POST", "/study/participants", RESEARCHER),
        ("POST", "/study/participants/P-01/erase", RESEARCHER),
        ("GET", "/api/v1/analysis", RESEARCHER),
        ("POST", "/api/v1/exports", RESEARCHER),
        ("GET", "/export/download", RESEARCHER),
        ("POST", "/readings/import", RESEARCHER),
        ("GET", "/accounts", ADMINISTRATOR),
        ("POST", "/accounts/1/role", ADMINISTRATOR),
        ("POST", "/readings/tokens", ADMINISTRATOR),
        ("GET", "/audit/download", ADMINISTRATOR),
        ("GET", "/api/v1/audit", ADMINISTRATOR),
    ],
)
def test_what_matters_most_is_open_from_this_role_on(
    ada: TestClient, method: str, path: str, least: Role
) -> None:
    order = list(Role)
    for role in order:
        answer = log_in_as(ada, role).request(method, path)
        refused = is_refused_by_role(answer.status_code, answer.text)
        assert refused == (order.index(role) < order.index(least)), (role, answer.text)


def test_the_answer_says_who_may(ada: TestClient, tmp_path: Path) -> None:
    viewer = log_in_as(ada, VIEWER)
    new = {"participant": "P-01", "purpose": "research"}
    answer = viewer.post("/api/v1/session", json=new)
    assert answer.status_code == 403
    assert answer.json() == {
        "detail": "This needs the role operator, researcher or administrator; viewer is a viewer. "
        "An administrator can change that on the page Accounts."
    }
    page = viewer.get("/analysis")
    assert page.status_code == 403 and "researcher or administrator" in page.text
    assert query(tmp_path / "affect-edge.db", "SELECT count(*) FROM session") == [(0,)]


def test_the_navigation_shows_only_what_one_may(ada: TestClient) -> None:
    def shown(role: Role) -> list[str]:
        text = log_in_as(ada, role).get("/live").text
        return re.findall(r'<li[^>]*><a href="(/[\w/]+)"', text)

    everything = shown(ADMINISTRATOR)
    assert {"/live", "/trends", "/health"} <= set(shown(VIEWER))
    assert not {"/study", "/readings", "/analysis"} & set(shown(VIEWER))
    assert {"/study", "/readings"} <= set(shown(OPERATOR)) and "/analysis" not in shown(OPERATOR)
    assert set(everything) - set(shown(RESEARCHER)) == {"/accounts", "/audit", "/settings"}
    for role in Role:
        for path in shown(role):
            assert log_in_as(ada, role).get(path).status_code == 200, (role, path)


def test_pages_offer_only_what_one_may(ada: TestClient) -> None:
    study = log_in_as(ada, OPERATOR).get("/study").text
    assert "Add a participant" not in study
    readings = log_in_as(ada, OPERATOR).get("/readings").text
    assert "Create token" not in readings and "From a file" not in readings
    assert "Create token" in ada.get("/readings").text
    assert 'data-role="viewer"' in log_in_as(ada, VIEWER).get("/live").text


def test_another_role_holds_from_the_next_request_on(ada: TestClient) -> None:
    operator = log_in_as(ada, OPERATOR)
    assert operator.get("/study").status_code == 200
    members = cast("FastAPI", ada.app).state.services.members
    number = members.named("operator").id
    assert ada.post(f"/accounts/{number}/role", data={"role": "viewer"}).status_code == 303
    assert operator.get("/study").status_code == 403
    assert ada.post(f"/accounts/{number}/disable").status_code == 303
    assert operator.get("/api/v1/session").status_code == 401


def test_roles_are_ordered_and_each_permission_has_one_who_holds_it() -> None:
    for less, more in zip(list(Role), list(Role)[1:], strict=False):
        assert MAY[less] < MAY[more]
    assert all(roles_with(permission) for permission in Permission)
    assert who_may(Permission.ADMINISTER) == "administrator"


def nothing() -> None:
    """Do nothing, as the function of a route."""


def served(router: APIRouter) -> None:
    check_declared(router.routes, is_public)


def test_a_route_without_a_permission_is_not_served() -> None:
    router = APIRouter()
    router.add_api_route("/new", nothing)
    with pytest.raises(TypeError, match="GET /new: declares no permission"):
        served(router)
    with pytest.raises(TypeError, match="declares no permission"):
        check_declared([Route("/raw", PlainTextResponse)], is_public)


def test_a_change_needs_more_than_to_see_pages() -> None:
    router = APIRouter(dependencies=[needs(Permission.SEE)])
    router.add_api_route("/new", nothing, methods=["POST"])
    with pytest.raises(TypeError, match="POST /new: changes something"):
        served(router)


def test_an_open_route_is_one_that_asks_for_no_login() -> None:
    router = APIRouter(dependencies=[needs(Permission.OPEN)])
    router.add_api_route("/new", nothing)
    with pytest.raises(TypeError, match="disagrees with PUBLIC_PATHS"):
        served(router)
    other = APIRouter(dependencies=[needs(Permission.SEE)])
    other.add_api_route("/healthz", nothing)
    with pytest.raises(TypeError, match="disagrees with PUBLIC_PATHS"):
        served(other)


def test_of_several_permissions_the_stronger_counts() -> None:
    router = APIRouter(dependencies=[needs(Permission.STUDY)])
    router.add_api_route("/new", nothing, dependencies=[needs(Permission.SEE)])
    (route,) = router.routes
    assert permission_of(route) is Permission.STUDY
