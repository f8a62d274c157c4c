"""The command ``protocol``: check protocol files without a browser."""

from __future__ import annotations

from pathlib import Path

import click

from dashboard.protocols.file import load_protocol
from dashboard.protocols.screens import RunOrder, find_parted, order_rows, screens_of
from edge_agent.core.command_line import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def protocol() -> None:
    """Protocols: what a participant is shown, for how long and in which order."""


@protocol.command("check")
@click.option("--seed", type=click.IntRange(min=0), help="Show the random order of this seed.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...], seed: int | None) -> None:
    """Check protocol FILES and their media, say in which order their stimuli come, and count in
    how many orders each stimulus has what follows it.
    """
    for file in files:
        protocol = load_protocol(file)
        screens = screens_of(protocol, RunOrder(seed=seed))
        seconds = sum(screen.seconds or 0 for screen in screens)
        rows = order_rows(protocol)
        if protocol.is_random:
            orders = "in a random order for each run"
            orders += f", seed {seed}" if seed is not None else ""
        elif rows == 1:
            orders = "in one order"
        else:
            orders = f"in {rows} orders (Williams design)"
        click.echo(
            f"{file}: {protocol.title}: {len(screens)} screens, {seconds / 60:.1f} min and "
            f"more, {orders}"
        )
        for row in range(rows):
            shown = [
                screen.title
                for screen in screens_of(protocol, RunOrder(row, seed))
                if screen.kind == "stimulus"
            ]
            click.echo(f"  {row + 1}: {', '.join(shown)}")
        checked = find_parted(protocol)
        if checked is not None:
            whole = checked.of - checked.orders
            click.echo(f"  each stimulus has what follows it in {whole} of {checked.of} orders")
        if checked is not None and checked.orders:
            click.echo(
                f"  Without it in some: {', '.join(checked.stimuli)}. Write with_stimulus = true "
                "into the steps that belong to a stimulus."
            )
