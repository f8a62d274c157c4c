"""The dashboard served by a thread of this process: it starts at once, for its modules are loaded.

Tests that kill, freeze or restart it take ``DashboardProcess``, the process that people run.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import uvicorn
from playwright.sync_api import StorageState

from dashboard.accounts.accounts import create_login_link, ensure_setup_code
from dashboard.accounts.roles import Role
from dashboard.computing.processes import Computing
from dashboard.web.app import create_app
from dashboard.web.authentication import LOGIN_COOKIE, cookie_name
from dashboard.web.options import options_from
from dashboard.web.server import GRACE_SECONDS, DashboardServer, listen
from dashboard.web.services import Services
from edge_agent.config.loading import load_settings
from edge_agent.core.clock import boot_seconds
from edge_agent.core.process import SystemdNotifier
from edge_agent.timeline.study.sessions import Study
from tests.support.dashboard import shared_computing


class Served:
    """The dashboard over one data folder; leaving the context ends it.

    Args:
        folder: the data folder.
        config: the configuration file; ``None``: the defaults.
        port: to listen on; 0 takes a free one.
        changes: values of ``DashboardOptions`` other than those of the configuration.
    """

    def __init__(
        self, folder: Path, config: Path | None = None, *, port: int = 0, **changes: Any
    ) -> None:
        self._listener = listen("127.0.0.1", port)
        self.folder = folder
        self.port = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        options = options_from(load_settings(config), folder)
        self.options = replace(options, port=self.port, **changes)
        app = create_app(self.options, boot_seconds, shared_computing())
        self.services: Services = app.state.services
        settings = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            http="h11",
            ws="none",
            loop="asyncio",
        )
        # The server closes what computes for it; here that computes for others as well.
        own = replace(self.services, computing=Computing())
        self._server = DashboardServer(settings, own, SystemdNotifier.from_environment({}))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runs = threading.Event()
        self._thread = threading.Thread(target=self._run, name="served", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._runs.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._server.handle_exit, signal.SIGTERM, None)
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._listener.close()
        # what computes here computes for others as well
        replace(self.services, computing=Computing()).close()

    @property
    def database(self) -> Path:
        """The database file."""
        return self.options.database

    @property
    def study(self) -> Study:
        """The study in the database."""
        return Study(self.database)

    @property
    def setup_code(self) -> str:
        """The code with which the first account is made."""
        code = ensure_setup_code(self.database)
        assert code is not None
        return code

    def login(self, role: Role | None = None) -> StorageState:
        """Return the cookie of a new login: of who came by the link of the first start, or of an
        account of a role.
        """
        accounts, members = self.services.accounts, self.services.members
        if role is None:
            account = accounts.follow_link(create_login_link(self.database).partition("=")[2])
        else:
            if role.value not in {member.name for member in members.all()}:
                members.add_with_link(role.value, role, "test")
            account = accounts.named_by_proxy(role.value)
        return {
            "cookies": [
                {
                    "name": cookie_name(LOGIN_COOKIE, self.options),
                    "value": accounts.log_in(account),
                    "domain": self.address.split(":")[1].strip("/"),
                    "path": "/",
                    "expires": -1,
                    "httpOnly": True,
                    "secure": False,
                    "sameSite": "Lax",
                }
            ],
            "origins": [],
        }

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self._server.serve([self._listener]))
        while not (self._server.started or serving.done()):
            await asyncio.sleep(0.01)
        self._runs.set()
        await serving
