"""Writes a backup of the appliance for who downloads it, in the process that computes.

The dashboard's user may read less than root: a password of the broker, say, is not its own. What it
may not read is left out, and named; ``sudo affect-edge backup`` leaves out nothing.
"""

from __future__ import annotations

from pathlib import Path


def write_backup(
    database: Path, config: Path | None, target: Path, passphrase: str
) -> tuple[str, ...]:
    """Write an archive of the appliance, locked with a passphrase, and read it back.

    Args:
        database: the timeline; an agent may record into it.
        config: the configuration file; ``None``: there is none.
        target: the archive, in a folder of its own; it appears when it is complete.
        passphrase: that opens it.

    Returns:
        The keys of the configuration whose files are not in it.

    Raises:
        BackupError: it cannot be written, or a file of it cannot be read.
        StoreError: the database cannot be read or is damaged.
    """
    from edge_agent.appliance.backup import make_backup, parts_of
    from edge_agent.config.loading import load_settings

    settings = load_settings(config)
    parts = parts_of(settings, config, database.parent, only_readable=True)
    name = settings.device.name
    made = make_backup(database, parts, target, name, passphrase, target.parent)
    return tuple(one.partition(" = ")[0] for one in made.left_out)
