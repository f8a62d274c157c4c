"""Answers of the dashboard while its database is upgraded: how far that is, at every address.

Services and pages need the database of this release, so another application answers until then.
"""

from __future__ import annotations

import logging
import os
import socket
import threading

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from dashboard.languages.current import gettext
from dashboard.web.delivery import STATIC, KeptFiles
from dashboard.web.errors import problem_response
from dashboard.web.guards.connections import ConnectionGuard, GuardedListener, RequestTimes
from dashboard.web.guards.hosts import HostCheck
from dashboard.web.guards.permissions import is_for_programs
from dashboard.web.guards.security import SecurityHeaders
from dashboard.web.options import DashboardOptions
from dashboard.web.rendering import Languages, language_of, make_templates
from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import StoreError
from edge_agent.core.process import SystemdNotifier
from edge_agent.timeline.database.upgrade import is_older
from edge_agent.timeline.database.upgrade_process import migrate_apart
from edge_agent.timeline.database.upgrade_progress import percent_upgraded
from edge_agent.timeline.gate.client import gate_of

log = logging.getLogger(__name__)

TICKS_A_SECOND = 10
"""How often uvicorn calls ``on_tick``."""
WATCHDOG_SECONDS = 5
AGAIN_SECONDS = 5
"""After so long a program may ask again; the page does so by itself."""


class Upgrade:
    """The upgrade that a dashboard waits for; it makes it where nobody else does.

    Args:
        options: whose database it is.
    """

    def __init__(self, options: DashboardOptions) -> None:
        self._path = options.database
        self._failed: StoreError | None = None
        self._own: threading.Thread | None = None
        if gate_of(self._path) is None:
            # It does not hold up the end of this process; what it has started goes on by itself.
            self._own = threading.Thread(target=self._make, name="upgrade", daemon=True)
            self._own.start()

    @property
    def percent(self) -> int | None:
        """How far it is; ``None`` when nobody makes it just now."""
        return percent_upgraded(self._path) or (None if self._own is None else 0)

    def is_over(self) -> bool:
        """Tell whether it has ended."""
        return not is_older(self._path) if self._own is None else not self._own.is_alive()

    def raise_failure(self) -> None:
        """Raise what went wrong.

        Raises:
            StoreError: it failed.
        """
        if self._failed is not None:
            raise self._failed

    def _make(self) -> None:
        try:
            migrate_apart(self._path)  # or wait for the agent that does
        except StoreError as error:
            self._failed = error


def upgrade_app(options: DashboardOptions, upgrade: Upgrade, guard: ConnectionGuard) -> Starlette:
    """Return the application that says how far an upgrade is."""
    page = make_templates(()).env.get_template("upgrading.html")

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def say_how_far(request: Request) -> Response:
        percent = await run_in_threadpool(lambda: upgrade.percent)
        if is_for_programs(request.url.path):
            text = gettext("The database is being upgraded. Try again when that has ended.")
            if percent is not None:
                text = gettext(
                    "The database is being upgraded, {percent} % is done. Try again when that has "
                    "ended."
                ).format(percent=percent)
            response: Response = problem_response(request, 503, text)
        else:
            shown = page.render(language=language_of(request), percent=percent)
            response = HTMLResponse(shown, 503)
        response.headers["Retry-After"] = str(AGAIN_SECONDS)
        return response

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app = Starlette(
        routes=[
            Route("/healthz", alive),
            Mount("/static", KeptFiles(directory=STATIC)),
            Route("/{path:path}", say_how_far, methods=methods),
        ]
    )
    app.add_middleware(Languages, options=options)
    app.add_middleware(HostCheck, options=options, clock=boot_seconds)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestTimes, guard=guard)
    return app


class UpgradeServer(uvicorn.Server):
    """A server that ends when the upgrade does, or when it is told to."""

    def __init__(self, config: uvicorn.Config, upgrade: Upgrade, guard: ConnectionGuard) -> None:
        super().__init__(config)
        self.was_stopped = False
        self._upgrade = upgrade
        self._guard = guard
        self._notifier = SystemdNotifier.from_environment(os.environ)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so: the dashboard answers."""
        guarded: list[socket.socket] = [GuardedListener(one, self._guard) for one in sockets or []]
        await super().startup(guarded)
        self._notifier.ready()

    async def on_tick(self, counter: int) -> bool:
        """Go on as uvicorn does, until the upgrade has ended."""
        if counter % TICKS_A_SECOND == 0:
            self._guard.cut_off_the_slow()
            # Only ever set: a signal may come while this looks.
            if await run_in_threadpool(self._upgrade.is_over):
                self.should_exit = True
        if counter % (WATCHDOG_SECONDS * TICKS_A_SECOND) == 0:
            self._notifier.watchdog()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: object) -> None:  # noqa: ARG002 - uvicorn's names
        """Stop on SIGINT and SIGTERM."""
        self.was_stopped = self.should_exit = True
