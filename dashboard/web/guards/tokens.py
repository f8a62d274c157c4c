"""Programs that bring a token instead of a login: ``Authorization: Bearer …``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import HTTPException, Request

from dashboard.accounts.account_rows import Account
from dashboard.accounts.roles import Permission, who_may
from dashboard.accounts.scopes import Scope
from dashboard.accounts.tokens import Token, Tokens
from dashboard.languages.current import gettext
from dashboard.languages.names import list_with_or
from dashboard.web.attempt_limiter import AttemptLimiter
from edge_agent.core.clock import boot_seconds

REQUESTS_A_MINUTE = 600
WRONG_TOKENS = 20
METRICS_PATH = "/metrics"
_API = "/api/"
_SCHEME = "bearer"


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
        token = self.tokens.of(secret)
        if token is None:
            _wait(self.wrong_tokens.attempt(address), gettext("wrong tokens"))
            raise HTTPException(
                401,
                gettext("This token is unknown, revoked or expired, or its maker may not log in."),
                {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        wait = self.requests.attempt(f"token {token.id}")
        _wait(wait, gettext("requests with this token"))
        self.tokens.note_use(token)
        return token


def account_for(token: Token) -> Account:
    """Return who acts with a token: under its own name, and with a number that no account has."""
    return Account(-token.id, token.actor, token.role)


def token_of(request: Request) -> Token | None:
    """Return the token that a request was let in with; ``None``: with a login, or not at all."""
    token = getattr(request.state, "token", None)
    return token if isinstance(token, Token) else None


def check_token(token: Token, permission: Permission, scope: Scope) -> None:
    """Refuse what a token is not for.

    Raises:
        HTTPException: 403, with what it would need.
    """
    if scope not in token.scopes:
        raise HTTPException(
            403,
            gettext(
                "This needs a token with the scope {scope}; {name} has {scopes}. An administrator "
                "can make one on the page Tokens."
            ).format(scope=scope, name=token.name, scopes=list_with_or(sorted(token.scopes))),
            {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )
    if permission not in token.permissions:
        raise HTTPException(
            403,
            gettext(
                "This needs a token with the role {roles}, made by somebody who has it; {name} "
                "may not. An administrator can make one on the page Tokens."
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
