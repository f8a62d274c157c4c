"""``affect-edge encrypt-data`` and ``unlock``: the data folder in a container with a passphrase."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import log_to_stderr
from edge_agent.core.errors import EncryptionError

if TYPE_CHECKING:
    from edge_agent.appliance.encryption.places import Places

GB = 10**9
_ROOM_FOR_DATA = 3
_MOST_BY_ITSELF = 14 * GB
"""Room for the disk budget that is usual, and the copies."""


@click.command("encrypt-data")
@click.option("--size", type=float, metavar="GB", help="Size of the container; left out: as fits.")
@click.option("--dry-run", is_flag=True, help="Check and say what would be done; change nothing.")
@click.option("--yes", is_flag=True, help="Ask nothing but the passphrase.")
def encrypt_data(size: float | None, dry_run: bool, yes: bool) -> None:
    """Move the data of an installed appliance into an encrypted container (LUKS2).

    From then on each start of the machine asks for the passphrase, and nothing is recorded before
    it is given. Who forgets it loses the data. The old files are deleted when every one of them is
    proven to be in the container.
    """
    log_to_stderr(logging.WARNING)
    places = _places()
    from edge_agent.appliance.encryption.steps import check, encrypt

    wanted = int(size * GB) if size is not None else _size(places)
    check(places, wanted)
    click.echo(f"This moves {places.data} into {places.container}, {wanted / GB:.1f} GB, which")
    click.echo("opens with a passphrase only. Recording stops meanwhile. After each start of the")
    click.echo("machine it is asked for on the screen, and by: sudo affect-edge unlock")
    click.echo("Who forgets it has lost the data. Old bytes may stay on the card where no program")
    click.echo("can reach them: a card that held data before should be destroyed, not given away.")
    if dry_run:
        return
    if not yes:
        click.confirm("Go on?", abort=True)
    passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt="Again")
    compared = encrypt(places, passphrase, wanted, lambda sentence: click.echo(f"• {sentence}"))
    click.echo(f"Done: {compared} files and folders compared, then the old ones deleted.")


@click.command()
def unlock() -> None:
    """Ask for the passphrase of the encrypted data, and start the services."""
    places = _places()
    from edge_agent.appliance.encryption.places import SERVICES
    from edge_agent.config.data import LOCKED_NAME

    if not (places.data / LOCKED_NAME).exists():
        raise EncryptionError(f"{places.data}: is not locked.")
    sys.stdout.flush()
    units = [places.opening_unit, places.mount_unit, *SERVICES]
    os.execvp("systemctl", ["systemctl", "start", *units])


def _places() -> Places:
    if os.geteuid() != 0:
        raise EncryptionError(
            "Only root can open or make an encrypted folder; put sudo before the command."
        )
    from edge_agent.appliance.encryption.places import Places

    return Places()


def _size(places: Places) -> int:
    """Return a size with room to grow that leaves a fifth of the disk to the system."""
    from edge_agent.appliance.encryption.proof import size_of

    used = size_of(places.data) if places.data.is_dir() else 0
    free = shutil.disk_usage(places.container.parent).free
    return min(max(_MOST_BY_ITSELF, used * _ROOM_FOR_DATA), int(free * 0.8))
