"""The contact for reports of vulnerabilities, and the end of support of this release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from edge_agent.core.brought_values import parse_toml
from edge_agent.core.errors import ConfigError

SUPPORT_FILE = Path(__file__).with_name("support.toml")
_CONTACT = re.compile(r"(mailto:[^\s@]+@[^\s@]+|https://\S+|tel:\+?[\d-]+)")


@dataclass(frozen=True, slots=True)
class Support:
    """The promise of support by the owner of a release.

    Attributes:
        contact: address for reports: ``mailto:``, ``https:`` or ``tel:``; empty: none is known.
        until: last day of support; ``None``: none is known.
    """

    contact: str
    until: date | None

    def missing(self, today: date) -> list[str]:
        """Return the faults to be corrected before a release is built."""
        problems = []
        if not _CONTACT.fullmatch(self.contact):
            problems.append(
                f"contact = {self.contact!r}: give the address for reports, such as "
                "mailto:security@example.org"
            )
        if self.until is None:
            problems.append("support_until = '': give the last day of support, such as 2028-12-31")
        elif self.until <= today:
            problems.append(f"support_until = '{self.until}': is in the past; give a later day")
        return problems


def read_support(file: Path = SUPPORT_FILE) -> Support:
    """Read the support file of a release.

    Raises:
        ConfigError: the file is missing, is no TOML, or has an impossible date.
    """
    try:
        values = parse_toml(file.read_text(encoding="utf-8"))
        text = str(values.get("support_until", ""))
        until = date.fromisoformat(text) if text else None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}. Write contact and support_until as texts.") from error
    return Support(str(values.get("contact", "")), until)
