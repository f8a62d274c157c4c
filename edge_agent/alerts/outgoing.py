"""The process that sends messages: ``python -m edge_agent.alerts.outgoing``.

Apprise supports some hundred services and needs memory and time for them. In a separate process it
costs the agent nothing, and can be ended if it hangs. Addresses come through a pipe, since other
users can read the words of a command.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable
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
NOT_TAKEN = N_("it was not taken")


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

    def answer(question: bytes) -> bytes:
        given = json.loads(question)
        for part in ("title", "body"):
            given[part] = say(unpack_text(given[part], given.get(f"{part}_parts")))
        return json.dumps({"error": send(given)}).encode()

    answer_questions(answer)


if __name__ == "__main__":
    main()
