"""What the agent says at this moment, for answers that do not wait for events."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

from edge_agent.runtime.live_feed import live_messages

_AGENT_SECONDS = 1.0
_BURST_SECONDS = 0.1
"""The newest messages come in one burst; what is not in it was never said."""


async def agent_messages(socket: Path) -> dict[str, dict[str, Any]]:
    """Return the newest health report and the newest expression of the agent, by type.

    It repeats them to everyone who connects. Empty without an agent.
    """
    newest: dict[str, dict[str, Any]] = {}
    loop = asyncio.get_running_loop()
    try:
        async with (
            asyncio.timeout(_AGENT_SECONDS) as limit,
            aclosing(live_messages(socket)) as messages,
        ):
            async for message in messages:
                kind = message.get("type")
                if kind == "agent" and message.get("state") == "offline":
                    return {}
                if kind in {"health", "expression"}:
                    newest.setdefault(str(kind), message)
                if len(newest) == 2:
                    return newest
                if kind == "health":
                    limit.reschedule(loop.time() + _BURST_SECONDS)
    except TimeoutError:
        return newest
    return newest  # pragma: no cover - the feed never ends by itself
