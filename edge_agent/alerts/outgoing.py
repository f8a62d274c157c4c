"""The process that sends messages: ``python -m edge_agent.alerts.outgoing``.

Apprise supports some hundred services and needs memory and time for them. In a separate process it
costs the agent nothing, and can be ended if it hangs. Addresses come through a pipe, since other
users can read the words of a command.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edge_agent.core.helper.answering import answer_questions
from edge_agent.core.texts import N_, unpack_text

MISSING = N_(
    "the package apprise is not installed; say `sudo ./install.sh --with alerts`, or in "
    "a checkout `.venv/bin/pip install -e '.[alerts]'`, or with pipx "
    "`pipx inject affect-edge apprise`"
)
PICTURE = "week.png"
NO_ADDRESS = N_("is no address that Apprise knows; see docs/alerts.md")
_TAKEN = 250
"""Answer of a mail server that has a message (RFC 5321)."""
NOT_TAKEN = N_("it was not taken")


class Unanswered:
    """Notices that a server may have a message although the attempt failed.

    A mail server that takes ten seconds to check a letter, or a webhook behind a slow link, has it
    all the same. Libraries report that as any other failure, so the two calls after which a message
    may be there are watched. Of other ways to send, a failure counts as a refusal.

    Attributes:
        may_have_arrived: whether it is so for the last message.
    """

    def __init__(self) -> None:
        self.may_have_arrived = False

    def watch(self) -> None:
        """Watch the calls from now on; for a process that does nothing but send."""
        import smtplib

        import requests

        hand_over, ask = smtplib.SMTP.data, requests.Session.send

        @functools.wraps(hand_over)
        def data(*given: Any, **named: Any) -> Any:
            try:
                answer = hand_over(*given, **named)
            except smtplib.SMTPResponseException:
                raise
            except OSError:  # what smtplib raises, too
                self.may_have_arrived = True
                raise
            # One of several recipients has it then, whatever becomes of the others.
            self.may_have_arrived |= answer[0] == _TAKEN
            return answer

        @functools.wraps(ask)
        def send(*given: Any, **named: Any) -> Any:
            try:
                return ask(*given, **named)
            except requests.RequestException as error:
                self.may_have_arrived |= not _never_connected(error)
                raise

        smtplib.SMTP.data = data  # type: ignore[method-assign]
        requests.Session.send = send  # type: ignore[method-assign]


def _never_connected(error: Exception) -> bool:
    """Tell whether a request failed before a server could read it."""
    import requests
    from urllib3.exceptions import NewConnectionError

    early = (
        requests.exceptions.ConnectTimeout,
        requests.exceptions.ProxyError,
        requests.exceptions.SSLError,
    )
    cause = getattr(error.args[0], "reason", None) if error.args else None
    other = (requests.Timeout, requests.ConnectionError)
    return (
        isinstance(error, early)
        or isinstance(cause, NewConnectionError)
        or not isinstance(error, other)
    )


def send(given: dict[str, Any]) -> str:
    """Send a message; return the reason of a failure, or an empty text.

    Args:
        given: ``address``, ``title``, ``body`` and ``kind`` (``warning`` or ``success``), and
            ``picture``, a PNG in base64, where one is attached.
    """
    try:
        from apprise import Apprise, AppriseAsset
        from apprise.attachment.memory import AttachMemory
    except ImportError:
        return MISSING
    warnings = io.StringIO()
    logger = logging.getLogger("apprise")
    logger.handlers = [logging.StreamHandler(warnings)]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    # No redirects: a service could send the message to a place that the owner did not choose.
    asset = AppriseAsset(app_id="Affect Edge", storage_mode="memory", http_redirects=False)
    service = Apprise(asset=asset)
    if not service.add(given["address"]):
        return NO_ADDRESS
    picture = base64.b64decode(given.get("picture", ""))
    attached: Any = None
    if picture:
        attached = AttachMemory(picture, name=PICTURE, mimetype="image/png")
    if service.notify(
        body=given["body"], title=given["title"], notify_type=given["kind"], attach=attached
    ):
        return ""
    lines = [line.strip() for line in warnings.getvalue().splitlines() if line.strip()]
    return lines[-1] if lines else NOT_TAKEN


def main(say: Callable[[str], str] = str) -> None:
    """Send the messages that this process is asked to send; each answer names what was wrong.

    Args:
        say: returns a title or a body in the language of its readers.
    """

    unanswered = Unanswered()

    def answer(question: bytes) -> bytes:
        if not question:  # the first: whether this process can send at all
            with suppress(ImportError):
                import apprise  # noqa: F401 - loaded before there is anything to lose

                unanswered.watch()
            return b""
        given = json.loads(question)
        for part in ("title", "body"):
            given[part] = say(unpack_text(given[part], given.get(f"{part}_parts")))
        unanswered.may_have_arrived = False
        error = send(given)
        may_have_arrived = bool(error) and unanswered.may_have_arrived
        return json.dumps({"error": error, "may_have_arrived": may_have_arrived}).encode()

    answer_questions(answer)


if __name__ == "__main__":
    main()
