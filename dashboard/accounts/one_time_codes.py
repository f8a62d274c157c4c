"""Codes that a person types once: the code of the setup, and the codes for a lost phone."""

from __future__ import annotations

import hashlib
import secrets

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without I, O, 0 and 1, which look alike
_GROUP = 4


def new_code(groups: int) -> str:
    """Draw a code of groups of four characters, 20 bit each, such as ``K7QD-W2MX-9RTA``."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(groups)
    )


def hash_of_code(code: str) -> str:
    """Return what is kept of a code, however a person writes it: small, with blanks, without
    hyphens.
    """
    plain = "".join(character for character in code.upper() if character.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()
