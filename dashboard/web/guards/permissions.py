"""The permission that each route needs: declared beside it, checked before it runs.

A module of routes names what all of them need, and a route what it needs beyond that::

    router = APIRouter(dependencies=[needs(Permission.SEE)])

    @router.post("/api/v1/session", dependencies=[needs(Permission.RUN)])

``check_declared`` refuses to build an application in which a route names none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import Depends, HTTPException, Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from dashboard.accounts.account_rows import DEMO, Account
from dashboard.accounts.roles import MAY, Permission, Role, who_may
from dashboard.accounts.scopes import Scope
from dashboard.languages.current import gettext
from dashboard.web.guards.refusal_log import RefusalLog
from dashboard.web.guards.tokens import check_token, token_of
from dashboard.web.settings import DashboardOptions

_READING = {"GET", "HEAD", "OPTIONS"}
_STRONGEST = list(Permission)
"""Of several permissions the last one here counts: who has it has the others."""


class PasswordChangeNeededError(Exception):
    """The account has a password that somebody else chose; it opens nothing but another one."""


class SecondFactorNeededError(Exception):
    """The role of the account asks for a second factor, and the account has none yet."""


class Needs:
    """A dependency that lets nobody pass whose role, or whose token, has not the permission.

    Attributes:
        permission: what is needed.
        scope: what a token needs beside it; ``None``: as the method of the request says.
    """

    def __init__(self, permission: Permission, scope: Scope | None = None) -> None:
        self.permission = permission
        self.scope = scope
        self._refusals = RefusalLog()

    async def __call__(self, request: Request) -> None:
        """Check who asks; the login guard, which comes first, has looked up who that is.

        Raises:
            PasswordChangeNeededError: they have to choose a password first.
            SecondFactorNeededError: they have to turn on a second factor first.
            HTTPException: 403, with the roles that may.
        """
        if self.permission is Permission.OPEN:
            return
        account = getattr(request.state, "account", None)
        if not isinstance(account, Account):
            raise HTTPException(401, gettext("Log in first."))
        if account.must_change and self.permission is not Permission.OWN:
            raise PasswordChangeNeededError
        token = token_of(request)
        if token is not None:
            try:
                check_token(token, self.permission, scope_of(request.scope["route"]))
            except HTTPException:
                self._note(request, f"the token {token.name}")
                raise
            return
        options: DashboardOptions = request.app.state.services.options
        if self.permission is not Permission.OWN and lacks_second_factor(account, options):
            raise SecondFactorNeededError
        if self.permission not in MAY[account.role]:
            self._note(request, f"{account.name} ({account.role})")
            raise HTTPException(403, refusal(account, self.permission))

    def _note(self, request: Request, who: str) -> None:
        path = getattr(request.scope["route"], "path", "")
        self._refusals.note(who, request.method, path, self.permission)


def lacks_second_factor(account: Account, options: DashboardOptions) -> bool:
    """Tell whether an account has to turn on a second factor before anything else.

    ``demo`` has no password, and so no second factor.
    """
    is_asked = account.role in options.second_factor_for
    return is_asked and not account.has_second_factor and account.name != DEMO


def needs(permission: Permission, scope: Scope | None = None) -> Any:
    """Return the dependency with which a route, or a module of routes, declares what it needs.

    Args:
        permission: what the role must have.
        scope: what a token must have beside it; ``None``: ``read`` for what only reads, and
            ``control`` for the rest.
    """
    return Depends(Needs(permission, scope))


def refusal(account: Account, permission: Permission) -> str:
    """Return why somebody may not do something, and who may."""
    return gettext(
        "This needs the role {roles}; {name} is {role}. An administrator can change that on the "
        "page Accounts."
    ).format(roles=who_may(permission), name=account.name, role=_with_article(account.role))


def permission_of(route: BaseRoute) -> Permission | None:
    """Return the strongest permission that a route declares; ``None`` when it declares none."""
    declared = [one.permission for one in _needs_of(route)]
    return max(declared, key=_STRONGEST.index, default=None)


def scope_of(route: BaseRoute) -> Scope:
    """Return the scope that a token needs for a route."""
    named = [one.scope for one in _needs_of(route) if one.scope is not None]
    if named:
        return named[-1]
    return Scope.CONTROL if set(_methods(route)) - _READING else Scope.READ


def _needs_of(route: BaseRoute) -> list[Needs]:
    if not isinstance(route, APIRoute):
        return []
    dependencies = [one.dependency for one in route.dependencies]
    return [one for one in dependencies if isinstance(one, Needs)]


def permissions_of(routes: Iterable[BaseRoute]) -> dict[str, Permission]:
    """Return what reading each address needs, by its template."""
    by_path: dict[str, Permission] = {}
    for route in routes:
        permission = permission_of(route)
        if permission is not None and "GET" in _methods(route):
            by_path[getattr(route, "path", "")] = permission
    return by_path


def check_declared(routes: Iterable[BaseRoute], is_public: Callable[[str], bool]) -> None:
    """Refuse to serve a route that does not say who may use it.

    Args:
        routes: all that are to be served.
        is_public: tells whether an address asks nobody for a login.

    Raises:
        TypeError: a route declares no permission, changes something but needs no more than to see
            pages, or is open although its address asks for a login, or the other way round.
    """
    for route in routes:
        permission = permission_of(route)
        path = str(getattr(route, "path", route))
        shown = f"{' '.join(_methods(route))} {path}"
        if permission is None:
            raise TypeError(f"{shown}: declares no permission. Add dependencies=[needs(…)].")
        if permission is Permission.SEE and set(_methods(route)) - _READING:
            raise TypeError(f"{shown}: changes something, which needs more than {permission}.")
        if (permission is Permission.OPEN) != is_public(path):
            raise TypeError(f"{shown}: {permission} disagrees with PUBLIC_PATHS of login_guard.py.")


def _methods(route: BaseRoute) -> list[str]:
    return sorted(getattr(route, "methods", None) or ())


def _with_article(role: Role) -> str:
    words = {
        Role.VIEWER: gettext("a viewer"),
        Role.OPERATOR: gettext("an operator"),
        Role.RESEARCHER: gettext("a researcher"),
        Role.ADMINISTRATOR: gettext("an administrator"),
    }
    return words[role]
