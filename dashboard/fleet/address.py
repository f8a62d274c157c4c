"""Where the PostgreSQL of a fleet is: an address without its password, and the file of that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edge_agent.core.errors import StoreError


@dataclass(frozen=True, slots=True)
class FleetAddress:
    """What ``[dashboard]`` says of the database that collectors write to.

    Attributes:
        address: ``postgresql://…``, without a password.
        password_file: file whose first line is the password; ``None``: libpq finds it, such as in
            ``PGPASSWORD`` or a ``.pgpass``, or none is needed.
    """

    address: str
    password_file: Path | None = None

    @property
    def shown(self) -> str:
        """Server and database, as a page may name them."""
        parts = urlsplit(self.address)
        host = parts.hostname or "localhost"
        return f"{host}{parts.path.rstrip('/')}"

    def password(self) -> str | None:
        """Return the password, read anew: it may have been changed.

        Raises:
            StoreError: the file cannot be read, or its first line is empty.
        """
        file = self.password_file
        if file is None:
            return None
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise StoreError(
                f"dashboard.source_password_file {file}: cannot be read ({why}). Write the "
                "password of the database account on its first line and let the dashboard's user "
                "read it."
            ) from error
        if not lines or not lines[0]:
            raise StoreError(
                f"dashboard.source_password_file {file}: its first line is empty. Write the "
                "password of the database account there."
            )
        return lines[0]
