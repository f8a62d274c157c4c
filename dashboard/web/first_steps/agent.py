"""What the agent says at this moment, for a page that is made once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from edge_agent.runtime.live_feed import live_messages

ANSWER_S = 1.5
_WANTED = frozenset({"state", "health"})


async def heard_now(socket: Path) -> dict[str, dict[str, Any]]:
    """Return the newest ``state`` and ``health`` of the agent; empty where it does not answer.

    Args:
        socket: of its live feed.
    """
    heard: dict[str, dict[str, Any]] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_S), aclosing(live_messages(socket)) as messages:
            async for message in messages:
                if message.get("type") in _WANTED:
                    heard[message["type"]] = message
                is_gone = message.get("type") == "agent" and message.get("state") == "offline"
                if is_gone or heard.keys() >= _WANTED:
                    break
    return heard
