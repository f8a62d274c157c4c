"""Sends alerts in a language: ``python -m dashboard.commands.send_alerts de``.

The agent starts it instead of ``edge_agent.alerts.outgoing`` where ``dashboard.language`` names a
language; it answers the same messages.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dashboard.languages.current import speaking
from dashboard.languages.names import translate
from edge_agent.alerts import outgoing


def main(arguments: Sequence[str]) -> None:
    """Send the messages that it is asked to send, said in the language that is named."""
    (language,) = arguments
    with speaking(language):
        outgoing.main(translate)


if __name__ == "__main__":
    main(sys.argv[1:])
