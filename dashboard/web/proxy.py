"""A proxy before the dashboard that logs people in: how it proves that it is the one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import ConfigError

SECRET_HEADER = "Affect-Edge-Proxy"  # noqa: S105 - the name of a header
LEAST_SECRET = 32


@dataclass(frozen=True, slots=True)
class TrustedProxy:
    """A proxy whose word about who asks is taken.

    Attributes:
        header: in which it gives the name of the account.
        addresses: from which it comes.
        secret_file: its first line is what the proxy sends in `SECRET_HEADER`.
    """

    header: str
    addresses: tuple[str, ...]
    secret_file: Path

    def secret(self) -> str:
        """Return the secret, read anew each time, so that it can be changed while all runs.

        Raises:
            OSError: the file cannot be read.
        """
        lines = self.secret_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[0].strip() if lines else ""


def check_proxy(proxy: TrustedProxy) -> None:
    """Make sure that there is a secret that nobody guesses.

    Raises:
        ConfigError: the file cannot be read, or its first line is too short.
    """
    setting = f"dashboard.proxy_secret_file = '{proxy.secret_file}'"
    try:
        length = len(proxy.secret())
    except OSError as error:
        raise ConfigError(
            f"{setting}: cannot be read ({error.strerror}). The dashboard's own user must be able "
            "to read it."
        ) from error
    if length < LEAST_SECRET:
        raise ConfigError(
            f"{setting}: its first line has {length} characters; a secret needs at least "
            f"{LEAST_SECRET} (openssl rand -hex 32)."
        )
