"""The permission that each route needs: declared beside it, checked before it runs.

A module of routes names what all of them need, and a route what it needs beyond that::

    router = APIRouter(dependencies=[needs(Permission.SEE)])

    @router.post("/api/v1/session", dependencies=[needs(Permission.RUN)])

``check_declared`` refuses to build an application in which a route names none. Programs bring a
token instead of a login: ``Authorization: Bearer …``. Refusals stand in the log, and views of a
participant or session in the audit trail, each once for a while.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import Depends, HTTPException, Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from dashboard.accounts.attempts import AttemptLimiter
from dashboard.accounts.notes import Notes
from dashboard.accounts.roles import DEMO, MAY, Account, Permission, Role, Scope, who_may
from dashboard.accounts.tokens import Token, Tokens
from dashboard.languages.current import gettext
from dashboard.languages.names import list_with_or
from dashboard.web.options import DashboardOptions
from edge_agent.core.clock import boot_seconds
from edge_agent.core.texts import N_

log = logging.getLogger(__name__)
QUIET_S = 900.0
"""The same account at the same route is written down once in so many seconds."""
_MOST = 500
REQUESTS_A_MINUTE = 600
WRONG_TOKENS = 20
METRICS_PATH = "/metrics"
_API = "/api/"
_SCHEME = "bearer"
_READING = {"GET", "HEAD", "OPTIONS"}
_SEEING = {Permission.TRENDS, Permission.WEEK, Permission.SEE}
_STRONGEST = list(Permission)
"""Of several permissions the last one here counts: who has it has the others."""
AGAIN_S = 900
MOST = 2000


class RefusalLog:
    """Writes refused requests into the log, by the route's address, without what stood in it.

    Example:
        >>> refusals = RefusalLog()
        >>> refusals.note("ada (viewer)", "POST", "/api/v1/participants/{code}", "study")
    """

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str, str], float] = {}

    def note(self, who: str, method: str, route: str, needed: str) -> None:
        """Log a refused request, unless the same one was logged just now."""
        key = (who, method, route)
        now = boot_seconds()
        last = self._noted.get(key)
        if last is not None and now - last < QUIET_S:
            return
        if len(self._noted) >= _MOST:
            # Emptied rather than grown: the worst is that a line is written twice.
            self._noted.clear()
        self._noted[key] = now
        log.warning("refused: %s may not %s %s, which needs %s", who, method, route, needed)


def is_for_programs(path: str) -> bool:
    """Tell whether programs ask at an address: a token opens it, and errors are JSON."""
    return path.startswith(_API) or path == METRICS_PATH


def secret_in(request: Request) -> str | None:
    """Return the secret that a request brings; ``None``: it brings none, or is for a page."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != _SCHEME or not is_for_programs(request.url.path):
        return None
    return secret.strip()


class TokenGate:
    """Looks up the tokens that requests bring, and counts them.

    Args:
        database: where the tokens are kept.
        clock: seconds, never going back.

    Attributes:
        tokens: all tokens.
        requests: counts requests of each token.
        wrong_tokens: counts wrong tokens of each address.
    """

    def __init__(self, database: Path, clock: Callable[[], float] = boot_seconds) -> None:
        self.tokens = Tokens(database)
        self.requests = AttemptLimiter(REQUESTS_A_MINUTE, 60.0, clock=clock)
        self.wrong_tokens = AttemptLimiter(WRONG_TOKENS, 300.0, clock=clock)

    def admit(self, secret: str, address: str) -> Token:
        """Return the token that a secret belongs to, and note that it was used.

        Raises:
            HTTPException: 401 when it is in force nowhere, 429 after too many requests.
        """
        token = self.tokens.find(secret)
        # Only wrong tokens count here, so that a busy program is not taken for a guesser.
        if token is None:
            _wait(self.wrong_tokens.attempt(address), gettext("wrong tokens"))
            raise HTTPException(
                401,
                gettext(
                    "This token is unknown, revoked or expired, or its creator may not log in."
                ),
                {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        wait = self.requests.attempt(f"token {token.id}")
        _wait(wait, gettext("requests with this token"))
        self.tokens.note_use(token)
        return token


def account_for(token: Token) -> Account:
    """Return an account for a token, with its name, the role that it has by now, and a number that
    no account has.
    """
    # Negative, so that it is no account's number.
    return Account(-token.id, token.actor, token.present_role)


def token_of(request: Request) -> Token | None:
    """Return the token that authorised a request; ``None`` for a login or a public page."""
    token = getattr(request.state, "token", None)
    return token if isinstance(token, Token) else None


def check_token(token: Token, permission: Permission, scope: Scope) -> None:
    """Refuse a request that the scope of the token does not allow.

    Raises:
        HTTPException: 403, with what it would need.
    """
    if scope not in token.scopes:
        raise HTTPException(
            403,
            gettext(
                "This needs a token with the scope {scope}; {name} has {scopes}. An "
                "administrator can create one on the Tokens page."
            ).format(scope=scope, name=token.name, scopes=list_with_or(sorted(token.scopes))),
            {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )
    if permission not in token.permissions:
        raise HTTPException(
            403,
            gettext(
                "This needs a token with the role {roles}, created by somebody with that role; "
                "{name} is not allowed. An administrator can create one on the Tokens page."
            ).format(roles=who_may(permission), name=token.name),
        )


def _wait(seconds: int, what: str) -> None:
    if seconds:
        raise HTTPException(
            429,
            gettext("Too many {what}. Try again in {seconds} s.").format(
                what=what, seconds=seconds
            ),
            {"Retry-After": str(seconds)},
        )


class AccountPageNeededError(Exception):
    """An account may open only its own page; the translatable text says what to do there."""


class Needs:
    """A dependency that refuses a role or token without the permission.

    Attributes:
        permission: what is needed.
        scope: what a token needs beside it; ``None``: as the method of the request says.
    """

    def __init__(self, permission: Permission, scope: Scope | None = None) -> None:
        self.permission = permission
        self.scope = scope
        self._refusals = RefusalLog()

    async def __call__(self, request: Request) -> None:
        """Check the permission of the account that the login guard has looked up before.

        Raises:
            AccountPageNeededError: a password or a second factor of their own comes first.
            HTTPException: 403, with the roles that may.
        """
        if self.permission is Permission.OPEN:
            return
        account = getattr(request.state, "account", None)
        if not isinstance(account, Account):
            raise HTTPException(401, gettext("Log in first."))
        if account.must_change and self.permission is not Permission.OWN:
            raise AccountPageNeededError(N_("Choose a password of your own first."))
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
            raise AccountPageNeededError(
                N_("Your role needs a second factor. Turn it on on the Account page.")
            )
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


def may(account: Account, permission: Permission, options: DashboardOptions) -> bool:
    """Tell whether a login of an account may now use what needs a permission beyond the own
    account.
    """
    if account.must_change or lacks_second_factor(account, options):
        return False
    return permission in MAY[account.role]


def needs(permission: Permission, scope: Scope | None = None) -> Any:
    """Return the dependency with which a route, or a module of routes, declares what it needs.

    Args:
        permission: what the role must have.
        scope: what a token must have beside it; ``None``: ``read`` for what only reads, and
            ``control`` for the rest.
    """
    return Depends(Needs(permission, scope))


def refusal(account: Account, permission: Permission) -> str:
    """Return a sentence on the missing permission and the roles that have it."""
    return gettext(
        "This needs the role {roles}; {name} is {role}. An administrator can change that on the "
        "Accounts page."
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
    """Return the permission needed to read each address, by address template."""
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
        if permission in _SEEING and set(_methods(route)) - _READING:
            raise TypeError(f"{shown}: changes something, which needs more than {permission}.")
        if (permission is Permission.OPEN) != is_public(path):
            raise TypeError(
                f"{shown}: {permission} disagrees with PUBLIC_PATHS of web/authentication.py."
            )


def _methods(route: BaseRoute) -> list[str]:
    return sorted(getattr(route, "methods", None) or ())


def _with_article(role: Role) -> str:
    words = {
        Role.CARER: gettext("a carer"),
        Role.VIEWER: gettext("a viewer"),
        Role.OPERATOR: gettext("an operator"),
        Role.RESEARCHER: gettext("a researcher"),
        Role.ADMINISTRATOR: gettext("an administrator"),
    }
    return words[role]


class ViewLog:
    """Writes into the audit trail that an account opened a page about a participant.

    The same page opened again by the same account within a quarter of an hour is not written.

    Args:
        notes: write into the audit trail; no such line keeps people from what is recorded.
        clock: seconds, never going back.

    Example:
        >>> views.note(ada, "participant_view", "P-01")
    """

    def __init__(self, notes: Notes, clock: Callable[[], float]) -> None:
        self._notes = notes
        self._clock = clock
        self._lock = Lock()
        self._last: dict[tuple[int, str, str], float] = {}

    def note(self, account: Account, action: str, detail: str) -> None:
        """Write that an account opened something, unless it did so a moment ago."""
        key = (account.id, action, detail)
        at = self._clock()
        with self._lock:
            if at - self._last.get(key, -AGAIN_S) < AGAIN_S:
                return
            # Taken out and put back at the end: the first are those written longest ago.
            self._last.pop(key, None)
            while len(self._last) >= MOST:
                del self._last[next(iter(self._last))]
            self._last[key] = at
        self._notes.note(account.name, action, detail)
