"""The code of a README that went with an export, as it stands there."""

from __future__ import annotations

import re
from textwrap import dedent


def code_of(readme: str) -> list[str]:
    """Return the indented blocks of code, in order."""
    return [dedent(one).strip() for one in re.findall(r"\n\n((?: {4}.*\n| *\n)+)", readme)]
