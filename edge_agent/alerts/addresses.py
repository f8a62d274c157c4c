"""The addresses that alerts are sent to, and names for them that hold no secret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_SHORTEST_SECRET = 4
_PUBLIC = frozenset({"from", "name", "mode", "format", "smtp", "priority", "tags", "method"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes.

    Attributes:
        name: what logs, pages and the command call it: kind, number and machine.
        address: the whole address, with its secrets.
    """

    name: str
    address: str = field(repr=False)

    def without_secrets(self, text: str) -> str:
        """Return a text in which every part of the address but the machine is hidden."""
        host = urlsplit(self.address).hostname or ""
        parts = re.split(r"[/:@?&=,]", self.address)
        for part in sorted(parts, key=len, reverse=True):
            if len(part) >= _SHORTEST_SECRET and part not in {host, self.kind} | _PUBLIC:
                text = text.replace(part, "…")
        return text

    @property
    def kind(self) -> str:
        """What stands before ``://``."""
        return self.address.partition("://")[0].lower()


def targets_of(addresses: Iterable[str]) -> tuple[Target, ...]:
    """Return a target for each address, in their order.

    >>> [target.name for target in targets_of(["ntfy://push.example.org/my-topic"])]
    ['ntfy 1 (push.example.org)']
    """
    return tuple(
        Target(_name(number, address), address) for number, address in enumerate(addresses, start=1)
    )


def _name(number: int, address: str) -> str:
    kind, sign, _ = address.partition("://")
    if not sign or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9]*", kind):
        return f"address {number}"
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        host = ""
    if "." in host:  # else it is a token or the name of a person
        return f"{kind.lower()} {number} ({host})"
    return f"{kind.lower()} {number}"


def read_addresses(file: Path) -> tuple[str, ...]:
    """Return the addresses in a file, one a line; empty lines and those with ``#`` say nothing.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text.
    """
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))
