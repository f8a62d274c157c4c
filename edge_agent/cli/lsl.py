"""The command that offers the live feed to the Lab Streaming Layer."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import aclosing, suppress
from pathlib import Path

import click

from edge_agent.cli.options import common_options, load, log_to_stderr


@click.command()
@common_options
def lsl(config: Path | None, data: Path | None) -> None:
    """Offer what the running agent sees and measures as Lab Streaming Layer streams, until Ctrl-C.

    The Lab Streaming Layer encrypts nothing and asks nobody for a name: whoever is in the same
    network can read the streams. Use it in a laboratory's own network only.
    """
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.runtime.live_feed import SOCKET_NAME, live_messages
    from edge_agent.runtime.lsl.feed import FeedReader
    from edge_agent.runtime.lsl.streams import StreamOptions, Streams

    if settings.lsl.enabled:
        raise click.UsageError(
            "The agent offers its streams itself, for enabled = true stands in [lsl]. Leave this "
            "command out, or set it to false."
        )
    streams = Streams(StreamOptions(settings.device.name, settings.lsl))
    streams.offer_expression(settings.camera.source == "demo")
    reader = FeedReader(streams)
    click.echo(
        "Streams are offered, readable for everybody in this network. Stop with Ctrl-C.", err=True
    )

    async def pass_on() -> None:
        this = asyncio.current_task()
        assert this is not None
        for each in (signal.SIGINT, signal.SIGTERM):
            # a shell's background job ignores Ctrl-C unless it is asked for
            asyncio.get_running_loop().add_signal_handler(each, this.cancel)
        async with aclosing(live_messages(folder / SOCKET_NAME)) as messages:
            async for message in messages:
                if message["type"] == "agent":
                    click.echo(f"The agent is {message['state']}.", err=True)
                reader.take(message)

    with suppress(asyncio.CancelledError):
        asyncio.run(pass_on())
