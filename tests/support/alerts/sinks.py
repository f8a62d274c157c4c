"""Real servers that take what alerts send: ntfy and a webhook over HTTP, and e-mail."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from asyncio import WriteTransport
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.broker import free_port


class WebSink:
    """A web server that keeps every JSON document that is posted to it.

    Attributes:
        port: where it listens.
        posts: path and document of each, in order.
        refusing: whether it answers 503 from now on.
        silent: whether it takes messages and hangs up without an answer from now on.
        leads_to: an address to which it sends everybody on; empty: it takes messages itself.
    """

    def __init__(self, port: int) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.refusing = False
        self.silent = False
        self.leads_to = ""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not sink.refusing:
                    sink.posts.append((self.path, json.loads(body)))
                if sink.silent:
                    self.close_connection = True
                    return
                if sink.leads_to:
                    self.send_response(307)
                    self.send_header("Location", sink.leads_to)
                else:
                    self.send_response(503 if sink.refusing else 200)
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @classmethod
    @contextmanager
    def running(cls, port: int = 0) -> Iterator[WebSink]:
        """Run one, on a free port where none is named."""
        sink = cls(port)
        sink._thread.start()
        try:
            yield sink
        finally:
            sink._server.shutdown()
            sink._thread.join()
            sink._server.server_close()


class MailSink:
    """A mail server that keeps every message.

    Attributes:
        port: where it listens.
        mails: subject and text of each, in order.
        recipients: to whom they went.
        pictures: what was attached as PNG.
        on_mail: called with each message before it is answered.
        refuses: a recipient whom it does not take.
        silent: whether it takes messages and hangs up without an answer from now on.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.pictures: list[bytes] = []
        self.mails: list[tuple[str, str]] = []
        self.recipients: list[str] = []
        self.on_mail: Callable[[], object] = str
        self.refuses = ""
        self.silent = False

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address == self.refuses:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 taken"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        body = mail.get_body(("plain", "html"))
        assert body is not None
        self.mails.append((str(mail["Subject"]), body.get_content()))
        self.recipients += envelope.rcpt_tos
        for part in mail.iter_attachments():
            if part.get_content_type() == "image/png":
                self.pictures.append(part.get_content())
        self.on_mail()
        if self.silent and isinstance(server.transport, WriteTransport):
            server.transport.abort()
        return "250 taken"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[MailSink]:
        """Run one on a free port."""
        sink = cls()
        controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
        controller.start()
        try:
            yield sink
        finally:
            controller.stop()
