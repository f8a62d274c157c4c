"""Whether agent and dashboard answer, as a program outside of them finds out."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path

from edge_agent.config.dashboard import DashboardSettings
from edge_agent.core import clock
from edge_agent.runtime.live_feed import SOCKET_NAME
from edge_agent.runtime.live_probe import AgentProbe

ANSWER_S = 3.0
OLD_MS = 10_000
"""The agent tells each second how it stands; what is older than this is no sign of life."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


def agent_answers(folder: Path) -> bool:
    """Tell whether an agent writes to a data folder, and its loop goes round."""
    probe = AgentProbe(folder / SOCKET_NAME)
    try:
        said_ms = probe.last_state_ms(within_s=ANSWER_S)
    finally:
        probe.close()
    return said_ms is not None and abs(clock.now().wall_ms - said_ms) <= OLD_MS


def dashboard_answers(settings: DashboardSettings) -> bool:
    """Tell whether ``/healthz`` gives what our dashboard gives."""
    address = _EVERYWHERE.get(settings.host, settings.host)
    if settings.certificate is not None:
        # Our own machine and nothing secret: who answers is not the question, only what.
        context = ssl._create_unverified_context()  # noqa: S323
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            address, settings.port, timeout=ANSWER_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(address, settings.port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read(1_000))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return bool(answer == {"status": "ok"})
