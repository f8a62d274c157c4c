"""Every route: who may ask it, by which method, from which site, with which body, and the shape of
its refusals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard.accounts.roles import LEAST_ROLE, MAY, TOKEN_ROLES, Permission, Role, Scope
from dashboard.web import routes as pages
from dashboard.web.authentication import is_public
from dashboard.web.guards.permissions import (
    check_declared,
    is_for_programs,
    needs,
    permission_of,
    scope_of,
)
from dashboard.web.rendering import find_pages, navigation_of
from tests.golden.project import routes
from tests.support.dashboard import another_browser, client_of, log_in_as, services_of, set_up
from tests.support.security.routes import (
    BODIES,
    FROM_ELSEWHERE,
    declared,
    try_bodies,
    try_cut,
    try_methods,
    try_numbers,
    try_other_sites,
    try_roles,
    try_shapes,
)
from tests.support.security.tokens import bearer, make_token
from tests.support.timeline import query

CARER, VIEWER, OPERATOR, RESEARCHER, ADMINISTRATOR = Role


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as client:
        # event streams end at once
        services_of(client).stopping.set()
        yield set_up(client, tmp_path)


def test_route_that_is_served_declares_what_it_needs(tmp_path: Path) -> None:
    served = routes(cast("FastAPI", client_of(tmp_path).app))
    assert {one for one in served if one[0] != "folder"} == set(declared())


@pytest.mark.parametrize("role", Role)
def test_route_asked_by_each_role_opens_to_those_of_the_table_alone(
    ada: TestClient, role: Role
) -> None:
    tried = try_roles(ada, role)
    assert not tried.wrong
    assert tried.requests > 90


def scopes() -> dict[tuple[str, str], Scope]:
    """Method and address of every route that a token can open, and the scope that it needs."""
    return {
        (method, route.path): scope_of(route)
        for page in find_pages(pages)
        for route in page.router.routes
        if isinstance(route, APIRoute) and is_for_programs(route.path)
        for method in route.methods or ()
    }


def test_route_for_programs_has_the_scope_that_its_name_promises() -> None:
    special = {
        ("POST", "/api/v1/session/markers"): Scope.MARKERS,
        ("POST", "/api/v1/sessions/{number}/markers"): Scope.MARKERS,
        ("POST", "/api/v1/vitals"): Scope.READINGS,
    }
    found = scopes()
    assert len(found) > 50 and ("GET", "/metrics") in found
    for (method, path), scope in found.items():
        usual = Scope.READ if method == "GET" else Scope.CONTROL
        assert scope is special.get((method, path), usual), (method, path)


@pytest.mark.parametrize(
    "role",
    [pytest.param(role, marks=() if role is RESEARCHER else pytest.mark.deep) for role in Role],
)
@pytest.mark.parametrize("scope", Scope)
def test_route_asked_with_a_token_opens_to_its_scope_and_role_alone(
    ada: TestClient, tmp_path: Path, scope: Scope, role: Role
) -> None:
    if MAY[LEAST_ROLE[scope]] > MAY[role] or role not in TOKEN_ROLES:
        pytest.skip("such a token cannot be made")
    stranger = another_browser(ada)
    secret = make_token(tmp_path / "affect-edge.db", "robot", frozenset({scope}), role)
    opened, needed = scopes(), declared()
    wrong = []
    for (method, template), permission in needed.items():
        path = re.sub(r"\{\w+\}", "1", template)
        answer = stranger.request(method, path, headers=bearer(secret))
        assert answer.status_code < 500, (method, path, answer.text)
        if (method, template) not in opened:
            # pages know no token: they lead to the login, or are open to everybody
            if permission is not Permission.OPEN and answer.headers["location"][:6] != "/login":
                wrong.append((method, path, answer.status_code))
            continue
        may = opened[method, template] is scope and permission in MAY[role]
        refused = answer.status_code == 403 and "This needs a token" in answer.text
        if may == refused or answer.status_code in {401, 429}:
            wrong.append((method, path, answer.status_code))
    assert not wrong


def test_route_that_matters_most_is_open_from_this_role_on() -> None:
    needed = declared()
    least = {
        ("GET", "/live"): VIEWER,
        ("GET", "/api/v1/live/recent"): VIEWER,
        ("POST", "/account/password"): CARER,
        ("GET", "/people"): CARER,
        ("GET", "/study/participants/{code}/days"): CARER,
        ("GET", "/study"): OPERATOR,
        ("PUT", "/api/v1/participants/{code}/letter"): RESEARCHER,
        ("POST", "/api/v1/session"): OPERATOR,
        ("POST", "/api/v1/session/markers"): OPERATOR,
        ("POST", "/readings/by-hand"): OPERATOR,
        ("POST", "/study/participants"): RESEARCHER,
        ("POST", "/study/participants/{code}/erase"): RESEARCHER,
        ("GET", "/api/v1/analysis"): RESEARCHER,
        ("POST", "/api/v1/exports"): RESEARCHER,
        ("GET", "/export/download"): RESEARCHER,
        ("POST", "/readings/import"): RESEARCHER,
        ("GET", "/accounts"): ADMINISTRATOR,
        ("POST", "/accounts/{number}/role"): ADMINISTRATOR,
        ("POST", "/tokens"): ADMINISTRATOR,
        ("GET", "/audit/download"): ADMINISTRATOR,
        ("GET", "/api/v1/audit"): ADMINISTRATOR,
    }
    for route, role in least.items():
        assert next(one for one in Role if needed[route] in MAY[one]) is role, route


def test_route_refused_to_a_role_says_who_may(ada: TestClient, tmp_path: Path) -> None:
    viewer = log_in_as(ada, VIEWER)
    new = {"participant": "P-01", "purpose": "research"}
    answer = viewer.post("/api/v1/session", json=new)
    assert answer.status_code == 403
    assert answer.json()["detail"] == (
        "This needs the role operator, researcher or administrator; viewer is a viewer. "
        "An administrator can change that on the Accounts page."
    )
    page = viewer.get("/analysis")
    assert page.status_code == 403 and "researcher or administrator" in page.text
    assert query(tmp_path / "affect-edge.db", "SELECT count(*) FROM session") == [(0,)]


def test_navigation_shows_each_role_only_what_it_may(ada: TestClient) -> None:
    def shown(role: Role) -> set[str]:
        member = log_in_as(ada, role)
        links, new = set[str](), {"/people" if role is CARER else "/live"}
        while new:
            links |= new
            pages = {path: member.get(path) for path in new}
            assert {page.status_code for page in pages.values()} == {200}, (role, new)
            found = [re.findall(r'<li[^>]*><a href="(/\w+)"', page.text) for page in pages.values()]
            new = {path for paths in found for path in paths} - links
        return links

    assert shown(CARER) == {"/people"}
    everything = shown(ADMINISTRATOR)
    entries = navigation_of(find_pages(pages))
    own = {entry.path for entry in entries if entry.of in {"both", "appliance"}}
    assert everything == {path for path in own if path.count("/") == 1}
    assert {"/live", "/trends", "/health", "/alerts"} < shown(VIEWER) and len(shown(VIEWER)) == 5
    assert shown(OPERATOR) == shown(VIEWER) | {"/study", "/protocol", "/readings", "/picture"}
    of_administrators = {"/accounts", "/audit", "/backup", "/settings", "/tokens"}
    assert everything - shown(RESEARCHER) == of_administrators


def test_role_that_is_changed_applies_to_the_next_request(ada: TestClient) -> None:
    operator = log_in_as(ada, OPERATOR)
    assert operator.get("/study").status_code == 200
    members = services_of(ada).members
    number = members.find("operator").id
    assert ada.post(f"/accounts/{number}/role", data={"role": "viewer"}).status_code == 303
    assert operator.get("/study").status_code == 403
    assert ada.post(f"/accounts/{number}/disable").status_code == 303
    assert operator.get("/api/v1/session").status_code == 401


def nothing() -> None:
    """Do nothing, as the function of a route."""


def served(router: APIRouter) -> None:
    check_declared(router.routes, is_public)


def test_route_without_a_permission_is_not_served() -> None:
    router = APIRouter()
    router.add_api_route("/new", nothing)
    with pytest.raises(TypeError, match="GET /new: declares no permission"):
        served(router)
    with pytest.raises(TypeError, match="declares no permission"):
        check_declared([Route("/raw", PlainTextResponse)], is_public)


def test_route_that_changes_something_needs_more_than_to_see_pages() -> None:
    router = APIRouter(dependencies=[needs(Permission.SEE)])
    router.add_api_route("/new", nothing, methods=["POST"])
    with pytest.raises(TypeError, match="POST /new: changes something"):
        served(router)


def test_route_that_is_open_is_one_that_asks_for_no_login() -> None:
    router = APIRouter(dependencies=[needs(Permission.OPEN)])
    router.add_api_route("/new", nothing)
    with pytest.raises(TypeError, match="disagrees with PUBLIC_PATHS"):
        served(router)
    other = APIRouter(dependencies=[needs(Permission.SEE)])
    other.add_api_route("/healthz", nothing)
    with pytest.raises(TypeError, match="disagrees with PUBLIC_PATHS"):
        served(other)


def test_route_with_several_permissions_needs_the_stronger() -> None:
    router = APIRouter(dependencies=[needs(Permission.STUDY)])
    router.add_api_route("/new", nothing, dependencies=[needs(Permission.SEE)])
    (route,) = router.routes
    assert permission_of(route) is Permission.STUDY


# Every route without a login, with methods it does not have, from other sites, with any body


@pytest.mark.deep
def test_route_asked_by_a_method_it_does_not_name_refuses(ada: TestClient) -> None:
    tried = try_methods(ada)
    assert not tried.wrong
    assert tried.requests > 500


def test_route_asked_by_another_site_changes_nothing(ada: TestClient) -> None:
    tried = try_other_sites(ada, FROM_ELSEWHERE[1:2], {"text/plain": BODIES["text/plain"]})
    assert not tried.wrong
    assert tried.requests > 60


@pytest.mark.deep
def test_route_asked_by_another_site_with_any_body_changes_nothing(
    ada: TestClient, tmp_path: Path
) -> None:
    log_in_as(ada, Role.ADMINISTRATOR)
    # each request is made by a log-in of its own
    others = "SELECT id, action, detail FROM audit WHERE action != 'login'"
    before = query(tmp_path / "affect-edge.db", others)
    tried = try_other_sites(ada)
    assert not tried.wrong
    assert tried.requests > 2000
    assert query(tmp_path / "affect-edge.db", others) == before


def test_route_asked_for_an_impossible_number_makes_no_error_of_ours(ada: TestClient) -> None:
    tried = try_numbers(ada)
    assert not tried.wrong
    assert tried.requests > 80


@pytest.mark.deep
def test_route_sent_any_kind_of_body_makes_no_error_of_ours(ada: TestClient) -> None:
    tried = try_bodies(ada)
    assert not tried.wrong
    assert tried.requests > 500


def test_route_whose_request_is_cut_off_makes_no_error_of_ours(ada: TestClient) -> None:
    tried = try_cut(ada)
    assert not tried.wrong
    assert tried.requests > 500


def test_route_refusal_is_a_problem_for_programs_and_a_page_for_people(ada: TestClient) -> None:
    tried = try_shapes(ada)
    assert not tried.wrong
    assert tried.requests > 250
