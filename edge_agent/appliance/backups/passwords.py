"""Accounts of a restored database whose password did not come with it."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import read_transaction
from edge_agent.store.write.accounts.credentials import FILE_NAME, Credentials, is_key


def accounts_without_password(database: Path) -> list[str]:
    """Return the accounts that name a password which is not on this device.

    Raises:
        StoreError: the database or the file of credentials cannot be read.
    """
    with read_transaction(database) as connection:
        named = dict(connection.execute("SELECT password_hash, name FROM account").fetchall())
    return sorted(named[key] for key in Credentials(database).missing(filter(is_key, named)))


def notes_on_passwords(database: Path) -> list[str]:
    """Say who cannot log in after a restore, and what to do; empty: nobody."""
    try:
        names = accounts_without_password(database)
    except StoreError as error:
        return [str(error)]
    if not names:
        return []
    told = (
        f"{FILE_NAME} with the passwords of {', '.join(names)} was not in what was restored, and "
        "is not here: set new ones with `sudo -u affect-edge-dashboard affect-edge password NAME`"
    )
    return [told]
