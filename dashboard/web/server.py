"""Starting and stopping the server: it binds its socket first and stops within three seconds."""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import socket
import ssl
from types import FrameType

import uvicorn
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from dashboard.accounts.accounts import create_login_link, ensure_setup_code
from dashboard.web.app import create_app
from dashboard.web.guards.connections import ConnectionGuard, GuardedListener, OnceAMinute
from dashboard.web.guards.hosts import written_ns
from dashboard.web.options import DashboardOptions, check_exposure
from dashboard.web.services import Services, sweep
from dashboard.web.upgrading import Upgrade, UpgradeServer, upgrade_app
from edge_agent.core.errors import ConfigError, ServerError
from edge_agent.core.process import (
    SystemdNotifier,
    give_back,
    give_back_after_start,
    share_one_heap,
)
from edge_agent.timeline.database.dashboard_file import SWEPT_S, kept_open
from edge_agent.timeline.database.lock import lock_for_reading
from edge_agent.timeline.database.upgrade import is_older
from edge_agent.timeline.gate.held import HeldDatabase

log = logging.getLogger(__name__)

GRACE_SECONDS = 2
TICKS_A_SECOND = 10
"""How often uvicorn calls ``on_tick``."""
CERTIFICATE_SECONDS = 60
TELLING_SECONDS = 60
HEADER_BYTES = 16 * 1024
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2, whose others use CBC or give no forward secrecy; TLS 1.3 has only good ones."""
WATCHDOG_SECONDS = 5
GIVING_BACK_SECONDS = 600
"""Interval at which memory is given back that only single pages needed."""
IDLE_SECONDS = 15
"""How often threads that answered many at once, and nobody any more, are ended."""
PREVIEW_SECONDS = 1.0
"""Longest wait until the end of a preview is written down."""

_ONCE_A_MINUTE = OnceAMinute()


class DashboardServer(uvicorn.Server):
    """A uvicorn server that closes open event streams when it stops.

    Otherwise it would wait for them.

    It tells systemd that it is ready and alive, and takes a renewed certificate without a restart.
    """

    def __init__(
        self, config: uvicorn.Config, services: Services, notifier: SystemdNotifier
    ) -> None:
        super().__init__(config)
        self.services = services
        self._notifier = notifier
        self._held = HeldDatabase(services.options.database)
        self._certificate = written_ns(services.options.certificate)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        guard = self.services.connections
        guarded: list[socket.socket] = [GuardedListener(one, guard) for one in sockets or []]
        self._held.hold()
        await super().startup(guarded)
        if self.services.fleet is None:  # there is no agent here to watch
            self.services.alerts.start()
            self.services.letter_sender.start()
            self.services.erased.start()
        self._notifier.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cancel reading and computing, which would delay it; then shut down as uvicorn does."""
        self.services.pictures.close()
        self.services.computing.close()
        await super().shutdown(sockets)
        await self.services.previews.close(PREVIEW_SECONDS)
        self._held.close()

    async def on_tick(self, counter: int) -> bool:
        """Go on as uvicorn does.

        Counting ticks, not seconds, for the clock of a Raspberry Pi jumps.
        """
        if counter % TICKS_A_SECOND == 0:
            self.services.connections.cut_off_the_slow()
        if counter % (TELLING_SECONDS * TICKS_A_SECOND) == 0:
            self.services.connections.tell()
        if counter % (WATCHDOG_SECONDS * TICKS_A_SECOND) == 0:
            self._notifier.watchdog()
            self._held.hold()
        if counter % (IDLE_SECONDS * TICKS_A_SECOND) == 0:
            await end_idle_threads()
        if counter % (GIVING_BACK_SECONDS * TICKS_A_SECOND) == 0:
            give_back()  # twenty milliseconds
        if counter % (CERTIFICATE_SECONDS * TICKS_A_SECOND) == 0:
            self._take_renewed_certificate()
        if counter % (SWEPT_S * TICKS_A_SECOND) == 0:
            await run_in_threadpool(sweep, self.services.options)
        return await super().on_tick(counter)

    def _take_renewed_certificate(self) -> None:
        options = self.services.options
        written = written_ns(options.certificate)
        # Without a certificate at the start there is no TLS to renew.
        if options.certificate is None or self.config.ssl is None:
            return
        if written in {None, self._certificate}:
            return
        self._certificate = written
        try:
            # Tried apart first: a pair that does not fit must not spoil what is in use.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.config.ssl):
                context.load_cert_chain(options.certificate, options.key, password=_no_passphrase)
        except (ssl.SSLError, OSError) as error:
            log.warning(
                "%s: cannot be used (%s); the certificate of before stays",
                options.certificate,
                error,
            )
        else:
            log.info("%s: the changed certificate is used from now on", options.certificate)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's name
        """Stop on SIGINT and SIGTERM; a second SIGINT does not wait.

        uvicorn's own also notes the signal to raise it again at the end, which would turn an
        orderly stop into a death by signal; this one ends with exit code 0.
        """
        self.services.stopping.set()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def serve(options: DashboardOptions, *, with_login_link: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; print the address and, where needed, how to get in.

    Args:
        options: what to serve and where.
        with_login_link: print an address that logs in its first visitor.

    Raises:
        ConfigError: the address is open to the network without TLS, or the certificate cannot be
            used.
        ServerError: the port is taken or not permitted.
        StoreError: the database cannot be used.
    """
    check_exposure(options)
    share_one_heap()
    give_back_after_start()
    with (
        listen(options.host, options.port) as listener,
        lock_for_reading(options.database),
        kept_open(options.database),
    ):
        if not _wait_for_upgrade(options, listener):
            return
        server = make_server(options)
        gc.freeze()  # what the start made stays, and the collector passes over it
        _greet(options, with_login_link)
        try:
            server.run(sockets=[listener])
        finally:
            server.services.close()


def make_server(options: DashboardOptions) -> DashboardServer:
    """Return the server of an application, not yet running; give a listening socket to its ``run``.

    Raises:
        ConfigError: the certificate cannot be used.
        StoreError: the database cannot be used.
    """
    app = create_app(options)
    config = _server_config(app, options)
    services: Services = app.state.services
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_ONCE_A_MINUTE)
    return DashboardServer(config, services, SystemdNotifier.from_environment(os.environ))


def _wait_for_upgrade(options: DashboardOptions, listener: socket.socket) -> bool:
    """Answer how far an upgrade of the database is, if one is due; return whether to go on.

    Raises:
        ConfigError: the certificate cannot be used.
        StoreError: the upgrade failed.
    """
    if not is_older(options.database):
        return True
    log.warning("%s: is upgraded first; %s says how far it is", options.database, options.address)
    upgrade = Upgrade(options)
    guard = ConnectionGuard()
    config = _server_config(upgrade_app(options, upgrade, guard), options)
    server = UpgradeServer(config, upgrade, guard)
    server.run(sockets=[listener.dup()])  # it closes the one that it gets
    upgrade.raise_failure()
    return not server.was_stopped


def _server_config(app: ASGIApp, options: DashboardOptions) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",  # that it starts and ends is said by us
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody may choose the address that attempts are counted for
        timeout_graceful_shutdown=GRACE_SECONDS,
        http="h11",
        ws="none",
        loop="asyncio",
        h11_max_incomplete_event_size=HEADER_BYTES,
        ssl_ciphers=CIPHERS,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"dashboard.certificate = '{options.certificate}', dashboard.key = '{options.key}': "
            f"cannot be used ({error.strerror or error}). Both must be PEM files that belong "
            "together and that this user may read."
        ) from error
    return config


async def end_idle_threads() -> None:
    """Have AnyIO end the threads that have been idle for ten seconds.

    It does so only when it is asked for one. After 60 event streams forty threads stayed until
    somebody opened a page.
    """
    # A place of its own: this must not wait until one of forty busy threads is free.
    await to_thread.run_sync(_do_nothing, limiter=CapacityLimiter(1))


def _do_nothing() -> None:
    """Return at once."""


def _no_passphrase() -> str:
    """OpenSSL would ask at the terminal, and everybody would wait for it."""
    return ""


def listen(host: str, port: int) -> socket.socket:
    """Bind the address before anything else is done.

    Raises:
        ServerError: it is taken, not permitted, or not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
    except socket.gaierror as error:
        raise ServerError(
            f"dashboard.host = {host!r}: no such address ({error.strerror}). Give one of this "
            "machine."
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        # A restart must not wait until the system has forgotten the connections of before.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)  # taken ports may show only here
    except OSError as error:
        listener.close()
        raise ServerError(_why_not(host, port, error)) from error
    return listener


def _why_not(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            cure = (
                "is taken by another program. Stop that one, or choose another port, such as "
                f"--port {port + 1}."
            )
        case errno.EACCES:
            cure = (
                "needs more rights: ports below 1024 belong to the system. Choose another, "
                "such as --port 8080."
            )
        case errno.EADDRNOTAVAIL:
            cure = (
                "is no address of this machine. Choose --host 127.0.0.1, or --host 0.0.0.0 for "
                "all of them."
            )
        case _:
            cure = f"cannot be listened on ({error.strerror})."
    return f"Port {port} on {host} {cure}"


def _greet(options: DashboardOptions, with_login_link: bool) -> None:
    if with_login_link:
        address = options.address + create_login_link(options.database)
        print(f"Dashboard: {address}  (logs in its first visitor, once)", flush=True)
        return
    code = ensure_setup_code(options.database)
    if code is not None:
        print(f"Setup code: {code}  (asked for once, when the first account is made)", flush=True)
    print(f"Dashboard: {options.address}", flush=True)
